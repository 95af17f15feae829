#include "storage/manifest_json.h"

#include <charconv>

#include "base/error.h"
#include "base/file.h"
#include "storage/json_fields.h"

namespace troupe::storage {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxManifestBytes = std::size_t{64} << 20;
/// The file ends so, with the hash of everything before it in place of the zeros.
constexpr std::string_view kTrailer = ",\n \"hash\": \"00000000000000000000000000000000\"\n}\n";
constexpr std::size_t kTrailerHash = kTrailer.find('0');
constexpr std::size_t kHashDigits = 32;

Json to_json(const TensorEntry& tensor) {
  Json slices = Json::array();
  for (const TensorSlice& slice : tensor.slices) {
    slices.push_back({{"file", slice.file},
                      {"begin", slice.begin},
                      {"count", slice.count},
                      {"hash", slice.hash.to_string()}});
  }
  return {{"name", tensor.name},
          {"type", to_string(tensor.type)},
          {"shape", tensor.shape.sizes()},
          {"slices", std::move(slices)}};
}

Json to_json(const FileDescription& file) {
  return {{"name", file.name}, {"size_bytes", file.size_bytes}, {"hash", file.hash.to_string()}};
}

std::string dump(const Json& document) {
  try {
    return document.dump(1);
  } catch (const Json::exception& error) {
    throw Error(ErrorCode::kConfig, "the manifest's text is not UTF-8: {}", error.what());
  }
}

std::uint64_t parse_fingerprint(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error == std::errc() && end == text.data() + text.size() && text.size() == 16) return value;
  throw Error(ErrorCode::kCorrupt, "manifest.metadata.numerics_fingerprint: is not 16 hexadecimal digits");
}

CheckpointMetadata parse_metadata(JsonFields fields) {
  CheckpointMetadata metadata;
  metadata.timeline = fields.integer("timeline");
  metadata.step = fields.integer("step");
  metadata.updates = fields.integer("updates");
  metadata.tokens_total = fields.integer("tokens_total");
  metadata.data_cursor = fields.integer("data_cursor");
  metadata.epoch = fields.integer("epoch");
  metadata.roll_backs = fields.optional_integer("roll_backs");
  metadata.workers = fields.integer("workers", 1);
  metadata.expert_parallel = fields.integer("expert_parallel", 1);
  metadata.config_hash = fields.text("config_hash");
  metadata.tokenizer_hash = fields.text("tokenizer_hash");
  metadata.numerics_fingerprint = parse_fingerprint(fields.text("numerics_fingerprint"));
  metadata.config = fields.text("config");
  metadata.corpus = fields.optional_text("corpus");
  fields.finish();
  return metadata;
}

TensorSlice parse_slice(const nlohmann::json& json, const std::string& where) {
  JsonFields fields(json, where);
  TensorSlice slice{fields.text("file"), fields.integer("begin"), fields.integer("count", 1),
                    fields.hash("hash")};
  fields.finish();
  return slice;
}

TensorEntry parse_tensor(const nlohmann::json& json, const std::string& where) {
  JsonFields fields(json, where);
  TensorEntry tensor{fields.text("name"), fields.element_type("type"), fields.shape("shape"), {}};
  for (const nlohmann::json& slice : fields.array("slices")) {
    tensor.slices.push_back(parse_slice(slice, where + ".slices"));
  }
  fields.finish();
  return tensor;
}

FileDescription parse_file(const nlohmann::json& json, const std::string& where) {
  JsonFields fields(json, where);
  FileDescription file{fields.text("name"), fields.integer("size_bytes"), fields.hash("hash")};
  fields.finish();
  return file;
}

Manifest parse_document(const nlohmann::json& document) {
  JsonFields fields(document, "manifest");
  const std::int64_t version = fields.integer("version");
  if (version != kManifestVersion) {
    throw Error(ErrorCode::kCorrupt, "manifest.version: {} is not {}, which this program reads", version,
                kManifestVersion);
  }
  Manifest manifest;
  manifest.metadata = parse_metadata(fields.object("metadata"));
  const nlohmann::json& tensors = fields.array("tensors");
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    manifest.tensors.push_back(parse_tensor(tensors[i], fmt::format("manifest.tensors[{}]", i)));
  }
  for (const nlohmann::json& file : fields.array("files"))
    manifest.files.push_back(parse_file(file, "manifest.files"));
  (void)fields.hash("hash");
  fields.finish();
  return manifest;
}

/// Parts the text from its own hash and compares them.
void check_own_hash(std::string_view text) {
  if (text.size() <= kTrailer.size()) throw Error(ErrorCode::kCorrupt, "the manifest is cut short");
  const std::string_view content = text.substr(0, text.size() - kTrailer.size());
  const std::string_view trailer = text.substr(content.size());
  std::string expected(kTrailer);
  expected.replace(kTrailerHash, kHashDigits, hash_bytes(std::as_bytes(std::span(content))).to_string());
  if (trailer != expected)
    throw Error(ErrorCode::kCorrupt, "the manifest was changed: its own hash does not fit it");
}

}  // namespace

/// What is rare is said only where it is: programs that do not know it read all others.
Json to_json(const CheckpointMetadata& metadata) {
  Json json{{"timeline", metadata.timeline},
            {"step", metadata.step},
            {"updates", metadata.updates},
            {"tokens_total", metadata.tokens_total},
            {"data_cursor", metadata.data_cursor},
            {"epoch", metadata.epoch},
            {"workers", metadata.workers},
            {"expert_parallel", metadata.expert_parallel},
            {"config_hash", metadata.config_hash},
            {"tokenizer_hash", metadata.tokenizer_hash},
            {"numerics_fingerprint", fmt::format("{:016x}", metadata.numerics_fingerprint)},
            {"config", metadata.config},
            {"corpus", metadata.corpus}};
  if (metadata.roll_backs > 0) json["roll_backs"] = metadata.roll_backs;
  return json;
}

std::string serialize_manifest(const Manifest& manifest) {
  Json document{{"version", kManifestVersion}, {"metadata", to_json(manifest.metadata)}};
  document["tensors"] = Json::array();
  for (const TensorEntry& tensor : manifest.tensors) document["tensors"].push_back(to_json(tensor));
  document["files"] = Json::array();
  for (const FileDescription& file : manifest.files) document["files"].push_back(to_json(file));
  std::string text = dump(document);
  text.resize(text.size() - 2);  // "\n}"
  const std::string hash = hash_bytes(std::as_bytes(std::span(text))).to_string();
  return text + std::string(kTrailer).replace(kTrailerHash, kHashDigits, hash);
}

Manifest parse_manifest(std::string_view text) {
  check_own_hash(text);
  Manifest manifest = parse_document(parse_json(text, "the manifest"));
  check_manifest(manifest);
  return manifest;
}

Manifest load_manifest(const std::filesystem::path& checkpoint) {
  const std::filesystem::path path = checkpoint / kManifestFile;
  (void)regular_file_bytes(path);
  try {
    return parse_manifest(read_file(path, kMaxManifestBytes));
  } catch (const Error& error) {
    throw Error(error.code(), "{}: {}", path.string(), error.what());
  }
}

}  // namespace troupe::storage
