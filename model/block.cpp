#include "model/block.h"

#include "base/index.h"
#include "base/random.h"
#include "tensor/ops/elementwise/elementwise.h"

namespace troupe::model {
namespace {

using experts::MoeLayer;
using layers::NormLayer;

bool has_feed_forward(const LayerSpec& layer) {
  return !layer.moe_layer || layer.shortcut == ShortcutPlace::kBegins;
}

std::optional<layers::FeedForward> make_ffn(const LayerSpec& layer, const BlockContext& context) {
  if (!has_feed_forward(layer)) return std::nullopt;
  return layers::FeedForward(layer.feed_forward.form, context.mixer.table, layer.prefix + "ffn/",
                             layer.feed_forward.intermediate_size.value(),
                             layers::Dropout(layer.ffn_dropout, layer.layer, RandomPurpose::kFfnDropout));
}

std::optional<MoeLayer> make_moe(const LayerSpec& layer, const BlockContext& context) {
  if (!layer.moe_layer) return std::nullopt;
  return MoeLayer(context.moe, layer.feed_forward.form, layer.layer, layer.prefix, context.mixer.table,
                  context.experts, context.group.layer(at(*layer.moe_layer)), context.exchange,
                  layer.ffn_dropout);
}

bool has_norm_before(NormPlacement placement) {
  return placement == NormPlacement::kPre || placement == NormPlacement::kSandwich ||
         placement == NormPlacement::kParallel;
}

bool has_norm_after(NormPlacement placement) {
  return placement == NormPlacement::kPost || placement == NormPlacement::kPostResidual ||
         placement == NormPlacement::kSandwich;
}

/// The parts of a block as they are declared, one after another.
class BlockDeclaration {
 public:
  BlockDeclaration(layers::Declaration& block, const LayerSpec& layer, std::int64_t hidden_size)
      : block_(block), layer_(layer), hidden_size_(hidden_size) {}

  template <class Declare>
  void add(const std::string& folder, ParameterPart part, const Declare& declare) {
    layers::Declaration of_part = block_.part(folder, part);
    declare(of_part);
    block_.add(std::move(of_part));
  }
  void add_norm(const std::string& folder, ParameterPart part) {
    add(folder, part,
        [&](layers::Declaration& norm) { NormLayer::declare(norm, layer_.norm, hidden_size_); });
  }
  void add_norm_after(const std::string& name, ParameterPart part) {
    if (!has_norm_after(layer_.norm.placement)) return;
    block_.keep(block_.tokens() * hidden_size_);  // what it sees
    add_norm(name + "_post_norm/", part);
  }

 private:
  layers::Declaration& block_;
  const LayerSpec& layer_;
  std::int64_t hidden_size_;
};

}  // namespace

void Block::declare(layers::Declaration& declaration, const LayerSpec& layer, const experts::MoeOptions& moe,
                    std::int64_t hidden_size, const experts::RoutedRows& rows) {
  const std::int64_t stream = declaration.tokens() * hidden_size;
  const NormPlacement placement = layer.norm.placement;
  declaration.keep(stream, 2);  // the output, and what is between mixer and feed-forward
  const bool finishes = layer.residual_multiplier != 1.0 || layer.residual_dropout > 0.0;
  declaration.use_in_backward(stream, finishes ? 2 : 1);
  if (finishes && placement == NormPlacement::kParallel) declaration.use_in_backward(stream);
  const bool keeps_gradient = placement == NormPlacement::kPostResidual ||
                              placement == NormPlacement::kSandwich || placement == NormPlacement::kParallel;
  if (keeps_gradient) declaration.use_in_backward(stream);
  if (layer.shortcut != ShortcutPlace::kNone) declaration.use_in_backward(stream);  // its gradient
  if (layer.shortcut == ShortcutPlace::kBegins) {
    declaration.keep(stream);  // what the experts give
    declaration.use_in_backward(stream);
  }
  BlockDeclaration parts(declaration, layer, hidden_size);
  if (has_norm_before(placement)) parts.add_norm("attention_norm/", ParameterPart::kMixer);
  parts.add("attention/", ParameterPart::kMixer,
            [&](layers::Declaration& mixer) { declare_mixer(mixer, layer, hidden_size); });
  parts.add_norm_after("attention", ParameterPart::kMixer);
  const bool shares_norm = placement == NormPlacement::kParallel;
  if (has_norm_before(placement) && !shares_norm) parts.add_norm("ffn_norm/", ParameterPart::kFeedForward);
  const FfnOptions& ffn = layer.feed_forward;
  if (layer.moe_layer) {
    parts.add("", ParameterPart::kExperts, [&](layers::Declaration& experts) {
      MoeLayer::declare(experts, moe, ffn.form, hidden_size, *layer.moe_layer, rows);
    });
  }
  if (has_feed_forward(layer)) {
    parts.add("ffn/", ParameterPart::kFeedForward, [&](layers::Declaration& dense) {
      layers::FeedForward::declare(dense, ffn.form, hidden_size, ffn.intermediate_size.value());
    });
  }
  parts.add_norm_after("ffn", ParameterPart::kFeedForward);
}

Block::Branch Block::make_branch(const LayerSpec& layer, const ParameterTable& table,
                                 const std::string& name) {
  const NormPlacement placement = layer.norm.placement;
  const bool has_shared_one = placement == NormPlacement::kParallel && name == "ffn";
  const std::int64_t place = 2 * layer.layer + (name == "ffn" ? 2 : 1);  // 0 is the embedding
  Branch branch{{}, {}, layers::Dropout(layer.residual_dropout, place)};
  if (has_norm_before(placement) && !has_shared_one)
    branch.before.emplace(NormLayer::in_folder(table, layer.prefix + name + "_norm/", layer.norm));
  if (has_norm_after(placement))
    branch.after.emplace(NormLayer::in_folder(table, layer.prefix + name + "_post_norm/", layer.norm));
  return branch;
}

Block::Block(const LayerSpec& layer, const BlockContext& context)
    : placement_(layer.norm.placement),
      residual_multiplier_(static_cast<float>(layer.residual_multiplier)),
      mixer_branch_(make_branch(layer, context.mixer.table, "attention")),
      mixer_(make_mixer(layer, context.mixer)),
      ffn_branch_(make_branch(layer, context.mixer.table, "ffn")),
      ffn_(make_ffn(layer, context)),
      moe_(make_moe(layer, context)),
      moe_index_(layer.moe_layer.value_or(0)),
      shortcut_(layer.shortcut) {}

Block::Saved Block::make_saved() const {
  Saved saved;
  saved.mixer = mixer_->make_saved();
  if (moe_) saved.moe.emplace(moe_->make_saved());
  return saved;
}

void Block::forward(const Pass& pass, ConstTensorView x, const StepContext& step, Saved& saved,
                    MicrobatchResult& result, TensorView y, TensorView shortcut) const {
  saved.x = x;
  if (placement_ == NormPlacement::kParallel) return forward_parallel(pass, step, saved, result, y);
  forward_branches(pass, step, saved, result, y, shortcut);
  if (shortcut_ == ShortcutPlace::kEnds) ops::add(pass.execution, shortcut, y);
}

void Block::forward_branches(const Pass& pass, const StepContext& step, Saved& saved,
                             MicrobatchResult& result, TensorView y, TensorView shortcut) const {
  saved.middle = pass.arena.allocate(saved.x.shape());
  forward_branch(pass, mixer_branch_, saved.x, saved.mixer_branch, saved.middle,
                 [&](ConstTensorView in, TensorView out) { mixer_->forward(pass, in, *saved.mixer, out); });
  forward_branch(
      pass, ffn_branch_, saved.middle, saved.ffn_branch, y,
      [&](ConstTensorView in, TensorView out) { forward_ffn(pass, step, in, saved, result, out, shortcut); });
}

void Block::backward(const Pass& pass, const StepContext& step, Saved& saved, MicrobatchResult& result,
                     TensorView gradient, TensorView shortcut) const {
  if (placement_ == NormPlacement::kParallel) return backward_parallel(pass, step, saved, result, gradient);
  if (shortcut_ == ShortcutPlace::kEnds) ops::affine(pass.execution, gradient, 1.0F, 0.0F, shortcut);
  backward_branch(pass, ffn_branch_, saved.middle, saved.ffn_branch, gradient,
                  [&](ConstTensorView dy, ConstTensorView, TensorView dx) {
                    backward_ffn(pass, step, dy, saved, result, dx, shortcut);
                  });
  backward_branch(pass, mixer_branch_, saved.x, saved.mixer_branch, gradient,
                  [&](ConstTensorView dy, ConstTensorView in, TensorView dx) {
                    mixer_->backward(pass, dy, in, *saved.mixer, dx);
                  });
}

/// y = x + body(x), with the norms that there are. x stays.
template <class Body>
void Block::forward_branch(const Pass& pass, const Branch& branch, ConstTensorView x, BranchSaved& saved,
                           TensorView y, const Body& body) const {
  if (branch.before) saved.before = branch.before->forward(pass, x);
  if (branch.after) saved.raw = pass.arena.allocate(x.shape());
  const TensorView out = branch.after ? saved.raw : y;
  body(branch.before ? ConstTensorView(saved.before.y) : x, out);
  finish(pass, branch, out);
  if (placement_ == NormPlacement::kPost) ops::sum(pass.execution, out, x, out);
  if (branch.after) saved.after = branch.after->forward(pass, out);
  if (placement_ != NormPlacement::kPost)
    return ops::sum(pass.execution, branch.after ? saved.after.y : out, x, y);
  ops::affine(pass.execution, saved.after.y, 1.0F, 0.0F, y);
}

/// gradient: of y, becomes that of x. body(dy, its input, dx) overwrites dx.
template <class Body>
void Block::backward_branch(const Pass& pass, const Branch& branch, ConstTensorView x,
                            const BranchSaved& saved, TensorView gradient, const Body& body) const {
  const ArenaScope scope(pass.arena);
  TensorView dout = gradient;
  if (branch.after) {
    dout = placement_ == NormPlacement::kPost ? gradient : pass.arena.allocate(gradient.shape());
    branch.after->backward(pass, gradient, saved.raw, saved.after, dout, ops::Accumulate::kNo);
  }
  const TensorView din = pass.arena.allocate(gradient.shape());
  body(unfinished(pass, branch, dout), branch.before ? ConstTensorView(saved.before.y) : x, din);
  if (!branch.before) return ops::add(pass.execution, din, gradient);
  branch.before->backward(pass, din, x, saved.before, gradient);
}

void Block::forward_parallel(const Pass& pass, const StepContext& step, Saved& saved,
                             MicrobatchResult& result, TensorView y) const {
  saved.mixer_branch.before = mixer_branch_.before->forward(pass, saved.x);
  const ConstTensorView normed = saved.mixer_branch.before.y;
  saved.middle = pass.arena.allocate(saved.x.shape());
  mixer_->forward(pass, normed, *saved.mixer, saved.middle);
  forward_ffn(pass, step, normed, saved, result, y);
  finish(pass, mixer_branch_, saved.middle);
  finish(pass, ffn_branch_, y);
  ops::sum(pass.execution, saved.middle, y, y);
  ops::sum(pass.execution, y, saved.x, y);
}

void Block::backward_parallel(const Pass& pass, const StepContext& step, Saved& saved,
                              MicrobatchResult& result, TensorView gradient) const {
  const ArenaScope scope(pass.arena);
  const ConstTensorView normed = saved.mixer_branch.before.y;
  const TensorView dnormed = pass.arena.allocate(gradient.shape());
  const TensorView of_mixer = pass.arena.allocate(gradient.shape());
  backward_ffn(pass, step, unfinished(pass, ffn_branch_, gradient), saved, result, dnormed);
  mixer_->backward(pass, unfinished(pass, mixer_branch_, gradient), normed, *saved.mixer, of_mixer);
  ops::add(pass.execution, of_mixer, dnormed);
  mixer_branch_.before->backward(pass, dnormed, saved.x, saved.mixer_branch.before, gradient);
}

void Block::forward_ffn(const Pass& pass, const StepContext& step, ConstTensorView x, Saved& saved,
                        MicrobatchResult& result, TensorView y, TensorView shortcut) const {
  if (moe_) {
    moe_->forward(pass, x, step.layer(moe_index_, result.layers()), result.layer(moe_index_).load, *saved.moe,
                  begins_shortcut() ? shortcut : y);
  }
  if (!ffn_) return;
  saved.ffn = ffn_->allocate(pass.arena, y.rows());
  ffn_->expand(pass, x, saved.ffn);
  ffn_->contract(pass, saved.ffn, y);
}

void Block::backward_ffn(const Pass& pass, const StepContext& step, ConstTensorView dy, Saved& saved,
                         MicrobatchResult& result, TensorView dx, TensorView shortcut) const {
  const BranchSaved& branch = placement_ == NormPlacement::kParallel ? saved.mixer_branch : saved.ffn_branch;
  const ConstTensorView x = has_norm_before(placement_) ? branch.before.y : saved.middle;
  if (!ffn_) return backward_experts(pass, step, dy, x, saved, result, dx);
  ffn_->backward_contract(pass, dy, saved.ffn);
  ffn_->backward_expand(pass, dy, x, saved.ffn, dx);
  if (!moe_) return;
  const ArenaScope scope(pass.arena);
  const TensorView of_experts = pass.arena.allocate(dx.shape());
  backward_experts(pass, step, shortcut, x, saved, result, of_experts);
  ops::add(pass.execution, of_experts, dx);
}

void Block::backward_experts(const Pass& pass, const StepContext& step, ConstTensorView dy, ConstTensorView x,
                             Saved& saved, MicrobatchResult& result, TensorView dx) const {
  moe_->backward(pass, dy, x, step.layer(moe_index_, result.layers()), result.layer(moe_index_), *saved.moe,
                 dx);
}

/// What a branch adds, after dropout and times the residual multiplier.
void Block::finish(const Pass& pass, const Branch& branch, TensorView added) const {
  branch.dropout.apply(pass, added);
  if (residual_multiplier_ != 1.0F) ops::affine(pass.execution, added, residual_multiplier_, 0.0F, added);
}

/// The gradient of that, in memory of its own: dadded is that of the residual path, too.
ConstTensorView Block::unfinished(const Pass& pass, const Branch& branch, TensorView dadded) const {
  if (residual_multiplier_ == 1.0F && !branch.dropout.active(pass)) return dadded;
  const TensorView gradient = pass.arena.allocate(dadded.shape());
  ops::affine(pass.execution, dadded, residual_multiplier_, 0.0F, gradient);
  branch.dropout.apply(pass, gradient);
  return gradient;
}

}  // namespace troupe::model
