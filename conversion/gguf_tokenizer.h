#pragma once
#include <cstdint>

#include "data/tokenizer/tokenizer.h"
#include "storage/gguf/writer.h"

namespace troupe::conversion {

/// A tokenizer as the metadata of a GGUF file, for a model of `rows` rows in its embedding: those without a
/// token are unused ones. kConfig for one that is not byte-level, or cuts text in a way that llama.cpp has no
/// name for.
[[nodiscard]] storage::gguf::Metadata gguf_tokenizer(const data::Tokenizer& tokenizer, std::int64_t rows);

}  // namespace troupe::conversion
