#include "data/corpus_summary.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/index.h"
#include "data/corpus/stamp.h"
#include "data/corpus_identity.h"
#include "data/token_dataset.h"
#include "data/tokenizer/tokenizer_json.h"

namespace troupe::data {
namespace {

using nlohmann::json;

constexpr std::int64_t kChunkTokens = 1 << 16;

std::int64_t text_bytes(const TokenDataset& dataset, std::int64_t begin, std::int64_t end) {
  std::vector<std::int32_t> tokens;
  std::int64_t bytes = 0;
  for (; begin < end; begin += kChunkTokens) {
    tokens.resize(at(std::min(kChunkTokens, end - begin)));
    dataset.read(begin, tokens);
    for (const std::int32_t token : tokens) bytes += dataset.header().token_bytes[at(token)];
  }
  return bytes;
}

/// [domains]
std::vector<TextAmount> amounts(const TokenDataset& dataset) {
  const TokenFileHeader& header = dataset.header();
  std::vector<TextAmount> result(header.domain_names.size());
  for (std::size_t document = 0; document < header.document_domains.size(); ++document) {
    TextAmount& amount = result[at(header.document_domains[document])];
    const std::int64_t begin = header.document_offsets[document];
    const std::int64_t end = header.document_offsets[document + 1];
    ++amount.documents;
    amount.tokens += end - begin;
    amount.trained += header.trained.count(begin, end - begin);
    amount.bytes += text_bytes(dataset, begin, end);
  }
  return result;
}

void check_tokenizer(const std::filesystem::path& folder, const TokenFileHeader& header) {
  const Tokenizer tokenizer = read_tokenizer_json(folder / kTokenizerFile);
  if (tokenizer.hash() == header.tokenizer_hash) return;
  throw Error(ErrorCode::kCorrupt,
              "{}: the tokens were made with another tokenizer than {}: prepare the corpus again",
              folder.string(), kTokenizerFile);
}

TextAmount total(const CorpusSummary& summary, TextAmount DomainSummary::*part) {
  TextAmount sum;
  for (const DomainSummary& domain : summary.domains) {
    sum.documents += (domain.*part).documents;
    sum.tokens += (domain.*part).tokens;
    sum.bytes += (domain.*part).bytes;
    sum.trained += (domain.*part).trained;
  }
  return sum;
}

std::string row(const std::string& name, const std::string& language, const TextAmount& train,
                const TextAmount& heldout) {
  const double bytes_per_token =
      train.tokens == 0 ? 0.0 : static_cast<double>(train.bytes) / static_cast<double>(train.tokens);
  return fmt::format("{:<20} {:<8} {:>9} {:>11} {:>11} {:>8.2f} {:>9} {:>11} {:>11}\n", name, language,
                     train.documents, train.tokens, train.bytes, bytes_per_token, heldout.documents,
                     heldout.tokens, heldout.bytes);
}

json to_json(const TextAmount& amount) {
  return {{"documents", amount.documents},
          {"tokens", amount.tokens},
          {"bytes", amount.bytes},
          {"trained_tokens", amount.trained}};
}

}  // namespace

CorpusSummary summarize_corpus(const std::filesystem::path& folder) {
  const TokenDataset train(folder / kTrainFile);
  const TokenDataset heldout(folder / kHeldoutFile);
  check_same_corpus(train, heldout);
  check_tokenizer(folder, train.header());
  CorpusStamp stamp = read_stamp(folder);
  const auto train_amounts = amounts(train);
  const auto heldout_amounts = amounts(heldout);
  CorpusSummary summary{.name = stamp.name,
                        .vocab_size = train.header().vocab_size,
                        .tokenizer_hash = train.header().tokenizer_hash,
                        .content_hash = identify_corpus(train, heldout).hash(),
                        .masked = !train.header().trained.all(),
                        .domains = {},
                        .weights = train.header().domain_weights};
  for (std::size_t domain = 0; domain < train_amounts.size(); ++domain) {
    const std::string& name = train.header().domain_names[domain];
    summary.domains.push_back({name, stamp.languages[name], train_amounts[domain], heldout_amounts[domain]});
  }
  return summary;
}

void verify_corpus(const std::filesystem::path& folder) {
  const CorpusStamp stamp = read_stamp(folder);
  for (const char* name : {kHeldoutFile, kTokenizerFile, kTrainFile}) {
    const auto file = std::ranges::find(stamp.files, name, &storage::FileDescription::name);
    if (file == stamp.files.end()) {
      throw Error(ErrorCode::kCorrupt, "{}: {} has no hash of {}: prepare the corpus again", folder.string(),
                  kStampFile, name);
    }
    storage::require_content(folder, *file);
  }
}

std::string to_text(const CorpusSummary& summary) {
  std::string text = fmt::format("corpus {}, vocabulary {}, tokenizer {}\ncontent {}\n\n", summary.name,
                                 summary.vocab_size, summary.tokenizer_hash, summary.content_hash);
  text += fmt::format("{:<20} {:<8} {:>42} {:>33}\n", "", "", "training", "held out");
  text += fmt::format("{:<20} {:<8} {:>9} {:>11} {:>11} {:>8} {:>9} {:>11} {:>11}\n", "domain", "language",
                      "documents", "tokens", "bytes", "b/token", "documents", "tokens", "bytes");
  for (const DomainSummary& domain : summary.domains)
    text += row(domain.name, domain.language, domain.train, domain.heldout);
  const TextAmount train = total(summary, &DomainSummary::train);
  const TextAmount heldout = total(summary, &DomainSummary::heldout);
  text += row("all", "", train, heldout);
  if (!summary.weights.empty()) {
    text += "\ntraining draws tokens by the weights:";
    for (std::size_t i = 0; i < summary.weights.size(); ++i)
      text += fmt::format(" {} {}", summary.domains[i].name, summary.weights[i]);
    text += '\n';
  }
  if (!summary.masked) return text;
  return text +
         fmt::format("\ntrained: {} of {} training tokens, {} of {} held out; the others are context\n",
                     train.trained, train.tokens, heldout.trained, heldout.tokens);
}

std::string to_json(const CorpusSummary& summary) {
  json domains = json::array();
  for (const DomainSummary& domain : summary.domains) {
    domains.push_back({{"name", domain.name},
                       {"language", domain.language},
                       {"train", to_json(domain.train)},
                       {"heldout", to_json(domain.heldout)}});
  }
  json value{{"name", summary.name},
             {"vocab_size", summary.vocab_size},
             {"tokenizer_hash", summary.tokenizer_hash},
             {"content_hash", summary.content_hash},
             {"domains", domains},
             {"train", to_json(total(summary, &DomainSummary::train))},
             {"heldout", to_json(total(summary, &DomainSummary::heldout))}};
  if (!summary.weights.empty()) value["weights"] = summary.weights;
  return value.dump(2) + "\n";
}

}  // namespace troupe::data
