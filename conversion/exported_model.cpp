#include "conversion/exported_model.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/index.h"
#include "configs/load.h"
#include "conversion/model_config.h"
#include "model/layer_spec.h"
#include "workers/checkpoint/checkpoint.h"

namespace troupe::conversion {

ExportedModel::ExportedModel(const ExportRequest& request)
    : reader_(request.checkpoint),
      run_(configs::parse_record(reader_.manifest().metadata.config, reader_.folder().string())),
      vocab_size_(reader_.tensor("embedding/weight").shape[0]),
      family_(request.model_type.empty() ? &family_for(run_.model, vocab_size_)
                                         : &family_named(request.model_type)),
      config_(write_config(*family_, run_.model, vocab_size_, run_.data.sequence_length)) {
  require_no_bias();
}

/// A family without a bias that experts are chosen with can only say one of zeros.
void ExportedModel::require_no_bias() {
  if (!family_->names.router_bias.empty()) return;
  for (std::int64_t layer = 0; layer < model::moe_layers(run_.model); ++layer) {
    const std::string name = workers::balancer_name(run_.model, at(layer));
    std::vector<float> bias(at(run_.model.moe.experts));
    reader_.read(name, 0, std::span(bias));
    if (std::ranges::all_of(bias, [](float value) { return value == 0.0F; })) continue;
    throw Error(
        ErrorCode::kConfig,
        "{}: {} is not 0, and a model of type '{}' has no bias that experts are chosen with; train with "
        "model.moe.balancer.kind = none for it",
        reader_.folder().string(), name, family_->model_type);
  }
}

ExportReport report_of(const std::string& model_type, const TensorMap& map) {
  ExportReport report{.model_type = model_type};
  for (const ParameterSpec& spec : map.parameters()) report.parameters += spec.elements();
  return report;
}

}  // namespace troupe::conversion
