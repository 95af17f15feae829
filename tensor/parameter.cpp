#include "tensor/parameter.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "base/index.h"
#include "base/random.h"
#include "tensor/parallel.h"

namespace troupe {
namespace {

constexpr std::int64_t kAlignmentFloats = kTensorAlignment / sizeof(float);

// FNV-1a: the stream number of a name. Collisions between names would only correlate initial values.
std::uint32_t stream_of(const std::string& name) {
  std::uint32_t hash = 2166136261U;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return hash;
}

auto key(const ParameterSpec& spec) { return std::tie(spec.name, spec.expert); }

}  // namespace

bool decays(ParameterRole role) {
  switch (role) {
    case ParameterRole::kHead:
    case ParameterRole::kInput:
    case ParameterRole::kOutput:
    case ParameterRole::kRouter:
    case ParameterRole::kGate:
      return true;
    case ParameterRole::kEmbedding:
    case ParameterRole::kNorm:
    case ParameterRole::kInputBias:
    case ParameterRole::kOutputBias:
    case ParameterRole::kRouterBias:
      return false;
  }
  return true;
}

Shape ParameterSpec::global_shape() const {
  if (kind == ParameterKind::kDense) return shape;
  switch (shape.rank()) {
    case 1:
      return Shape{experts, shape[0]};
    case 2:
      return Shape{experts, shape[0], shape[1]};
    default:
      return Shape{experts, shape[0], shape[1], shape[2]};
  }
}

ParameterTable::ParameterTable(std::vector<ParameterSpec> specs) : specs_(std::move(specs)), offsets_{0} {
  std::ranges::sort(specs_, [](const auto& a, const auto& b) { return key(a) < key(b); });
  for (const auto& spec : specs_) {
    const std::int64_t end = offsets_.back() + spec.elements();
    offsets_.push_back((end + kAlignmentFloats - 1) / kAlignmentFloats * kAlignmentFloats);
  }
}

std::int64_t ParameterTable::elements() const {
  std::int64_t total = 0;
  for (const auto& spec : specs_) total += spec.elements();
  return total;
}

std::size_t ParameterTable::find(const std::string& name, std::int64_t expert) const {
  const auto wanted = std::tie(name, expert);
  const auto found = std::ranges::lower_bound(specs_, wanted, {}, [](const auto& spec) { return key(spec); });
  TROUPE_CHECK(found != specs_.end() && key(*found) == wanted, "no parameter {} (expert {})", name, expert);
  return at(found - specs_.begin());
}

TensorView ParameterTable::view(TensorView buffer, std::size_t index) const {
  return buffer.rows(offsets_[index], specs_[index].elements()).reshaped(specs_[index].shape);
}

ConstTensorView ParameterTable::view(ConstTensorView buffer, std::size_t index) const {
  return buffer.rows(offsets_[index], specs_[index].elements()).reshaped(specs_[index].shape);
}

TensorView ParameterTable::view(std::span<float> buffer, std::size_t index) const {
  return {buffer.data() + offsets_[index], specs_[index].shape};
}

ConstTensorView ParameterTable::view(std::span<const float> buffer, std::size_t index) const {
  return {buffer.data() + offsets_[index], specs_[index].shape};
}

namespace {

/// Calls body(std, first, end) for the elements [begin, end) of a parameter, by what they begin with.
template <class Body>
void for_deviations(const ParameterSpec& spec, std::int64_t begin, std::int64_t end, const Body& body) {
  if (spec.initial_rows.empty()) return body(spec.init_std, begin, end);
  const std::int64_t columns = spec.shape[spec.shape.rank() - 1];
  for (std::size_t i = 0; i < spec.initial_rows.size(); ++i) {
    const bool last = i + 1 == spec.initial_rows.size();
    const std::int64_t first = std::max(begin, spec.initial_rows[i].first * columns);
    const std::int64_t stop = last ? end : std::min(end, spec.initial_rows[i + 1].first * columns);
    if (first < stop) body(spec.init_std * spec.initial_rows[i].factor, first, stop);
  }
}

}  // namespace

void initialize(const ParameterSpec& spec, std::uint64_t seed, std::span<float> values, std::int64_t begin) {
  if (spec.init_std == 0.0) {
    std::ranges::fill(values, spec.init_constant);
    return;
  }
  const Random random(seed, RandomPurpose::kInit, stream_of(spec.name));
  const std::int64_t of_expert = spec.global_begin();
  for_deviations(
      spec, begin, begin + std::ssize(values), [&](double deviation, std::int64_t first, std::int64_t end) {
        for (std::int64_t i = first; i < end; ++i) {
          const auto index = static_cast<std::uint64_t>(of_expert + i);
          values[at(i - begin)] = static_cast<float>(deviation * random.truncated_normal(index, 3.0));
        }
      });
}

void initialize(const Execution& execution, const ParameterTable& table, std::uint64_t seed,
                std::int64_t begin, std::int64_t end, std::span<float> buffer) {
  constexpr std::int64_t kElementsOfATask = 1 << 14;
  for (std::size_t i = 0; i < table.specs().size(); ++i) {
    const ParameterSpec& spec = table.specs()[i];
    const std::int64_t from = std::max(begin, table.offset(i));
    const std::int64_t length = std::min(end, table.offset(i) + spec.elements()) - from;
    if (length <= 0) continue;
    parallel_for_blocks(execution, length, kElementsOfATask, [&](std::int64_t first, std::int64_t last) {
      initialize(spec, seed, part(buffer, from + first, last - first), from + first - table.offset(i));
    });
  }
}

}  // namespace troupe
