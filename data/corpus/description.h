#pragma once
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::data {

/// The smallest vocabulary has all bytes and room for some more.
inline constexpr std::int64_t kSmallestVocab = 300;
inline constexpr std::int64_t kLargestVocab = 1 << 20;

/// How the text is taken out of a file. Packed files (gzip, Zstandard, xz) are recognised by their first
/// bytes; as text, a file called .jsonl is read as kJsonLines. kTokens: files of ids, .bin and .bin beside
/// .idx.
enum class TextFormat : std::uint8_t { kText, kHtml, kJsonLines, kTokens };

/// Files of one domain, from a Debian package or from a local folder.
struct CorpusSource {
  std::string package;         // Debian package; empty when `path` is given
  std::filesystem::path path;  // folder; relative ones are relative to the description's folder
  std::string domain;
  std::string language;            // BCP 47 tag of a human language, or a programming language's name
  std::vector<std::string> files;  // fnmatch(3) patterns of paths inside; `*` also matches `/`
  TextFormat format = TextFormat::kText;
  std::string text_field = "text";  // of JSON lines
  bool prose = false;               // of the text only what reads as sentences: prose.h
  std::string separator;            // a line that separates documents inside a file; empty: none
  int line = 0;                     // in the description, for messages

  bool operator==(const CorpusSource&) const = default;
};

/// What a corpus is made of: a YAML file such as configs/corpora/debian.yaml.
struct CorpusDescription {
  std::filesystem::path file;
  std::string text;  // the file's
  std::string name;
  std::filesystem::path tokenizer;  // a file, corpus or run that has one (find_tokenizer.h); empty: a new one
  std::int64_t vocab_size = 8192;   // of a new one
  std::int64_t domain_cap_bytes = std::numeric_limits<std::int64_t>::max();  // text, held-out included
  std::int64_t download_cap_bytes = 60'000'000;                              // packages, together
  std::int64_t document_cap_bytes = 16'384;         // longer files are split at blank lines
  double heldout_fraction = 0.04;                   // of each domain's text; at least one document
  std::int64_t tokenizer_sample_bytes = 8'000'000;  // training text that the tokenizer is trained on
  std::map<std::string, double> weights;            // of all domains, for training; empty: by size
  std::vector<CorpusSource> sources;

  /// In the order of their first source.
  [[nodiscard]] std::vector<std::string> domain_names() const;
};

/// Reads and checks a description. Every mistake (unknown or missing key, wrong type, impossible value)
/// is a kConfig error with file:line:column; the first one found is thrown.
[[nodiscard]] CorpusDescription load_corpus_description(const std::filesystem::path& file);
/// The same from text; `file` is for messages and for relative paths.
[[nodiscard]] CorpusDescription parse_corpus_description(std::string_view yaml,
                                                         const std::filesystem::path& file);

}  // namespace troupe::data
