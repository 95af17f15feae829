#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "data/tokenizer/tokenizer.h"

namespace troupe::data {

/// The committed texts of tests/data/text, whole files in the order of their names.
std::vector<std::string> committed_texts();

/// UTF-8 of one code point.
std::string utf8(std::uint32_t code_point);

/// Valid text of many scripts with contractions and runs of all kinds of spaces.
std::string random_text(const Random& random, std::uint64_t seed, std::size_t characters);

/// Any bytes, valid UTF-8 or not.
std::string random_bytes(const Random& random, std::uint64_t seed, std::size_t size);

/// Trained on the committed texts: 600 entries.
const Tokenizer& small_tokenizer();

}  // namespace troupe::data
