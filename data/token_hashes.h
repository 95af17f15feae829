#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace troupe::data {

struct TokenFileHeader;

/// Tokens are hashed in chunks of this many (the last may be shorter): small enough that checking them costs
/// microseconds where a window is read, large enough that their hashes are a thousandth of the tokens.
inline constexpr std::int64_t kHashedChunkTokens = 4096;

/// XXH3 (the low 64 bits of the 128-bit hash) of a chunk's tokens as the file stores them.
[[nodiscard]] std::int64_t chunk_hash(std::span<const std::byte> stored_tokens);

/// [chunks]; stored_tokens: [tokens * width_bytes]
[[nodiscard]] std::vector<std::int64_t> chunk_hashes(std::span<const std::byte> stored_tokens,
                                                     std::int64_t width_bytes);

/// 32 hexadecimal digits over everything that a token file means: every field of the header, and the tokens
/// by their chunks' hashes. Equal exactly when two files train a model alike.
[[nodiscard]] std::string content_hash(const TokenFileHeader& header,
                                       std::span<const std::int64_t> chunk_hashes);

}  // namespace troupe::data
