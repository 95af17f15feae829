#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/tokenizer/tokenizer.h"

namespace troupe::tasks {

/// Questions whose answer stands in one sentence of a long text (a "needle in a haystack", as the passkeys of
/// arXiv 2305.16300): how far back, and how deep in its context, a model finds what it read.
struct NeedleRequest {
  std::vector<std::int64_t> lengths;  // of the context in tokens, question included
  std::vector<double> depths;         // place of the needle: 0 at the begin of the text, 1 at its end
  std::int64_t count = 5;             // questions of each length and depth
  std::uint64_t seed = 1;
  std::string haystack;   // text to hide it in, repeated as needed; empty: a few plain sentences
  bool in_words = false;  // the model writes the answer instead of choosing among five
};

/// Lines that read_questions() reads; groups are "length 256, depth 0.50". Throws kConfig for a length that
/// needle and question alone fill.
[[nodiscard]] std::vector<std::string> needle_lines(const NeedleRequest& request,
                                                    const data::Tokenizer& tokenizer);

}  // namespace troupe::tasks
