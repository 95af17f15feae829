#include "data/corpus/description.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/data/expect_error.h"

namespace troupe::data {
namespace {

CorpusDescription parse(const std::string& yaml) {
  return parse_corpus_description(yaml, "/folder/corpus.yaml");
}

const std::string kGood = R"(name: test
vocab_size: 1000
sources:
  - {package: vim-doc, domain: help, language: en, files: ["*.html"], format: html}
  - {path: ../text, domain: notes, language: de, files: [a.txt, b.txt], separator: "%%"}
  - {path: /absolute, domain: help, language: en, files: ["*"]}
)";

TEST(CorpusDescription, ReadsEveryKey) {
  const CorpusDescription description = parse(kGood);
  EXPECT_EQ(description.name, "test");
  EXPECT_EQ(description.vocab_size, 1000);
  EXPECT_EQ(description.domain_cap_bytes, std::numeric_limits<std::int64_t>::max());
  ASSERT_EQ(description.sources.size(), 3U);
  EXPECT_EQ(description.sources[0].package, "vim-doc");
  EXPECT_EQ(description.sources[0].format, TextFormat::kHtml);
  EXPECT_EQ(description.sources[0].line, 4);
  EXPECT_EQ(description.sources[1].path, "/text");
  EXPECT_EQ(description.sources[1].separator, "%%");
  EXPECT_EQ(description.sources[1].files, (std::vector<std::string>{"a.txt", "b.txt"}));
  EXPECT_EQ(description.sources[2].path, "/absolute");
  EXPECT_EQ(description.domain_names(), (std::vector<std::string>{"help", "notes"}));
}

TEST(CorpusDescription, NamesATokenizerAndWeighsDomains) {
  std::string yaml = kGood;
  yaml.replace(yaml.find("vocab_size: 1000"), 16, "tokenizer: ../runs/a\nweights: {help: 0.25, notes: 3}");
  const CorpusDescription description = parse(yaml);
  EXPECT_EQ(description.tokenizer, "/runs/a");
  EXPECT_EQ(description.weights, (std::map<std::string, double>{{"help", 0.25}, {"notes", 3.0}}));
}

struct Mistake {
  const char* name;
  std::string from;  // in kGood
  std::string to;
  const char* message;
};

class CorpusDescriptionMistake : public ::testing::TestWithParam<Mistake> {};

TEST_P(CorpusDescriptionMistake, IsReportedWithItsPlace) {
  std::string yaml = kGood;
  const std::size_t place = yaml.find(GetParam().from);
  ASSERT_NE(place, std::string::npos);
  yaml.replace(place, GetParam().from.size(), GetParam().to);
  expect_error(ErrorCode::kConfig, GetParam().message, [&] { (void)parse(yaml); });
}

INSTANTIATE_TEST_SUITE_P(
    Mistakes, CorpusDescriptionMistake,
    ::testing::Values(
        Mistake{"unknown_key", "vocab_size", "vocab_sise", "corpus.yaml:2:1: unknown key 'vocab_sise'"},
        Mistake{"unknown_source_key", "format:", "formats:", "corpus.yaml:4:"},
        Mistake{"repeated_key", "vocab_size: 1000", "name: again",
                "corpus.yaml:2:1: key 'name' appears twice"},
        Mistake{"missing_name", "name: test\n", "", "lacks the key 'name'"},
        Mistake{"missing_domain", "domain: notes, ", "", "corpus.yaml:5:5: a source lacks the key 'domain'"},
        Mistake{"missing_language", "language: de, ", "", "lacks the key 'language'"},
        Mistake{"no_number", "1000", "many", "corpus.yaml:2:13: 'vocab_size' is an integer"},
        Mistake{"fraction_for_integer", "1000", "1000.5", "'vocab_size' is an integer"},
        Mistake{"number_too_small", "1000", "10", "'vocab_size' is an integer from 300"},
        Mistake{"number_too_large", "1000", "99999999999999999999", "'vocab_size' is an integer"},
        Mistake{"not_a_number", "vocab_size: 1000", "heldout_fraction: .nan",
                "'heldout_fraction' is a number"},
        Mistake{"out_of_range", "vocab_size: 1000", "heldout_fraction: 0.9",
                "'heldout_fraction' is a number"},
        Mistake{"list_for_text", "test", "[a, b]", "corpus.yaml:1:7: 'name' needs a value"},
        Mistake{"map_for_number", "1000", "{a: 1}", "'vocab_size' needs a value"},
        Mistake{"empty_value", "1000", "", "'vocab_size' needs a value"},
        Mistake{"text_for_list", "[\"*.html\"]", "x", "'files' is not a list"},
        Mistake{"empty_list", "[\"*.html\"]", "[]", "'files' is not a list"},
        Mistake{"sources_no_list", kGood, "name: test\nsources: 3\n", "'sources' is not a list"},
        Mistake{"source_no_map",
                "{package: vim-doc, domain: help, language: en, files: [\"*.html\"], format: html}", "x",
                "corpus.yaml:4:5: a source is not a map"},
        Mistake{"both_places", "{package: vim-doc,", "{package: vim-doc, path: x,",
                "either 'package' or 'path'"},
        Mistake{"no_place", "package: vim-doc, ", "", "either 'package' or 'path'"},
        Mistake{"option_as_package", "vim-doc", "--help", "not the name of a Debian package"},
        Mistake{"path_as_package", "vim-doc", "../../etc", "not the name of a Debian package"},
        Mistake{"odd_domain", "notes", "a/b", "'domain' is made of"},
        Mistake{"unknown_format", "format: html", "format: pdf",
                "'format' is text, html, jsonl or tokens, not 'pdf'"},
        Mistake{"tokens_without_tokenizer", "format: html", "format: tokens",
                "corpus.yaml:4:3: the tokens of domain 'help' (line 4) are of a tokenizer"},
        Mistake{"separator_of_tokens", "separator: \"%%\"", "separator: \"%%\", format: tokens",
                "'separator' is for text"},
        Mistake{"vocabulary_beside_tokenizer", "vocab_size: 1000", "vocab_size: 1000\ntokenizer: x",
                "'vocab_size' is of a new tokenizer"},
        Mistake{"weights_without_a_domain", "vocab_size: 1000", "weights: {help: 1}",
                "corpus.yaml:2:10: 'weights' lacks the domain 'notes'"},
        Mistake{"weight_of_no_domain", "vocab_size: 1000", "weights: {help: 1, notes: 0, x: 2}",
                "'weights' has 'x'"},
        Mistake{"weights_of_nothing", "vocab_size: 1000", "weights: {help: 0, notes: 0}",
                "at least one is above 0"},
        Mistake{"weight_no_number", "vocab_size: 1000", "weights: {help: much, notes: 1}",
                "'help' is a number from 0"},
        Mistake{"weights_no_map", "vocab_size: 1000", "weights: 3", "'weights' is not a map"},
        Mistake{"two_languages", "path: /absolute, domain: help, language: en",
                "path: /absolute, domain: help, language: fr",
                "domain 'help' is of language en (line 4) and of fr (line 6)"},
        Mistake{"no_yaml", "name: test", "name: [", "corpus.yaml:"},
        Mistake{"scalar_root", kGood, "hello", "is not a map"},
        Mistake{"empty_file", kGood, "", "a corpus description lacks the key 'name'"}),
    [](const auto& parameter) { return parameter.param.name; });

TEST(CorpusDescription, RefusesTextsThatWouldCostMemory) {
  expect_error(ErrorCode::kConfig, "at most 65536 are read", [] { (void)parse(std::string(100'000, ' ')); });
  expect_error(ErrorCode::kConfig, "corpus.yaml:", [] { (void)parse(std::string(65'000, '[')); });
  expect_error(ErrorCode::kConfig, "corpus.yaml:", [] { (void)parse("name: &a [*a]\nsources: *a\n"); });
}

TEST(CorpusDescription, NamesAMissingFile) {
  expect_error(ErrorCode::kConfig, "no such corpus description",
               [] { (void)load_corpus_description("/nonexistent.yaml"); });
}

TEST(CorpusDescription, OfDebianHasTenDomainsAndMore) {
  const auto description = load_corpus_description(TROUPE_SOURCE_DIR "/configs/corpora/debian.yaml");
  EXPECT_GE(description.domain_names().size(), 10U);
  EXPECT_LE(description.download_cap_bytes, 60'000'000);
  std::set<std::string> languages;
  for (const CorpusSource& source : description.sources) languages.insert(source.language);
  EXPECT_GE(languages.size(), 10U);
}

TEST(CorpusDescription, OfTheQuickstartIsSmallProseInTwoLanguagesAndCode) {
  const auto description = load_corpus_description(TROUPE_SOURCE_DIR "/configs/corpora/quickstart.yaml");
  EXPECT_LE(description.download_cap_bytes, 12'000'000);
  std::set<std::string> prose;
  std::set<std::string> code;
  for (const CorpusSource& source : description.sources)
    (source.prose ? prose : code).insert(source.language);
  EXPECT_EQ(prose, (std::set<std::string>{"de", "en"}));
  EXPECT_EQ(code, std::set<std::string>{"python"});
}

}  // namespace
}  // namespace troupe::data
