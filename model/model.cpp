#include "model/model.h"

#include <utility>

#include "base/index.h"
#include "model/parameters.h"
#include "tensor/transfer.h"

namespace troupe::model {
namespace {

std::size_t moe_layer_count(const ModelOptions& options) { return at(moe_layers(options)); }

std::vector<float> zeros(std::int64_t elements) { return std::vector<float>(at(elements)); }

Tensor buffer_of(const ParameterTable& table, Accelerator* accelerator) {
  return Tensor({table.buffer_elements()}, DType::kF32, accelerator);
}

}  // namespace

ParameterTable local_experts(const std::vector<ParameterSpec>& specs, const ModelOptions& options,
                             const layout::Layout& layout, int worker) {
  return ParameterTable(
      expert_specs(specs, layout.placements(moe_layer_count(options)), layout.position(worker)));
}

Model::Model(const ModelSetup& setup, layout::Layout layout, comm::Communicator& world, const Clock& clock)
    : setup_(setup),
      layout_(std::move(layout)),
      profile_(clock, setup.threads, setup.profile_ops),
      execution_{setup.threads, &profile_, setup.accelerator},
      groups_(world, layout_),
      specs_(parameter_specs(setup.options, setup.shape.vocab_size)),
      dense_table_(dense_specs(specs_)),
      expert_table_(local_experts(specs_, setup.options, layout_, world.rank())),
      dense_values_(buffer_of(dense_table_, setup.accelerator)),
      expert_values_(buffer_of(expert_table_, setup.accelerator)),
      bias_(zeros(moe_layers(setup.options) * setup.options.moe.choices())),
      transformer_(make_transformer()) {}

void Model::initialize() {
  const auto fill = [&](const ParameterTable& table, TensorView buffer) {
    HostMirror mirror(setup_.accelerator, buffer, HostMirror::Content::kZero);
    troupe::initialize(execution_, table, setup_.seed, 0, table.buffer_elements(), mirror.values());
    mirror.put_back();
  };
  fill(dense_table_, dense_values_);
  fill(expert_table_, expert_values_);
}

std::span<float> Model::bias(std::size_t moe_layer) {
  const auto choices = at(options().moe.choices());
  return std::span(bias_).subspan(moe_layer * choices, at(options().moe.experts));
}

StepContext Model::frozen_context() const { return {.target_tokens = 1, .bias = bias_, .seed = setup_.seed}; }

void Model::place(layout::Layout layout, ParameterTable experts, Tensor expert_values) {
  transformer_.reset();  // before the next one reserves its memory
  layout_ = std::move(layout);
  expert_table_ = std::move(experts);
  expert_values_ = std::move(expert_values);
  transformer_ = make_transformer();
}

std::unique_ptr<Transformer> Model::make_transformer() const {
  return std::make_unique<Transformer>(
      setup_.options, setup_.shape, dense_table_, expert_table_,
      experts::ModelExpertGroup{*groups_.expert_group, layout_.placements(moe_layer_count(setup_.options)),
                                setup_.dispatch},
      execution_);
}

}  // namespace troupe::model
