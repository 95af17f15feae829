#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include "storage/safetensors/values.h"
#include "storage/safetensors/writer.h"

namespace troupe::conversion {

struct ExportRequest {
  std::filesystem::path checkpoint;
  std::filesystem::path output;     // new, or empty
  std::filesystem::path tokenizer;  // a tokenizer.json; empty: none
  std::string model_type;           // empty: the first that can say the model
  storage::safetensors::ValueType type = storage::safetensors::ValueType::kF32;
  std::int64_t shard_bytes = storage::safetensors::kDefaultShardBytes;
};

struct ExportReport {
  std::string model_type;
  std::int64_t parameters = 0;
  std::int64_t modules_left_out = 0;  // of multi-token prediction
};

/// Writes a checkpoint's model as a folder that Hugging Face's transformers load: config.json, last,
/// safetensors, tokenizer.json. Values are read and written piece by piece, but for tensors that are stored
/// in another order. Throws kConfig, before anything is written, naming the options, parameters or biases
/// that the format cannot say; kCorrupt, kIo.
ExportReport export_model(const ExportRequest& request);

}  // namespace troupe::conversion
