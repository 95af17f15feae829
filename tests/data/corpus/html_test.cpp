#include "data/corpus/html.h"

#include <gtest/gtest.h>

#include <regex>

#include "base/random.h"
#include "base/utf8.h"

namespace troupe::data {
namespace {

TEST(HtmlToText, KeepsTheTextAndDropsTheTags) {
  EXPECT_EQ(html_to_text("<p>One <b>bold</b> <i class=\"x\">word</i>.</p>"), "One bold word.\n");
}

TEST(HtmlToText, SeparatesParagraphsByABlankLineAndLinesByOne) {
  EXPECT_EQ(html_to_text("<h1>Title</h1><p>a<p>b<br>c<ul><li>d</li><li>e</li></ul>f"),
            "Title\n\na\n\nb\nc\n\nd\ne\n\nf\n");
}

TEST(HtmlToText, JoinsRunsOfSpaceAndLineEnds) { EXPECT_EQ(html_to_text("  a \n\t b\r\n c  "), "a b c\n"); }

TEST(HtmlToText, KeepsSpaceInsidePre) {
  EXPECT_EQ(html_to_text("x<pre>\n  if (a)\n\n\tb;\n</pre>y  z"), "x\n\n  if (a)\n\n\tb;\n\ny z\n");
  EXPECT_EQ(html_to_text("<pre>\n\na</pre>"), "a\n");
}

TEST(HtmlToText, LeavesOutTitleScriptStyleAndComments) {
  EXPECT_EQ(
      html_to_text("<html><head><title>t</title></head><body>a<script>if (x < 1) { y(\"</p>\"); }</script>"
                   "<STYLE>p { }</STYLE><!-- <p>no</p> -->b</body></html>"),
      "ab\n");
}

TEST(HtmlToText, ResolvesEntities) {
  EXPECT_EQ(html_to_text("&lt;&amp;&gt; caf&eacute; &#233;&#xE9; &#128512; a&nbsp;b"),
            "<&> café éé \xF0\x9F\x98\x80 a b\n");
}

TEST(HtmlToText, LeavesUnknownOrImpossibleEntitiesAsWritten) {
  EXPECT_EQ(html_to_text("AT&T &unknown; &#xD800; &#0; &#99999999999; & &#; &;"),
            "AT&T &unknown; &#xD800; &#0; &#99999999999; & &#; &;\n");
}

TEST(HtmlToText, ResolvesEntitiesOnce) { EXPECT_EQ(html_to_text("&amp;lt;"), "&lt;\n"); }

TEST(HtmlToText, KeepsALessThanThatBeginsNoTag) { EXPECT_EQ(html_to_text("a < b <3 <"), "a < b <3 <\n"); }

TEST(HtmlToText, FindsTheEndOfTagsWithQuotedBrackets) {
  EXPECT_EQ(html_to_text("a<img alt=\"x > y\" src='>'>b"), "ab\n");
}

TEST(HtmlToText, TakesPagesThatAreCutOffAnywhere) {
  const std::string page = "<p a=\"1\">x &eacute; <!-- c --><script>s</script><pre> y </pre>";
  ASSERT_EQ(html_to_text(page), "x é\n\n y\n");
  for (std::size_t end = 0; end <= page.size(); ++end) {
    const std::string text = html_to_text(page.substr(0, end));
    EXPECT_EQ(text.find_first_of("ps=1"), std::string::npos) << "from a tag: " << text;
    EXPECT_EQ(text.starts_with("x"), end > page.find('x')) << end;
    EXPECT_EQ(text.starts_with("x é"), end > page.find(';')) << end;
    EXPECT_EQ(text.find(" y") != std::string::npos, end > page.find('y')) << end;
  }
}

// Beside a regular expression, on pages without what has rules of its own (entities, comments, <pre>).
TEST(HtmlToText, KeepsEverythingOutsideOfTags) {
  const std::regex tag("<[a-c/!?][^>]*(>|$)");
  const std::regex space("\\s+");
  const Random random(2, RandomPurpose::kTest);
  constexpr std::string_view kAlphabet = "abc 12\n<>/!?";
  for (std::uint64_t round = 0; round < 300; ++round) {
    std::string page;
    for (std::uint64_t i = 0; i < 40; ++i) page += kAlphabet[random.below(round * 100 + i, kAlphabet.size())];
    const std::string expected = std::regex_replace(std::regex_replace(page, tag, ""), space, "");
    EXPECT_EQ(std::regex_replace(html_to_text(page), space, ""), expected) << page;
  }
}

TEST(HtmlToText, TakesAnyBytesAndKeepsUtf8Valid) {
  const Random random(1, RandomPurpose::kTest);
  constexpr std::string_view kAlphabet = "<>/!-&;#\"'= \n\tapbrescript1x\xC3\xA9";
  for (std::uint64_t round = 0; round < 300; ++round) {
    std::string page;
    for (std::uint64_t i = 0; i < 60; ++i) {
      const char c = kAlphabet[random.below(round * 100 + i, kAlphabet.size() - 2)];
      page += c == 'x' ? "\xC3\xA9" : std::string(1, c);
    }
    EXPECT_TRUE(is_utf8(html_to_text(page))) << page;
  }
}

TEST(HtmlToText, TakesTimeInProportionToTheLength) {
  // Quadratic work on these would take minutes: the test's time limit ends it.
  for (const std::string piece : {"<", "</", "<!--", "<a b=\"", "&", "<p>", "<pre>"}) {
    std::string page;
    while (page.size() < 1'000'000) page += piece;
    const bool is_text = piece.size() == 1;
    EXPECT_EQ(html_to_text(page), is_text ? page + "\n" : "") << piece;
  }
}

}  // namespace
}  // namespace troupe::data
