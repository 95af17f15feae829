#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::data {

/// One step that cuts pieces of text into smaller ones, as Hugging Face's `Split` does. A match of the
/// pattern and what lies between two matches become pieces.
struct SplitStep {
  enum class Behaviour : std::uint8_t {
    kIsolated,            // matches are pieces of their own
    kMergedWithPrevious,  // a match goes to the piece before it
    kMergedWithNext,
    kContiguous,  // matches that touch are one piece
  };
  std::string pattern;  // a regular expression
  Behaviour behaviour = Behaviour::kIsolated;
  bool operator==(const SplitStep&) const = default;
};

/// Patterns of published tokenizers, by the name that `troupe tokenizer train --pattern` takes; empty for an
/// unknown name. gpt2 has a pre-tokenizer of its own (pre_tokenizer.h) and no steps.
[[nodiscard]] std::vector<SplitStep> split_steps_named(std::string_view name);

/// Cuts text by steps, each applied to what the one before it gave. Patterns are those of Oniguruma, as
/// tokenizer.json writes them; PCRE2 runs them (\s is White_Space there, too). Bytes that are no UTF-8 match
/// nothing. Not thread-safe: one per thread.
class Splitter {
 public:
  /// Throws Error{kCorrupt} for a pattern that is none.
  explicit Splitter(const std::vector<SplitStep>& steps);
  ~Splitter();
  Splitter(Splitter&&) noexcept;

  /// Calls visit for every piece, in order; together they are the text.
  void for_each_piece(std::string_view text, const std::function<void(std::string_view)>& visit) const;

 private:
  class Step;
  void split(std::size_t step, std::string_view text,
             const std::function<void(std::string_view)>& visit) const;

  std::vector<Step> steps_;
};

}  // namespace troupe::data
