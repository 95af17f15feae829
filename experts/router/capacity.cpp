#include "experts/router/capacity.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/index.h"
#include "experts/rows.h"

namespace troupe::experts {
namespace {

/// Rounding of k * tokens / N * factor must not make a capacity one larger than the formula's.
constexpr double kRelativeSlack = 1e-12;

TensorView without_zero_experts(const Pass& pass, const MoeOptions& options, ConstTensorView chosen) {
  const TensorView dispatched = pass.arena.allocate(chosen.shape(), DType::kI32);
  for (std::int64_t i = 0; i < chosen.elements(); ++i) {
    const std::int32_t choice = chosen.i32()[i];
    dispatched.i32()[i] = choice < options.experts ? choice : -1;
  }
  return dispatched;
}

/// A pair that asks for a place at an expert.
struct Candidate {
  std::int32_t expert;
  float score;
  std::int32_t token;
};

/// Fills experts up, one slot of all tokens after the other.
class Admission {
 public:
  Admission(const Pass& pass, const MoeOptions& options, TensorView dispatched, ConstTensorView scores,
            std::span<std::int64_t> dropped)
      : by_score_(options.capacity.drop_policy == DropPolicy::kScore),
        dispatched_(dispatched),
        scores_(scores),
        dropped_(dropped),
        taken_(pass.arena.allocate({options.experts}, DType::kI32)),
        candidates_(as_candidates(pass.arena, dispatched.rows())),
        capacity_(expert_capacity(options, dispatched.rows())) {
    std::fill_n(taken_.i32(), options.experts, 0);
  }

  void admit_slot(std::int64_t slot) {
    const auto candidates = collect(slot);
    std::ranges::sort(candidates, [](const Candidate& a, const Candidate& b) {
      if (a.expert != b.expert) return a.expert < b.expert;
      if (a.score != b.score) return a.score > b.score;
      return a.token < b.token;
    });
    for (const Candidate& candidate : candidates) {
      if (taken_.i32()[candidate.expert] < capacity_) {
        ++taken_.i32()[candidate.expert];
      } else {
        ++dropped_[at(candidate.expert)];
        ids(dispatched_, candidate.token)[at(slot)] = -1;
      }
    }
  }

 private:
  static std::span<Candidate> as_candidates(Arena& arena, std::int64_t tokens) {
    constexpr std::int64_t kWords = sizeof(Candidate) / sizeof(std::int32_t);
    const TensorView memory = arena.allocate({tokens, kWords}, DType::kI32);
    return {reinterpret_cast<Candidate*>(memory.data()), at(tokens)};
  }

  std::span<Candidate> collect(std::int64_t slot) {
    std::size_t count = 0;
    for (std::int64_t token = 0; token < dispatched_.rows(); ++token) {
      const std::int32_t expert = ids(dispatched_, token)[at(slot)];
      if (expert < 0) continue;
      candidates_[count++] = {expert, by_score_ ? score_of(token, expert) : 0.0F,
                              static_cast<std::int32_t>(token)};
    }
    return candidates_.first(count);
  }

  [[nodiscard]] float score_of(std::int64_t token, std::int32_t expert) const {
    const float score = row(scores_, token)[at(expert)];
    return std::isnan(score) ? -std::numeric_limits<float>::infinity() : score;
  }

  bool by_score_;
  TensorView dispatched_;
  ConstTensorView scores_;
  std::span<std::int64_t> dropped_;
  TensorView taken_;  // [experts] i32
  std::span<Candidate> candidates_;
  std::int64_t capacity_;
};

}  // namespace

std::int64_t expert_capacity(const MoeOptions& options, std::int64_t tokens) {
  const double share = static_cast<double>(options.top_k * tokens) / static_cast<double>(options.experts);
  const double places = std::ceil(share * options.capacity.factor * (1.0 - kRelativeSlack));
  return places < static_cast<double>(tokens) ? static_cast<std::int64_t>(places) : tokens;
}

bool admits_less(const MoeOptions& options) {
  return options.capacity.kind == CapacityKind::kFactor || options.router.zero_experts > 0;
}

std::int64_t admission_memory(const MoeOptions& options, std::int64_t tokens) {
  if (options.capacity.kind == CapacityKind::kDropless) return 0;
  return options.experts + tokens * static_cast<std::int64_t>(sizeof(Candidate) / sizeof(std::int32_t));
}

TensorView admit(const Pass& pass, const MoeOptions& options, TensorView chosen, ConstTensorView scores,
                 std::span<std::int64_t> dropped) {
  std::ranges::fill(dropped, 0);
  if (!admits_less(options)) return chosen;
  const TensorView dispatched = without_zero_experts(pass, options, chosen);
  if (options.capacity.kind == CapacityKind::kDropless) return dispatched;
  TROUPE_CHECK(std::ssize(dropped) == options.experts, "drops of {} experts, expected {}", dropped.size(),
               options.experts);
  const ArenaScope scope(pass.arena);
  Admission admission(pass, options, dispatched, scores, dropped);
  for (std::int64_t slot = 0; slot < dispatched.columns(); ++slot) admission.admit_slot(slot);
  return dispatched;
}

}  // namespace troupe::experts
