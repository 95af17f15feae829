#pragma once
#include <cstdint>
#include <filesystem>
#include <span>

#include "data/token_dataset.h"

namespace troupe::data {

/// Writes a new token file, durably; equal content gives equal bytes. Tokens are stored as u16 when
/// the vocabulary allows, else as i32. Throws kIo; kInternal when header and tokens disagree.
void write_token_file(const std::filesystem::path& file, const TokenFileHeader& header,
                      std::span<const std::int32_t> tokens);

}  // namespace troupe::data
