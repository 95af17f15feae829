#include "data/corpus/prose.h"

#include <gtest/gtest.h>

namespace troupe::data {
namespace {

const std::string kEnglish =
    "It is generally preferable to use symbolic links rather than\nhardlinks unless you have a good reason "
    "for it.\n";
const std::string kJapanese =
    "\xE3\x81\x93\xE3\x82\x8C\xE3\x81\xAF\xE6\x96\x87\xE7\xAB\xA0\xE3\x81\xA7\xE3\x81\x99"
    "\xE3\x81\x93\xE3\x82\x8C\xE3\x81\xAF\xE6\x96\x87\xE7\xAB\xA0\xE3\x81\xA7\xE3\x81\x99"
    "\xE3\x81\x93\xE3\x82\x8C\xE3\x81\xAF\xE6\x96\x87\xE7\xAB\xA0\xE3\x81\xA7\xE3\x81\x99\xE3\x80\x82\n";

TEST(Prose, KeepsSentencesOfEveryLanguageWithoutIndentation) {
  EXPECT_EQ(keep_prose(kEnglish), kEnglish + "\n");
  EXPECT_EQ(
      keep_prose(
          "\n\n    It is generally preferable to use symbolic links rather than\n    hardlinks unless you "
          "have a good reason for it.\n\n \n" +
          kJapanese),
      kEnglish + "\n" + kJapanese + "\n");
  EXPECT_EQ(keep_prose(kEnglish.substr(0, kEnglish.size() - 1)), kEnglish + "\n")
      << "without a last line end";
}

TEST(Prose, LeavesOutWhatIsNone) {
  for (const char* none :
       {"", "\n", "1.2.9. Sockets\n",
        "+---------------------------------------------------------------------------------------------+.\n",
        "| package | popcon | size | description of what this package does to files of all users here. |\n",
        "$ ls -l mypipe; cat mypipe > /dev/null 2>&1 && rm -rf \"${HOME}/tmp\"/* # [1]+ Done $(echo) ok.\n",
        "aptitude          a terminal interface to packages of every kind        which many people like.\n",
        "Copyright of this text, which may be read and changed by everyone who wants to, is with its "
        "authors.\n",
        "A heading of a chapter that is long enough but does not end as a sentence would have to end here\n"})
    EXPECT_EQ(keep_prose(none), "") << none;
}

}  // namespace
}  // namespace troupe::data
