#pragma once
// Private to data/sources/*.cpp: documents of files that hold tokens.
#include <memory>

#include "data/sources/input_reader.h"

namespace troupe::data {

/// nanoGPT's .bin (u16 ids, nothing else) and llm.c's (256 words of header, then u16 or u32 ids). Documents
/// lie between ends of text, which are left out; one of more than a million tokens is cut. kCorrupt for a
/// header or a length that is neither's.
[[nodiscard]] std::unique_ptr<DocumentCutter> make_token_bin_cutter(const InputFile& file,
                                                                    const ReadOptions& options);

/// Megatron's .bin beside its .idx (version 1). Documents are those of the index; an end of text at the end
/// of one is left out. kCorrupt for an index that does not fit the file.
[[nodiscard]] std::unique_ptr<DocumentCutter> make_megatron_cutter(const InputFile& file,
                                                                   const ReadOptions& options);

}  // namespace troupe::data
