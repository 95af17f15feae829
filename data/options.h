#pragma once
#include <cstdint>
#include <map>
#include <string>

#include "base/fields.h"

namespace troupe::data {

struct DataOptions {
  std::string corpus = "data/debian";     // folder written by `troupe data prepare`
  std::int64_t sequence_length = 256;     // tokens that a sequence predicts
  bool document_mask = true;              // attention stays inside a document, positions restart there
  std::map<std::string, double> domains;  // weights by domain; empty: the corpus' own, else by size
};

void describe(Fields& fields, DataOptions& options);

}  // namespace troupe::data
