#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "data/preferences/pair_order.h"
#include "model/model.h"

namespace troupe::workers {

/// Name of the file in a run's folder.
inline constexpr const char* kReferenceFile = "reference.h5";

struct PairFile {
  const data::TokenDataset& dataset;
  const data::PairOrder& order;
};
/// The pairs of a run's corpus.
struct PairFiles {
  PairFile train;
  PairFile heldout;
};

/// Log-probabilities of the answers by the weights that a run begins with: what dpo compares with. By number
/// of the pair; 0 for pairs that fit into no sequence.
struct PairReference {
  std::vector<model::PairScores> train;
  std::vector<model::PairScores> heldout;
};

/// By the model as it is. Training's pairs are read in the microbatches of the first epoch, so that the first
/// step's margins are exactly 0. Collective over all workers, each of which does its share.
[[nodiscard]] PairReference compute_reference(model::Model& model, const PairFiles& files);

/// The file has the hashes of its numbers, and of the corpus that they are about. On the storage thread. kIo
void write_reference(const PairReference& reference, const PairFiles& files,
                     const std::filesystem::path& file);
/// Throws kConfig when the file is missing or of another corpus, kCorrupt when it is damaged.
[[nodiscard]] PairReference read_reference(const std::filesystem::path& file, const PairFiles& files);
/// The same of held-out pairs alone.
[[nodiscard]] std::vector<model::PairScores> read_heldout_reference(const std::filesystem::path& file,
                                                                    const PairFile& heldout);

/// Of the run that a checkpoint belongs to.
[[nodiscard]] std::filesystem::path reference_of(const std::filesystem::path& checkpoint);

}  // namespace troupe::workers
