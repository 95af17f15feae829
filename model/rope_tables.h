#pragma once
#include <cstdint>
#include <map>
#include <utility>

#include "model/options.h"
#include "tensor/ops/rope/rope.h"

namespace troupe::model {

/// The rotations of a model's layers, one table for all that rotate alike.
class RopeTables {
 public:
  explicit RopeTables(std::int64_t sequence_length, Accelerator* accelerator = nullptr)
      : sequence_length_(sequence_length), accelerator_(accelerator) {}

  /// Lives as long as this.
  [[nodiscard]] const ops::RopeTable& of(const RopeOptions& options, std::int64_t head_dim) {
    const auto channels = static_cast<std::int64_t>(static_cast<double>(head_dim) * options.fraction) / 2 * 2;
    return tables_
        .try_emplace({options.theta, channels}, sequence_length_, channels, options.theta, accelerator_)
        .first->second;
  }

 private:
  std::int64_t sequence_length_;
  Accelerator* accelerator_;
  std::map<std::pair<double, std::int64_t>, ops::RopeTable> tables_;  // by theta and rotated channels
};

}  // namespace troupe::model
