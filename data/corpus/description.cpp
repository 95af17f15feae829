#include "data/corpus/description.h"

#include <fmt/format.h>

#include <algorithm>
#include <regex>

#include "base/error.h"
#include "base/file.h"
#include "data/corpus/yaml_reader.h"

namespace troupe::data {
namespace {

using detail::YamlMap;

constexpr std::size_t kMaxDescriptionBytes = 1 << 16;
constexpr IntegerRange kVocabRange{kSmallestVocab, kLargestVocab};

/// Names that go into file names, JSON and metrics.
std::string checked_name(const YamlMap& map, std::string_view key) {
  static const std::regex pattern("[a-z0-9][a-z0-9._-]{0,63}");
  std::string name = map.text(key);
  if (!std::regex_match(name, pattern)) {
    throw map.error(key,
                    fmt::format("'{}' is made of a-z, 0-9, '.', '_' and '-', at most 64 characters", key));
  }
  return name;
}

/// Debian Policy 5.6.1: lower case letters, digits, plus, minus, periods; begins alphanumeric.
std::string checked_package(const YamlMap& map) {
  static const std::regex pattern("[a-z0-9][a-z0-9+.-]{1,127}");
  std::string package = map.text("package");
  if (!std::regex_match(package, pattern))
    throw map.error("package", "'package' is not the name of a Debian package");
  return package;
}

TextFormat parse_format(const YamlMap& map) {
  if (!map.has("format")) return TextFormat::kText;
  const std::string format = map.text("format");
  if (format == "text") return TextFormat::kText;
  if (format == "html") return TextFormat::kHtml;
  if (format == "jsonl") return TextFormat::kJsonLines;
  if (format == "tokens") return TextFormat::kTokens;
  throw map.error("format", fmt::format("'format' is text, html, jsonl or tokens, not '{}'", format));
}

bool keeps_prose(const YamlMap& map) {
  if (!map.has("keep")) return false;
  const std::string kept = map.text("keep");
  if (kept != "all" && kept != "prose")
    throw map.error("keep", fmt::format("'keep' is all or prose, not '{}'", kept));
  return kept == "prose";
}

std::filesystem::path resolved_path(const YamlMap& map, std::string_view key,
                                    const std::filesystem::path& description) {
  const std::filesystem::path path = map.text(key);
  return path.is_absolute() ? path : (description.parent_path() / path).lexically_normal();
}

/// Ids are taken as they are.
void check_tokens(const CorpusSource& source, const YamlMap& map) {
  if (source.format != TextFormat::kTokens) return;
  for (const char* of_text : {"keep", "separator", "text_field"}) {
    if (map.has(of_text)) throw map.error(of_text, fmt::format("'{}' is for text, not for tokens", of_text));
  }
}

CorpusSource parse_source(const YamlMap& map, const std::filesystem::path& description) {
  map.allow_only(
      {"package", "path", "domain", "language", "files", "format", "text_field", "keep", "separator"});
  if (map.has("package") == map.has("path")) {
    throw map.error(map.has("path") ? "path" : "domain", "a source has either 'package' or 'path'");
  }
  CorpusSource source;
  if (map.has("package")) source.package = checked_package(map);
  if (map.has("path")) source.path = resolved_path(map, "path", description);
  source.domain = checked_name(map, "domain");
  source.language = checked_name(map, "language");
  source.files = map.texts("files");
  source.format = parse_format(map);
  source.prose = keeps_prose(map);
  if (map.has("text_field")) source.text_field = map.text("text_field");
  if (map.has("separator")) source.separator = map.text("separator");
  source.line = map.line();
  check_tokens(source, map);
  return source;
}

void check_languages(const std::vector<CorpusSource>& sources, const YamlMap& map) {
  for (const CorpusSource& source : sources) {
    const auto first = std::find_if(sources.begin(), sources.end(),
                                    [&](const CorpusSource& other) { return other.domain == source.domain; });
    if (first->language == source.language) continue;
    throw map.error(
        "sources",
        fmt::format("domain '{}' is of language {} (line {}) and of {} (line {}): a domain has one",
                    source.domain, first->language, first->line, source.language, source.line));
  }
}

/// Every domain has its weight: one that was forgotten would not be trained.
void check_weights(const CorpusDescription& description, const YamlMap& map) {
  const auto& weights = description.weights;
  if (!map.has("weights")) return;
  const auto names = description.domain_names();
  for (const std::string& name : names) {
    if (weights.contains(name)) continue;
    throw map.error("weights", fmt::format("'weights' lacks the domain '{}'; 0 leaves it out", name));
  }
  for (const auto& [name, weight] : weights) {
    if (std::ranges::find(names, name) == names.end())
      throw map.error("weights", fmt::format("'weights' has '{}', which no source is of", name));
  }
  if (std::ranges::none_of(weights, [](const auto& weight) { return weight.second > 0.0; }))
    throw map.error("weights", "of 'weights' at least one is above 0");
}

void check_tokenizer(const CorpusDescription& description, const YamlMap& map) {
  if (!description.tokenizer.empty()) {
    for (const char* of_a_new_one : {"vocab_size", "tokenizer_sample_bytes"}) {
      if (map.has(of_a_new_one))
        throw map.error(of_a_new_one,
                        fmt::format("'{}' is of a new tokenizer, and 'tokenizer' names one", of_a_new_one));
    }
    return;
  }
  for (const CorpusSource& source : description.sources) {
    if (source.format == TextFormat::kTokens)
      throw map.error("sources",
                      fmt::format("the tokens of domain '{}' (line {}) are of a tokenizer: name it "
                                  "with 'tokenizer'",
                                  source.domain, source.line));
  }
}

CorpusDescription parse_description(const YamlMap& map, const std::filesystem::path& file) {
  map.allow_only({"name", "tokenizer", "vocab_size", "domain_cap_bytes", "download_cap_bytes",
                  "document_cap_bytes", "heldout_fraction", "tokenizer_sample_bytes", "weights", "sources"});
  CorpusDescription result;
  result.file = file;
  result.name = checked_name(map, "name");
  if (map.has("tokenizer")) result.tokenizer = resolved_path(map, "tokenizer", file);
  result.vocab_size = map.integer("vocab_size", result.vocab_size, kVocabRange);
  result.domain_cap_bytes = map.integer("domain_cap_bytes", result.domain_cap_bytes, kPositive);
  result.download_cap_bytes = map.integer("download_cap_bytes", result.download_cap_bytes, kPositive);
  result.document_cap_bytes = map.integer("document_cap_bytes", result.document_cap_bytes, {64, 1 << 30});
  result.heldout_fraction = map.real("heldout_fraction", result.heldout_fraction, {0.0, 0.5});
  result.tokenizer_sample_bytes =
      map.integer("tokenizer_sample_bytes", result.tokenizer_sample_bytes, kPositive);
  result.weights = map.reals("weights", kNonNegativeReal);
  for (const YamlMap& source : map.maps("sources", "a source"))
    result.sources.push_back(parse_source(source, file));
  check_languages(result.sources, map);
  check_weights(result, map);
  check_tokenizer(result, map);
  return result;
}

}  // namespace

std::vector<std::string> CorpusDescription::domain_names() const {
  std::vector<std::string> names;
  for (const CorpusSource& source : sources) {
    if (std::find(names.begin(), names.end(), source.domain) == names.end()) names.push_back(source.domain);
  }
  return names;
}

CorpusDescription parse_corpus_description(std::string_view yaml, const std::filesystem::path& file) {
  if (yaml.size() > kMaxDescriptionBytes) {
    throw Error(ErrorCode::kConfig, "{}: {} bytes; at most {} are read", file.string(), yaml.size(),
                kMaxDescriptionBytes);
  }
  const YamlNode root = parse_yaml(yaml, file.string());
  CorpusDescription result = parse_description(YamlMap(root, "a corpus description"), file);
  result.text = yaml;
  return result;
}

CorpusDescription load_corpus_description(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored)) {
    throw Error(ErrorCode::kConfig, "{}: there is no such corpus description", file.string());
  }
  return parse_corpus_description(read_file(file, kMaxDescriptionBytes), file);
}

}  // namespace troupe::data
