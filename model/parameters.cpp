#include "model/parameters.h"

#include <algorithm>

#include "base/index.h"
#include "model/declaration.h"

namespace troupe::model {
std::vector<ParameterSpec> parameter_specs(const ModelOptions& options, std::int64_t vocab_size) {
  std::vector<ParameterSpec> specs;
  declare(options, vocab_size).for_each([&](const layers::Declaration& layer) {
    specs.insert(specs.end(), layer.parameters().begin(), layer.parameters().end());
  });
  return specs;
}

std::vector<ParameterSpec> dense_specs(const std::vector<ParameterSpec>& all) {
  std::vector<ParameterSpec> chosen;
  std::ranges::copy_if(all, std::back_inserter(chosen),
                       [](const ParameterSpec& spec) { return spec.kind == ParameterKind::kDense; });
  return chosen;
}

std::vector<ParameterSpec> expert_specs(const std::vector<ParameterSpec>& all, std::int64_t first_expert,
                                        std::int64_t last_expert) {
  std::vector<ParameterSpec> chosen;
  std::ranges::copy_if(all, std::back_inserter(chosen), [&](const ParameterSpec& spec) {
    return spec.kind == ParameterKind::kExpert && spec.expert >= first_expert && spec.expert < last_expert;
  });
  return chosen;
}

std::vector<ParameterSpec> expert_specs(const std::vector<ParameterSpec>& all,
                                        const layout::Placement& placement, int position) {
  std::vector<ParameterSpec> chosen;
  std::ranges::copy_if(all, std::back_inserter(chosen), [&](const ParameterSpec& spec) {
    return spec.kind == ParameterKind::kExpert &&
           placement.at(at(spec.moe_layer)).position(static_cast<int>(spec.expert)) == position;
  });
  return chosen;
}

}  // namespace troupe::model
