#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/corpus/description.h"
#include "data/corpus/document.h"

namespace troupe::data {

/// The corpus in its final order: by domain, then by hash.
struct SelectedDocuments {
  std::vector<Document> train;
  std::vector<Document> heldout;
  std::vector<std::string> notices;  // what was left out, a sentence each
};

/// Decides which documents are in, and where. A function of the set of documents alone, not of their order:
///  - of equal documents one stays, in the first domain that has it;
///  - a domain takes documents in hash order as long as they fit under domain_cap_bytes;
///  - of those, in the order of another hash, documents are held out until they have heldout_fraction of
///    the domain's bytes; at least one is, and at least one is not (a domain with one document trains).
/// Throws kConfig when a domain ends up without documents.
[[nodiscard]] SelectedDocuments select_documents(const CorpusDescription& description,
                                                 std::vector<Document> documents);

}  // namespace troupe::data
