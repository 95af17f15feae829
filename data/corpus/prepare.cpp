#include "data/corpus/prepare.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "data/corpus/collect.h"
#include "data/corpus/encode.h"
#include "data/corpus/find_tokenizer.h"
#include "data/corpus/package_cache.h"
#include "data/corpus/publish.h"
#include "data/corpus/select.h"
#include "data/corpus/stamp.h"
#include "data/token_file_writer.h"
#include "data/tokenizer/bpe_trainer.h"
#include "data/tokenizer/tokenizer_json.h"

namespace troupe::data {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kMaxThreads = 8;

std::vector<std::string> packages_of(const CorpusDescription& description) {
  std::set<std::string> packages;
  for (const CorpusSource& source : description.sources) {
    if (!source.package.empty()) packages.insert(source.package);
  }
  return {packages.begin(), packages.end()};
}

void warn_of(const std::vector<std::string>& notices) {
  for (const std::string& notice : notices) log::warn("{}", notice);
}

std::vector<Document> collect_all(const CorpusDescription& description, const PackageCache& cache,
                                  const std::optional<Tokenizer>& tokenizer) {
  const auto names = description.domain_names();
  std::vector<Document> documents;
  for (const CorpusSource& source : description.sources) {
    const auto domain = std::find(names.begin(), names.end(), source.domain) - names.begin();
    const fs::path root = source.package.empty() ? source.path : cache.root_of(source.package);
    auto found = collect_documents(description, source, root, static_cast<std::int32_t>(domain),
                                   tokenizer ? &*tokenizer : nullptr);
    log::info("reading {}: {} documents", source.domain, found.documents.size());
    warn_of(found.notices);
    std::ranges::move(found.documents, std::back_inserter(documents));
  }
  return documents;
}

/// Trains on the first documents of every domain (they are in hash order), as many bytes of each.
Tokenizer train_tokenizer(const CorpusDescription& description, std::span<const Document> documents) {
  const auto share =
      description.tokenizer_sample_bytes / static_cast<std::int64_t>(description.domain_names().size());
  std::map<std::int32_t, std::int64_t> used_bytes;
  BpeTrainer trainer({.vocab_size = static_cast<int>(description.vocab_size)});
  std::int64_t total = 0;
  for (const Document& document : documents) {
    if (used_bytes[document.domain] >= share) continue;
    used_bytes[document.domain] += static_cast<std::int64_t>(document.text.size());
    total += static_cast<std::int64_t>(document.text.size());
    trainer.add_document(document.text);
  }
  log::info("training a tokenizer of {} entries on {:.1f} MB of text", description.vocab_size,
            static_cast<double>(total) / 1e6);
  Tokenizer tokenizer(trainer.train());
  if (tokenizer.vocab_size() < description.vocab_size) {
    log::warn("the tokenizer has {} entries instead of {}: the text has no more pairs that occur twice",
              tokenizer.vocab_size(), description.vocab_size);
  }
  return tokenizer;
}

void write_documents(const fs::path& file, const Tokenizer& tokenizer, TokenFileHeader header,
                     std::span<const Document> documents) {
  const int threads = static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1U, kMaxThreads));
  EncodedDocuments encoded = encode_documents(tokenizer, documents, threads);
  header.document_offsets = std::move(encoded.offsets);
  header.document_domains = std::move(encoded.domains);
  write_token_file(file, header, encoded.tokens);
  log::info("{}: {} documents, {} tokens", file.filename().string(), documents.size(), encoded.tokens.size());
}

CorpusStamp stamp_of(const CorpusDescription& description, const PackageCache& cache,
                     const std::string& inputs) {
  CorpusStamp stamp{.name = description.name, .inputs = inputs, .languages = {}, .packages = {}, .files = {}};
  for (const CorpusSource& source : description.sources) stamp.languages[source.domain] = source.language;
  for (const std::string& package : packages_of(description))
    stamp.packages[package] = cache.version_of(package);
  return stamp;
}

void prepare(const CorpusDescription& description, PackageCache& cache, const std::string& inputs,
             const fs::path& output) {
  cache.provide(packages_of(description), description.download_cap_bytes);
  std::optional<Tokenizer> tokenizer;
  if (!description.tokenizer.empty()) tokenizer = read_tokenizer_json(find_tokenizer(description.tokenizer));
  const SelectedDocuments selected =
      select_documents(description, collect_all(description, cache, tokenizer));
  warn_of(selected.notices);
  if (selected.train.empty() || selected.heldout.empty()) {
    throw Error(ErrorCode::kConfig, "{}: too few documents to train on some and hold out others",
                description.file.string());
  }
  if (!tokenizer) tokenizer = train_tokenizer(description, selected.train);
  fs::create_directories(output.parent_path());
  TemporaryFolder folder(temporary_folder_of(output));
  write_tokenizer_json(*tokenizer, folder.path() / kTokenizerFile);
  TokenFileHeader header = header_of(*tokenizer, description.domain_names());
  write_documents(folder.path() / kHeldoutFile, *tokenizer, header, selected.heldout);
  if (!description.weights.empty()) {
    for (const std::string& name : header.domain_names)
      header.domain_weights.push_back(description.weights.at(name));
  }
  write_documents(folder.path() / kTrainFile, *tokenizer, header, selected.train);
  publish_corpus(folder, stamp_of(description, cache, inputs), output);
}

}  // namespace

bool prepare_corpus(const PrepareRequest& request) {
  try {
    CorpusDescription description = load_corpus_description(request.description);
    if (request.vocab_size && !description.tokenizer.empty()) {
      throw Error(ErrorCode::kConfig, "{}: it names a tokenizer, which has its vocabulary: leave out --vocab",
                  description.file.string());
    }
    if (request.vocab_size) description.vocab_size = *request.vocab_size;
    const fs::path output = fs::weakly_canonical(fs::absolute(request.output));
    check_replaceable(output);
    const std::string inputs = hash_inputs(description);
    if (is_prepared(output, inputs)) return false;
    PackageCache cache(request.package_cache);
    prepare(description, cache, inputs, output);
    return true;
  } catch (const fs::filesystem_error& failure) {
    throw Error(ErrorCode::kIo, "{}", failure.what());
  }
}

}  // namespace troupe::data
