#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "configs/run_config.h"
#include "storage/tensor_reader.h"

namespace troupe::conversion {

inline constexpr std::int64_t kDefaultPieceBytes = std::int64_t{128} << 20;

struct ImportRequest {
  std::filesystem::path folder;      // of Hugging Face's: config.json, safetensors, tokenizer.json
  std::filesystem::path output;      // a run's folder: new, or empty
  std::int64_t sequence_length = 0;  // of the configuration; 0: what the model was made for, at most 2048
  std::int64_t piece_bytes = kDefaultPieceBytes;  // of weights in memory at once
};

struct ImportReport {
  std::string model_type;
  configs::RunConfig config;
  std::int64_t parameters = 0;
  bool has_tokenizer = false;
  std::vector<std::string> left_out;  // tensors that are no part of the model here
  std::int64_t absent_modules = 0;    // of multi-token prediction, which config.json counts and no file has
};

/// Makes a run's folder of another program's model: a checkpoint of step 0 in fp32 (weights, the bias that
/// experts are chosen with, no optimizer state), the tokenizer, and train.yaml, which begins a run with it.
/// Values are read by slices, and written piece by piece. Throws kConfig for a model that cannot be said
/// here, kCorrupt with all tensors that are missing, unknown or of another shape, kIo; nothing remains then.
ImportReport import_model(const ImportRequest& request);

/// Whether the path looks like a folder of Hugging Face's.
[[nodiscard]] bool is_model_folder(const std::filesystem::path& path);
/// Such a folder as if it were the checkpoint that import_model() makes of it: nothing is written, and read
/// only what is asked for. Throws as import_model().
[[nodiscard]] std::unique_ptr<storage::TensorReader> open_model_folder(const std::filesystem::path& path);

}  // namespace troupe::conversion
