#pragma once
#include <cstdint>
#include <string>

#include "configs/run_config.h"
#include "conversion/config_json.h"
#include "conversion/export.h"
#include "conversion/family.h"
#include "conversion/tensor_map.h"
#include "storage/checkpoint_reader.h"

namespace troupe::conversion {

/// A checkpoint that is to be written for other programs: what its model is called there.
class ExportedModel {
 public:
  /// kConfig, naming the options or biases that the family cannot say, or each one's reason when none can;
  /// kCorrupt, kIo.
  explicit ExportedModel(const ExportRequest& request);

  [[nodiscard]] storage::CheckpointReader& reader() { return reader_; }
  [[nodiscard]] const model::ModelOptions& options() const { return run_.model; }
  [[nodiscard]] std::int64_t vocab_size() const { return vocab_size_; }
  [[nodiscard]] const Family& family() const { return *family_; }
  /// Its config.json, without what only some formats say.
  [[nodiscard]] const ordered_json& config() const { return config_; }

 private:
  void require_no_bias();

  storage::CheckpointReader reader_;
  configs::RunConfig run_;
  std::int64_t vocab_size_;
  const Family* family_;
  ordered_json config_;
};

[[nodiscard]] ExportReport report_of(const std::string& model_type, const TensorMap& map);

}  // namespace troupe::conversion
