#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>

#include "conversion/model_config.h"
#include "conversion/tensor_map.h"
#include "storage/safetensors/folder.h"
#include "storage/tensor_reader.h"

namespace troupe::conversion {

/// A Hugging Face folder as if it were a checkpoint of step 0: our tensors in fp32, each value read from its
/// place in theirs when it is asked for. Weights, and what a checkpoint has of balancing and counting; no
/// optimizer state.
class FolderReader final : public storage::TensorReader {
 public:
  /// read: of the folder's config.json, the corpus in it; folder: has the tensors of `map`
  FolderReader(const ReadConfig& read, storage::safetensors::Folder folder, TensorMap map,
               std::string tokenizer_hash);

 private:
  /// A global tensor's name, and where a slice of it begins.
  using Place = std::pair<std::string, std::int64_t>;

  void read_slice(const storage::TensorEntry& tensor, const storage::TensorSlice& slice, std::int64_t begin,
                  std::span<std::byte> bytes) override;
  void read_parameter(const ParameterSpec& spec, std::int64_t begin, std::span<float> values) const;

  storage::safetensors::Folder their_folder_;
  TensorMap map_;
  std::map<Place, const ParameterSpec*> parameters_;
  std::map<std::string, std::string> biases_;  // theirs, by our names
};

}  // namespace troupe::conversion
