#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace troupe::data {

/// How documents lie in a file.
enum class InputKind : std::uint8_t {
  kText,       // one document, or several between separator lines
  kJsonLines,  // one JSON object a line
  kTokenBin,   // tokens of nanoGPT or llm.c: documents end with the end of text
  kMegatron,   // .bin beside .idx
};

/// A file that a corpus is made of.
struct InputFile {
  std::filesystem::path path;
  InputKind kind = InputKind::kText;
  std::string domain;
  std::int64_t bytes = 0;  // as it lies there, packed perhaps

  bool operator==(const InputFile&) const = default;
};

struct FoundInputs {
  std::vector<InputFile> files;  // in the order of the inputs, a folder's by path
  std::map<std::string, int>
      left_out;  // files in folders that are of no known kind, by the end of their names
  std::vector<std::filesystem::path> broken_links;
};

/// Files, folders and patterns ("texts/**/*.md") → files. In a folder all .txt, .md, .jsonl, also packed
/// (.gz, .zst, .xz), and .bin are taken. A file is of the domain of the folder at the top of where it was
/// found
/// ("books" for input/books/a/b.txt), else of the folder that was named; a single file's domain is "text".
/// A name that says nothing is told by the first bytes: '{' begins JSON lines. Throws kConfig for an input
/// that is not there, gives nothing, or is Parquet (naming the command that makes JSON lines of it).
[[nodiscard]] FoundInputs find_inputs(const std::vector<std::string>& inputs);

/// Lower case letters, digits, '.', '_' and '-': what a domain may be called. Others become '-'.
[[nodiscard]] std::string domain_name(std::string_view text);

}  // namespace troupe::data
