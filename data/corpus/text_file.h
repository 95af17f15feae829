#pragma once
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "data/corpus/description.h"

namespace troupe::data {

/// The text of one file: unpacked when it is packed, taken out of its format, with Unix line ends,
/// without a byte order mark or space at the ends of lines. Nothing when it is no text: not valid UTF-8, or
/// with NUL bytes. Throws kCorrupt for damaged packed data or more than 256 MiB, kIo.
[[nodiscard]] std::optional<std::string> read_text_file(const std::filesystem::path& file, TextFormat format);

/// A file's bytes, unpacked when it is gzip, Zstandard or xz. Throws as read_text_file.
[[nodiscard]] std::string read_unpacked(const std::filesystem::path& file,
                                        std::size_t limit_bytes = std::size_t{256} << 20);

namespace detail {
[[nodiscard]] std::optional<std::string> normalise_text(std::string_view bytes);
/// Unix line ends, no space at the ends of lines, a line end after the last.
[[nodiscard]] std::string clean_lines(std::string_view text);
}  // namespace detail

}  // namespace troupe::data
