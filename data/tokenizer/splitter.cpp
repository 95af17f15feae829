#include "data/tokenizer/splitter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <utility>

#include "base/error.h"

namespace troupe::data {
namespace {

/// Oniguruma's \s is White_Space; PCRE2's has U+180E as well.
std::string with_white_space(std::string_view pattern) {
  std::string result;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '\\' || i + 1 == pattern.size()) {
      result += pattern[i];
      continue;
    }
    const char letter = pattern[++i];
    if (letter == 's') {
      result += "\\p{White_Space}";
    } else if (letter == 'S') {
      result += "\\P{White_Space}";
    } else {
      result += {'\\', letter};
    }
  }
  return result;
}

struct FreeCode {
  void operator()(pcre2_code* code) const { ::pcre2_code_free(code); }
};
struct FreeMatch {
  void operator()(pcre2_match_data* match) const { ::pcre2_match_data_free(match); }
};

std::string message_of(int error) {
  std::array<unsigned char, 256> text{};
  ::pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

std::unique_ptr<pcre2_code, FreeCode> compile(const std::string& pattern) {
  const std::string translated = with_white_space(pattern);
  int error = 0;
  PCRE2_SIZE place = 0;
  std::unique_ptr<pcre2_code, FreeCode> code(
      ::pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                      PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF, &error, &place, nullptr));
  if (code == nullptr) {
    throw Error(ErrorCode::kCorrupt, "the pattern '{}' is no regular expression: {}", pattern,
                message_of(error));
  }
  ::pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // without it matching is slower, no more
  return code;
}

}  // namespace

class Splitter::Step {
 public:
  explicit Step(const SplitStep& step)
      : behaviour_(step.behaviour),
        pattern_(step.pattern),
        code_(compile(step.pattern)),
        match_(::pcre2_match_data_create_from_pattern(code_.get(), nullptr)) {
    TROUPE_CHECK(match_ != nullptr, "out of memory for a pattern");
  }

  /// Cuts the text at its matches.
  template <class Visit>
  void split(std::string_view text, const Visit& visit) const {
    std::size_t piece = 0;  // where what is not visited yet begins
    const auto cut = [&](std::size_t end) {
      if (end > piece) visit(text.substr(piece, end - piece));
      piece = end;
    };
    std::size_t last_end = std::string_view::npos;
    for (Match match = next(text, 0); match.end != std::string_view::npos; match = next(text, match.end)) {
      if (cuts_before(match.begin == last_end)) cut(match.begin);
      if (cuts_after()) cut(match.end);
      last_end = match.end;
      if (behaviour_ == SplitStep::Behaviour::kContiguous && next(text, match.end).begin != match.end)
        cut(match.end);
    }
    cut(text.size());
  }

 private:
  struct Match {
    std::size_t begin;
    std::size_t end;  // npos: there is none
  };

  [[nodiscard]] bool cuts_before(bool touches_last) const {
    if (behaviour_ == SplitStep::Behaviour::kMergedWithPrevious) return false;
    return behaviour_ != SplitStep::Behaviour::kContiguous || !touches_last;
  }
  [[nodiscard]] bool cuts_after() const {
    return behaviour_ == SplitStep::Behaviour::kIsolated ||
           behaviour_ == SplitStep::Behaviour::kMergedWithPrevious;
  }

  /// The first match from `place` on that is not empty.
  [[nodiscard]] Match next(std::string_view text, std::size_t place) const {
    constexpr Match kNone{std::string_view::npos, std::string_view::npos};
    if (place >= text.size()) return kNone;
    const int result = ::pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                     place, PCRE2_NOTEMPTY, match_.get(), nullptr);
    if (result == PCRE2_ERROR_NOMATCH) return kNone;
    if (result < 0) {
      throw Error(ErrorCode::kCorrupt, "the pattern '{}' cannot be matched: {}", pattern_,
                  message_of(result));
    }
    const PCRE2_SIZE* offsets = ::pcre2_get_ovector_pointer(match_.get());
    return {offsets[0], offsets[1]};
  }

  SplitStep::Behaviour behaviour_;
  std::string pattern_;
  std::unique_ptr<pcre2_code, FreeCode> code_;
  std::unique_ptr<pcre2_match_data, FreeMatch> match_;
};

Splitter::Splitter(const std::vector<SplitStep>& steps) {
  for (const SplitStep& step : steps) steps_.emplace_back(step);
}
Splitter::~Splitter() = default;
Splitter::Splitter(Splitter&&) noexcept = default;

void Splitter::for_each_piece(std::string_view text,
                              const std::function<void(std::string_view)>& visit) const {
  split(0, text, visit);
}

void Splitter::split(std::size_t step, std::string_view text,
                     const std::function<void(std::string_view)>& visit) const {
  if (text.empty()) return;
  if (step == steps_.size()) return visit(text);
  steps_[step].split(text, [&](std::string_view piece) { split(step + 1, piece, visit); });
}

std::vector<SplitStep> split_steps_named(std::string_view name) {
  // tokenizer.json of Llama 3 (meta-llama/Meta-Llama-3-8B) and of Qwen2 and Qwen3 (Qwen/Qwen3-0.6B).
  if (name == "llama3") {
    return {
        {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}};
  }
  if (name == "qwen") {
    return {
        {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}};
  }
  return {};
}

}  // namespace troupe::data
