#include "data/corpus/description.h"

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
  throw map.error("format", fmt::format("'format' is text, html or jsonl, not '{}'", format));
}

bool keeps_prose(const YamlMap& map) {
  if (!map.has("keep")) return false;
  const std::string kept = map.text("keep");
  if (kept != "all" && kept != "prose")
    throw map.error("keep", fmt::format("'keep' is all or prose, not '{}'", kept));
  return kept == "prose";
}

std::filesystem::path resolved_path(const YamlMap& map, const std::filesystem::path& description) {
  const std::filesystem::path path = map.text("path");
  return path.is_absolute() ? path : (description.parent_path() / path).lexically_normal();
}

CorpusSource parse_source(const YamlMap& map, const std::filesystem::path& description) {
  map.allow_only(
      {"package", "path", "domain", "language", "files", "format", "text_field", "keep", "separator"});
  if (map.has("package") == map.has("path")) {
    throw map.error(map.has("path") ? "path" : "domain", "a source has either 'package' or 'path'");
  }
  CorpusSource source;
  if (map.has("package")) source.package = checked_package(map);
  if (map.has("path")) source.path = resolved_path(map, description);
  source.domain = checked_name(map, "domain");
  source.language = checked_name(map, "language");
  source.files = map.texts("files");
  source.format = parse_format(map);
  source.prose = keeps_prose(map);
  if (map.has("text_field")) source.text_field = map.text("text_field");
  if (map.has("separator")) source.separator = map.text("separator");
  source.line = map.line();
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

CorpusDescription parse_description(const YamlMap& map, const std::filesystem::path& file) {
  map.allow_only({"name", "vocab_size", "domain_cap_bytes", "download_cap_bytes", "document_cap_bytes",
                  "heldout_fraction", "tokenizer_sample_bytes", "sources"});
  CorpusDescription result;
  result.file = file;
  result.name = checked_name(map, "name");
  result.vocab_size = map.integer("vocab_size", result.vocab_size, kVocabRange);
  result.domain_cap_bytes = map.integer("domain_cap_bytes", result.domain_cap_bytes, kPositive);
  result.download_cap_bytes = map.integer("download_cap_bytes", result.download_cap_bytes, kPositive);
  result.document_cap_bytes = map.integer("document_cap_bytes", result.document_cap_bytes, {64, 1 << 30});
  result.heldout_fraction = map.real("heldout_fraction", result.heldout_fraction, {0.0, 0.5});
  result.tokenizer_sample_bytes =
      map.integer("tokenizer_sample_bytes", result.tokenizer_sample_bytes, kPositive);
  for (const YamlMap& source : map.maps("sources", "a source"))
    result.sources.push_back(parse_source(source, file));
  check_languages(result.sources, map);
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
