#include "storage/checkpoint_report.h"

#include <fmt/format.h>

#include "storage/manifest_json.h"

namespace troupe::storage {
namespace {

using Json = nlohmann::ordered_json;

/// One document; bytes of paths that are not UTF-8 are replaced.
std::string dump(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

std::string name_of(const std::filesystem::path& checkpoint) { return checkpoint.filename().string(); }

/// Without texts of several lines.
Json metadata_json(const CheckpointMetadata& metadata) {
  Json json = to_json(metadata);
  json.erase("config");
  json.erase("corpus");
  return json;
}

std::string metadata_text(const CheckpointMetadata& metadata) {
  const Json json = metadata_json(metadata);
  std::string text;
  for (const auto& [name, value] : json.items()) {
    text += fmt::format("  {:<22}{}\n", name, value.is_string() ? value.get<std::string>() : value.dump());
  }
  return text;
}

}  // namespace

std::string list_as_text(std::span<const CheckpointSummary> checkpoints) {
  if (checkpoints.empty()) return "no checkpoints\n";
  std::string text =
      fmt::format("{:<16} {:>8} {:>14} {:>12}  state\n", "checkpoint", "timeline", "tokens", "size");
  for (const CheckpointSummary& checkpoint : checkpoints) {
    text += fmt::format("{:<16} {:>8} {:>14} {:>12}  {}\n", name_of(checkpoint.folder), checkpoint.timeline,
                        checkpoint.tokens_total, readable_bytes(checkpoint.size_bytes), checkpoint.state());
  }
  return text;
}

std::string list_as_json(std::span<const CheckpointSummary> checkpoints) {
  Json list = Json::array();
  for (const CheckpointSummary& checkpoint : checkpoints) {
    list.push_back({{"checkpoint", checkpoint.folder.string()},
                    {"timeline", checkpoint.timeline},
                    {"step", checkpoint.step},
                    {"tokens_total", checkpoint.tokens_total},
                    {"size_bytes", checkpoint.size_bytes},
                    {"usable", checkpoint.usable()},
                    {"unreadable", checkpoint.unreadable},
                    {"problem", checkpoint.problem}});
  }
  return dump(list);
}

std::string manifest_as_text(const std::filesystem::path& checkpoint, const Manifest& manifest) {
  std::string text = checkpoint.string() + "\n" + metadata_text(manifest.metadata);
  text += fmt::format("\n{} tensors\n", manifest.tensors.size());
  for (const TensorEntry& tensor : manifest.tensors) {
    text += fmt::format("  {:<60} {} {:<20} {:>12}  in {}\n", tensor.name, to_string(tensor.type),
                        tensor.shape.to_string(), readable_bytes(tensor.size_bytes()),
                        tensor.slices.size() == 1 ? tensor.slices.front().file
                                                  : fmt::format("{} pieces", tensor.slices.size()));
  }
  text += fmt::format("\n{} files\n", manifest.files.size());
  for (const FileDescription& file : manifest.files) {
    text += fmt::format("  {:<20} {:>12}  {}\n", file.name, readable_bytes(file.size_bytes),
                        file.hash.to_string());
  }
  return text;
}

std::string manifest_as_json(const std::filesystem::path& checkpoint, const Manifest& manifest) {
  Json tensors = Json::array();
  for (const TensorEntry& tensor : manifest.tensors) {
    tensors.push_back({{"name", tensor.name},
                       {"type", to_string(tensor.type)},
                       {"shape", tensor.shape.sizes()},
                       {"size_bytes", tensor.size_bytes()},
                       {"slices", tensor.slices.size()}});
  }
  Json files = Json::array();
  for (const FileDescription& file : manifest.files) {
    files.push_back({{"name", file.name}, {"size_bytes", file.size_bytes}, {"hash", file.hash.to_string()}});
  }
  return dump({{"checkpoint", checkpoint.string()},
               {"metadata", metadata_json(manifest.metadata)},
               {"tensors", std::move(tensors)},
               {"files", std::move(files)}});
}

std::string verification_as_text(const std::filesystem::path& checkpoint, const VerifyReport& report,
                                 const std::optional<std::string>& digest) {
  std::string text;
  const std::string_view kind = report.unreadable ? "not readable" : "damaged";
  for (const std::string& problem : report.problems) text += fmt::format("{}: {}\n", kind, problem);
  if (!report.intact()) return text;
  if (digest) return fmt::format("{}  {}\n", *digest, name_of(checkpoint));
  return fmt::format("{} is intact: {} files, {} tensors, {}\n", name_of(checkpoint), report.files,
                     report.tensors, readable_bytes(report.size_bytes));
}

std::string verification_as_json(const std::filesystem::path& checkpoint, const VerifyReport& report,
                                 const std::optional<std::string>& digest) {
  Json json{
      {"checkpoint", checkpoint.string()}, {"intact", report.intact()},       {"files", report.files},
      {"tensors", report.tensors},         {"size_bytes", report.size_bytes}, {"problems", report.problems},
      {"unreadable", report.unreadable}};
  if (digest) json["digest"] = *digest;
  return dump(json);
}

}  // namespace troupe::storage
