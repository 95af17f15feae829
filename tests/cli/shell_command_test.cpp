#include "cli/arguments/shell_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>

namespace troupe::cli {
namespace {

/// What a shell makes of the word.
std::string through_shell(const std::string& word) {
  std::FILE* pipe = ::popen(("printf %s " + word).c_str(), "r");
  std::string text;
  std::array<char, 256> piece{};
  while (const std::size_t got = std::fread(piece.data(), 1, piece.size(), pipe))
    text.append(piece.data(), got);
  ::pclose(pipe);
  return text;
}

TEST(ShellCommand, AnyWordComesBackFromAShell) {
  for (const std::string word :
       {"plain", "a b", "it's", "$HOME", "`x`", "a\"b", "*", "a\nb", "-x", "é", "a;b", "~"})
    EXPECT_EQ(through_shell(shell_word(word)), word);
}

TEST(ShellCommand, PlainWordsAreNotQuoted) {
  EXPECT_EQ(shell_word("/runs/a-1.b"), "/runs/a-1.b");
  EXPECT_EQ(shell_word(""), "''");
}

TEST(ShellCommand, TheProgramIsNamedByItsPathUnlessTheShellFindsIt) {
  EXPECT_THAT(troupe_command({"train", "a b"}), ::testing::EndsWith(" train 'a b'"));
  ::setenv("PATH", "/nowhere", 1);
  EXPECT_EQ(troupe_command({}).front(), '/');
}

}  // namespace
}  // namespace troupe::cli
