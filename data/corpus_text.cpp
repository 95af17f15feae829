#include "data/corpus_text.h"

#include <algorithm>
#include <span>
#include <vector>

#include "base/index.h"

namespace troupe::data {
namespace {

std::string name_of(const Tokenizer& tokenizer, TokenId token) {
  const auto found = std::ranges::find(tokenizer.vocabulary().specials, token, &SpecialToken::id);
  return found == tokenizer.vocabulary().specials.end() ? "" : found->name;
}

/// Special tokens by their names, the others between them decoded together.
std::string text_with_names(const Tokenizer& tokenizer, std::span<const TokenId> tokens) {
  std::string text;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= tokens.size(); ++i) {
    const bool special = i < tokens.size() && tokenizer.is_special(tokens[i]);
    if (!special && i < tokens.size()) continue;
    text += tokenizer.decode(tokens.subspan(begin, i - begin));
    if (special) text += name_of(tokenizer, tokens[i]);
    begin = i + 1;
  }
  return text;
}

}  // namespace

void visit_text(const TokenDataset& dataset, const Tokenizer& tokenizer, std::int64_t number,
                const TextVisitor& visit) {
  const TokenPiece piece = dataset.document(number);
  const TrainedSpans& trained = dataset.header().trained;
  std::vector<std::int32_t> tokens(at(piece.count));
  dataset.read(piece.first, tokens);
  for (std::int64_t begin = 0; begin < piece.count;) {
    const bool is_trained = trained.contains(piece.first + begin);
    std::int64_t end = begin + 1;
    while (end < piece.count && trained.contains(piece.first + end) == is_trained) ++end;
    visit(text_with_names(tokenizer, std::span(tokens).subspan(at(begin), at(end - begin))), is_trained);
    begin = end;
  }
}

}  // namespace troupe::data
