#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "data/token_dataset.h"
#include "data/tokenizer/tokenizer.h"

namespace troupe::data {

/// Called with a part of a document, and whether it is trained; special tokens stand there by their names.
using TextVisitor = std::function<void(const std::string& text, bool trained)>;

/// Calls visit for the parts of a document in their order, its frame included: what is trained and what is
/// context only in turn.
void visit_text(const TokenDataset& dataset, const Tokenizer& tokenizer, std::int64_t number,
                const TextVisitor& visit);

}  // namespace troupe::data
