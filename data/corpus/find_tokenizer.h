#pragma once
#include <filesystem>

namespace troupe::data {

/// The tokenizer.json that a file, a corpus or a run stands for: a run that has none of its own has its
/// corpus'. kConfig when there is none.
[[nodiscard]] std::filesystem::path find_tokenizer(const std::filesystem::path& path);

}  // namespace troupe::data
