#pragma once
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "storage/checkpoint_store.h"
#include "storage/manifest.h"
#include "storage/verify.h"

/// What `troupe checkpoint` prints: text for people, or one JSON document for programs (`--json`).
/// Every result ends with a line break.
namespace troupe::storage {

[[nodiscard]] std::string list_as_text(std::span<const CheckpointSummary> checkpoints);
[[nodiscard]] std::string list_as_json(std::span<const CheckpointSummary> checkpoints);

[[nodiscard]] std::string manifest_as_text(const std::filesystem::path& checkpoint, const Manifest& manifest);
[[nodiscard]] std::string manifest_as_json(const std::filesystem::path& checkpoint, const Manifest& manifest);

/// `digest`: when it was asked for. The text of an intact checkpoint is then that line alone, as sha256sum
/// prints it: equal for equal states, wherever they lie.
[[nodiscard]] std::string verification_as_text(const std::filesystem::path& checkpoint,
                                               const VerifyReport& report,
                                               const std::optional<std::string>& digest);
[[nodiscard]] std::string verification_as_json(const std::filesystem::path& checkpoint,
                                               const VerifyReport& report,
                                               const std::optional<std::string>& digest);

}  // namespace troupe::storage
