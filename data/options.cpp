#include "data/options.h"

namespace troupe::data {

void describe(Fields& fields, DataOptions& options) {
  fields.text("corpus", options.corpus, "Folder that `troupe data prepare` wrote");
  fields.integer("sequence_length", options.sequence_length, {2, 1 << 24},
                 "Tokens that one sequence predicts");
  fields.flag("document_mask", options.document_mask,
              "Attention stays inside a document, and positions restart at its border");
  fields.real_map("domains", options.domains, kNonNegativeReal,
                  "Weights by domain; empty: those of the corpus, else by size");
}

}  // namespace troupe::data
