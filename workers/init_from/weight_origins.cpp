#include "workers/init_from/weight_origins.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/index.h"
#include "model/parameters.h"
#include "model/widths.h"
#include "workers/init_from/expert_mapping.h"

namespace troupe::workers {
namespace {

Origin whole(const std::string& tensor, std::int64_t begin, std::int64_t elements) {
  return {.blocks = {{.tensor = tensor, .begin = begin, .columns = elements, .stride = elements}}};
}

}  // namespace

double weight_sum_at_zero(const experts::MoeOptions& options) {
  const auto& router = options.router;
  if (router.normalize_weights || router.softmax_after_topk) return router.scale;
  const auto chosen = router.scale * static_cast<double>(options.top_k);
  switch (router.score) {
    case experts::Score::kSoftmax:
      return chosen / static_cast<double>(options.choices());
    case experts::Score::kSigmoid:
      return chosen / 2.0;
    case experts::Score::kSqrtSoftplus:
      return chosen * std::sqrt(std::log(2.0));
  }
  return chosen;
}

WeightOrigins::WeightOrigins(const SourceModel& source, const model::ModelOptions& target,
                             std::int64_t vocab_size, const InitFromOptions& options)
    : source_(source), target_(target), options_(options) {
  for (const auto& spec : model::parameter_specs(source.model, source.vocab_size))
    specs_.emplace(spec.name, spec);
  require_same_layers();
  for (const auto& spec : model::parameter_specs(target, vocab_size)) static_cast<void>(of(spec));
  require_nothing_lost(vocab_size);
}

void WeightOrigins::require_same_layers() const {
  if (source_.model.layers == target_.layers) return;
  throw Error(ErrorCode::kConfig, "{} has {} layers and model.layers is {}: set it to {}", source_.name,
              source_.model.layers, target_.layers, source_.model.layers);
}

/// Every tensor of the source has a place: its own name, or the experts of a layer that was dense.
void WeightOrigins::require_nothing_lost(std::int64_t vocab_size) const {
  std::set<std::string> used;
  for (const auto& spec : model::parameter_specs(target_, vocab_size)) {
    for (const Block& block : of(spec).blocks) used.insert(block.tensor);
  }
  for (const auto& [name, spec] : specs_) {
    if (used.contains(name)) continue;
    if (name.starts_with("head/") && target_.objective.is_reward()) continue;  // another head is there
    if (spec.layer >= target_.layers + target_.mtp.depth) continue;  // a module that only training had
    throw Error(ErrorCode::kConfig,
                "{}: {} {} has no place in the model that is configured: give the model the part that it "
                "belongs to",
                source_.name, name, spec.global_shape().to_string());
  }
}

const ParameterSpec* WeightOrigins::find(const std::string& name) const {
  const auto found = specs_.find(name);
  return found == specs_.end() ? nullptr : &found->second;
}

const ParameterSpec& WeightOrigins::source_of(const ParameterSpec& target, const std::string& name) const {
  const ParameterSpec* found = find(name);
  if (found != nullptr) return *found;
  throw Error(ErrorCode::kConfig,
              "{} has no {}, which {} {} would come from: configure the model without it, or begin from "
              "another checkpoint",
              source_.name, name, target.name, target.shape.to_string());
}

Origin WeightOrigins::of(const ParameterSpec& target) const {
  if (target.layer >= source_.model.layers + source_.model.mtp.depth) return {};  // a new module
  const bool had_experts = target.layer >= 0 && model::is_moe_layer(source_.model, target.layer);
  switch (target.part) {
    case ParameterPart::kExperts:
      return had_experts ? copied_expert(target) : upcycled_expert(target);
    case ParameterPart::kRouter:
      return had_experts ? router(target) : upcycled_router(target);
    case ParameterPart::kSharedExperts:
      return find(target.name) == nullptr ? Origin{} : copied(target);
    case ParameterPart::kHead:
      return target.role == ParameterRole::kGate && find(target.name) == nullptr ? Origin{} : copied(target);
    case ParameterPart::kEmbedding:
    case ParameterPart::kMixer:
    case ParameterPart::kFeedForward:
      break;
  }
  return copied(target);
}

Origin WeightOrigins::copied(const ParameterSpec& target) const {
  const ParameterSpec& source = source_of(target, target.name);
  if (source.shape == target.shape) return whole(source.name, 0, target.elements());
  throw Error(ErrorCode::kConfig, "{}: {} is {}, and {} in the model that is configured: both must be equal",
              source_.name, target.name, source.shape.to_string(), target.shape.to_string());
}

Origin WeightOrigins::copied_expert(const ParameterSpec& target) const {
  const ParameterSpec& source = source_of(target, target.name);
  if (source.shape != target.shape) {
    throw Error(ErrorCode::kConfig,
                "{}: an expert's {} is {}, and {} in the model that is configured: experts can change in "
                "number, not in size; set model.moe.expert_size to {}",
                source_.name, target.name, source.shape.to_string(), target.shape.to_string(),
                source_.model.moe.expert_size);
  }
  const auto sources = choices(target.layer);
  const auto mine = sources.begin() + target.expert;
  Origin origin = whole(source.name, *mine * source.elements(), source.elements());
  origin.duplicate = std::find(sources.begin(), mine, *mine) != mine;
  return origin;
}

std::vector<std::int64_t> WeightOrigins::choices(std::int64_t layer) const {
  if (!model::is_moe_layer(source_.model, layer)) return {};
  const auto& moe = source_.model.moe;
  const auto index = at(model::moe_index(source_.model, layer));
  auto sources = map_experts(source_.loads.at(index), target_.moe.experts);
  for (std::int64_t zero = 0; zero < target_.moe.router.zero_experts; ++zero) {
    sources.push_back(moe.router.zero_experts > 0 ? moe.experts + zero % moe.router.zero_experts : -1);
  }
  return sources;
}

/// Every router parameter has one row per choice.
Origin WeightOrigins::router(const ParameterSpec& target) const {
  const ParameterSpec* source = find(target.name);
  if (source == nullptr) return {};
  const std::int64_t width = source->elements() / source_.model.moe.choices();
  if (width * target_.moe.choices() != target.elements()) return copied(target);  // says both shapes
  Origin origin;
  std::int64_t row = 0;
  for (const std::int64_t choice : choices(target.layer)) {
    const bool is_new = choice < 0;
    origin.blocks.push_back({.tensor = is_new ? "" : source->name,
                             .begin = (is_new ? row : choice) * width,
                             .columns = width,
                             .stride = width});
    ++row;
  }
  return origin;
}

std::int64_t WeightOrigins::slices() const {
  return model::ffn_width(source_.model) / target_.moe.expert_size;
}

void WeightOrigins::require_slices_fit() const {
  const auto& moe = target_.moe;
  const std::int64_t size = model::ffn_width(source_.model);
  if (size % moe.expert_size != 0) {
    throw Error(
        ErrorCode::kConfig,
        "{}: its dense layers are {} wide, and model.moe.expert_size is {}: it must be {} (every expert "
        "a copy), or a whole part of it (slices)",
        source_.name, size, moe.expert_size, size);
  }
  if (moe.top_k % slices() != 0 || moe.experts % slices() != 0) {
    throw Error(
        ErrorCode::kConfig,
        "{}: an expert of width {} is one of {} slices of a dense layer of width {}, and all of them "
        "are chosen together: model.moe.top_k = {} and model.moe.experts = {} must be multiples of {}",
        source_.name, moe.expert_size, slices(), size, moe.top_k, moe.experts, slices());
  }
}

/// Rows of a group of slices are the first one's; without slices the router begins as configured.
Origin WeightOrigins::upcycled_router(const ParameterSpec& target) const {
  require_slices_fit();
  if (slices() == 1) return {};
  const std::int64_t width = target.elements() / target_.moe.choices();
  Origin origin;
  for (std::int64_t choice = 0; choice < target_.moe.choices(); ++choice) {
    const bool is_expert = choice < target_.moe.experts;
    const std::int64_t row = is_expert ? choice / slices() * slices() : choice;
    origin.blocks.push_back({.tensor = "", .begin = row * width, .columns = width, .stride = width});
  }
  return origin;
}

/// The parameter of the layer's dense feed-forward that has the role of an expert's.
const ParameterSpec& WeightOrigins::dense_source(const ParameterSpec& target) const {
  for (const auto& [name, spec] : specs_) {
    if (spec.layer != target.layer || spec.part != ParameterPart::kFeedForward || spec.role != target.role)
      continue;
    const std::int64_t of_expert = spec.elements() / model::ffn_width(source_.model);
    const bool whole = target.role == ParameterRole::kOutputBias;
    if (whole || of_expert * target_.moe.expert_size == target.elements()) return spec;
    throw Error(ErrorCode::kConfig,
                "{}: {} is {}, and {} {} cannot be made of it: set model.ffn.activation to what the "
                "checkpoint was trained with",
                source_.name, name, spec.shape.to_string(), target.name, target.shape.to_string());
  }
  throw Error(ErrorCode::kConfig,
              "{}: the dense feed-forward of layer {} has nothing that {} {} would come from: configure the "
              "model without it, or begin from another checkpoint",
              source_.name, target.layer, target.name, target.shape.to_string());
}

Origin WeightOrigins::upcycled_expert(const ParameterSpec& target) const {
  require_slices_fit();
  const ParameterSpec& source = dense_source(target);
  Origin origin;
  origin.duplicate = target.expert >= slices();
  const std::int64_t size = target_.moe.expert_size;
  const std::int64_t slice = target.expert % slices();
  if (target.role == ParameterRole::kOutput) {
    origin.blocks.push_back({.tensor = source.name,
                             .begin = slice * size,
                             .rows = source.shape[0],
                             .columns = size,
                             .stride = source.shape[1],
                             .factor = slice_factor(target.role)});
    return origin;
  }
  if (target.role == ParameterRole::kOutputBias) {
    origin.blocks = whole(source.name, 0, source.elements()).blocks;
    origin.blocks[0].factor = slice_factor(target.role);
    return origin;
  }
  const std::int64_t halves = ops::input_columns(target_.ffn.form.activation);
  const std::int64_t width = target.elements() / (halves * size);
  for (std::int64_t half = 0; half < halves; ++half) {
    origin.blocks.push_back({.tensor = source.name,
                             .begin = (half * model::ffn_width(source_.model) + slice * size) * width,
                             .columns = size * width,
                             .stride = size * width,
                             .factor = slice_factor(target.role)});
  }
  return origin;
}

/// On a slice's weights: together they are the factor s / (sum of a token's weights).
float WeightOrigins::slice_factor(ParameterRole role) const {
  const double weight_sum = weight_sum_at_zero(target_.moe);
  if (role == ParameterRole::kOutputBias) return static_cast<float>(1.0 / weight_sum);
  const double factor = static_cast<double>(slices()) / weight_sum;
  if (options_.slice_scale == SliceScale::kExact)
    return role == ParameterRole::kOutput ? static_cast<float>(factor) : 1.0F;
  const auto activation = target_.ffn.form.activation;
  const bool cubic = ops::input_columns(activation) == 2 || activation == ops::Activation::kRelu2;
  return static_cast<float>(cubic ? std::cbrt(factor) : std::sqrt(factor));
}

}  // namespace troupe::workers
