#pragma once
#include <cstdint>
#include <vector>

#include "experts/dispatch/routed_rows.h"
#include "layers/declaration.h"
#include "model/options.h"

namespace troupe::model {

/// What memory is declared for. Without tokens only parameters and compute are of use.
struct MicrobatchSize {
  std::int64_t tokens = 0;
  experts::RoutedRows rows = {};  // of every layer with experts
};

/// What all layers of a model say of themselves.
struct ModelDeclaration {
  layers::Declaration embedding;
  std::vector<layers::Declaration> blocks;  // of layer_specs()
  layers::Declaration head;                 // with the final norm

  /// Calls body(declaration) for each, first to last.
  template <class Body>
  void for_each(const Body& body) const {
    body(embedding);
    for (const layers::Declaration& block : blocks) body(block);
    body(head);
  }
};

[[nodiscard]] ModelDeclaration declare(const ModelOptions& options, std::int64_t vocab_size,
                                       const MicrobatchSize& size = {});

}  // namespace troupe::model
