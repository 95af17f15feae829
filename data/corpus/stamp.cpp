#include "data/corpus/stamp.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "data/corpus/collect.h"
#include "data/corpus/document.h"
#include "data/corpus/find_tokenizer.h"
#include "data/token_dataset.h"
#include "data/tokenizer/tokenizer_json.h"

namespace troupe::data {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Raised whenever the same inputs would give another corpus.
constexpr int kPreparationVersion = 1;
constexpr std::size_t kMaxStampBytes = 1 << 20;
constexpr std::size_t kMaxFileBytes = std::size_t{256} << 20;

std::string hash_local_files(const CorpusDescription& description, const CorpusSource& source) {
  std::string hashes;
  for (const fs::path& file : source_files(description, source, source.path).files) {
    hashes += file.lexically_relative(source.path).generic_string() + ' ';
    hashes += to_hexadecimal(content_hash(read_file(file, kMaxFileBytes))) + '\n';
    const fs::path index = fs::path(file).replace_extension(".idx");
    if (source.format == TextFormat::kTokens && file.extension() == ".bin" && fs::exists(index))
      hashes += to_hexadecimal(content_hash(read_file(index, kMaxFileBytes))) + '\n';
  }
  return hashes;
}

storage::FileDescription file_from_json(const std::string& name, const json& value) {
  const auto hash = storage::Hash128::parse(value.at("hash").get<std::string>());
  if (!hash) throw Error(ErrorCode::kCorrupt, "{}: the hash of {} is none", kStampFile, name);
  return {.name = name, .size_bytes = value.at("bytes").get<std::int64_t>(), .hash = *hash};
}

CorpusStamp from_json(const json& value) {
  CorpusStamp stamp;
  stamp.name = value.at("name").get<std::string>();
  stamp.inputs = value.at("inputs").get<std::string>();
  stamp.languages = value.at("languages").get<std::map<std::string, std::string>>();
  stamp.packages = value.at("packages").get<std::map<std::string, std::string>>();
  const json files = value.value("files", json::object());
  for (const auto& [name, file] : files.items()) stamp.files.push_back(file_from_json(name, file));
  return stamp;
}

}  // namespace

std::string to_hexadecimal(const ContentHash& hash) {
  return fmt::format("{:016x}{:016x}", hash.high, hash.low);
}

std::string hash_inputs(const CorpusDescription& description) {
  std::string inputs = fmt::format("preparation {}, format {}, vocabulary {}\n", kPreparationVersion,
                                   kTokenFormatVersion, description.vocab_size);
  inputs += description.text;
  if (!description.tokenizer.empty())
    inputs += read_tokenizer_json(find_tokenizer(description.tokenizer)).hash() + '\n';
  for (const CorpusSource& source : description.sources) {
    if (source.package.empty()) inputs += hash_local_files(description, source);
  }
  return to_hexadecimal(content_hash(inputs));
}

CorpusStamp read_stamp(const fs::path& folder) {
  const fs::path file = folder / kStampFile;
  if (!fs::exists(file)) return {};
  try {
    return from_json(json::parse(read_file(file, kMaxStampBytes)));
  } catch (const json::exception& failure) {
    throw Error(ErrorCode::kCorrupt, "{}: {}", file.string(), failure.what());
  }
}

void write_stamp(const CorpusStamp& stamp, const fs::path& folder) {
  json files = json::object();
  for (const storage::FileDescription& file : stamp.files)
    files[file.name] = {{"bytes", file.size_bytes}, {"hash", file.hash.to_string()}};
  const json value{{"name", stamp.name},
                   {"inputs", stamp.inputs},
                   {"languages", stamp.languages},
                   {"packages", stamp.packages},
                   {"files", files}};
  write_file_atomically(folder / kStampFile, value.dump(2) + "\n");
}

}  // namespace troupe::data
