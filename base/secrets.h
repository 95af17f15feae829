#pragma once
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace troupe {

/// So many bytes of the operating system's generator, in hexadecimal digits. Throws kIo when that fails.
[[nodiscard]] std::string random_hex(std::size_t bytes);

/// Whether two secrets are the same; takes as long wherever they differ.
[[nodiscard]] bool same_secret(std::string_view one, std::string_view other);

/// Throws kConfig, saying what to do, when others than its owner may use a file that holds a secret; kIo when
/// it is not there.
void require_private(const std::filesystem::path& file);

}  // namespace troupe
