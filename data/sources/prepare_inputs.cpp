#include "data/sources/prepare_inputs.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "base/index.h"
#include "data/corpus/find_tokenizer.h"
#include "data/corpus/publish.h"
#include "data/corpus/stamp.h"
#include "data/sources/corpus_spool.h"
#include "data/sources/document_encoder.h"
#include "data/sources/in_order.h"
#include "data/sources/journal.h"
#include "data/sources/kept_standard_input.h"
#include "data/sources/near_duplicates.h"
#include "data/sources/tokenizer_sample.h"
#include "data/token_file_writer.h"
#include "data/tokenizer/tokenizer_json.h"
#include "storage/verified_file.h"

namespace troupe::data {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTrain = "train:";
constexpr std::int64_t kSampleBytes = 16'000'000;
constexpr int kBatchesPerJournal = 16;

std::optional<std::int64_t> trained_entries(const std::string& tokenizer) {
  if (!tokenizer.starts_with(kTrain)) return std::nullopt;
  std::int64_t entries = 0;
  const char* end = tokenizer.data() + tokenizer.size();
  const auto [stop, failure] = std::from_chars(tokenizer.data() + kTrain.size(), end, entries);
  if (failure != std::errc{} || stop != end || entries < kSmallestVocab || entries > kLargestVocab) {
    throw Error(ErrorCode::kConfig, "--tokenizer {}: how many entries is a number from {} to {}", tokenizer,
                kSmallestVocab, kLargestVocab);
  }
  return entries;
}

/// What a chat adds comes last, so that other requests keep their hashes.
std::string words_of(const InputsRequest& request) {
  const auto& chat = request.parse.chat;
  return fmt::format(
      "{} {} {} {} {} {} {} {} {} {} {} {} {}{}", request.tokenizer, request.read.separator,
      request.read.document_bytes, request.read.longest_line_bytes, request.parse.fields.text,
      request.parse.fields.domain, request.parse.clean, request.domain, request.heldout_fraction,
      request.cap_bytes, request.max_errors, request.near_duplicates, request.keep_duplicates,
      chat ? fmt::format(" {} {}", request.parse.preferences ? "preferences" : "chat", to_string(*chat))
           : "");
}

/// Hash of everything that decides the result; files count by name, size and time.
std::string hash_of(const InputsRequest& request, const std::vector<InputFile>& files) {
  std::string words = fmt::format("format {}\n{}\n", kTokenFormatVersion, words_of(request));
  for (const InputFile& file : files) {
    const auto time = fs::last_write_time(file.path).time_since_epoch().count();
    words += fmt::format("{} {} {} {}\n", file.path.string(), file.domain, file.bytes, time);
  }
  if (!trained_entries(request.tokenizer))
    words += read_tokenizer_json(find_tokenizer(request.tokenizer)).hash();
  return to_hexadecimal(content_hash(words));
}

/// Ids mean something with the tokenizer that made them only.
void check_token_inputs(const InputsRequest& request, const std::vector<InputFile>& files) {
  if (!trained_entries(request.tokenizer)) return;
  for (const InputFile& file : files) {
    if (file.kind != InputKind::kTokenBin && file.kind != InputKind::kMegatron) continue;
    throw Error(
        ErrorCode::kConfig,
        "{}: it has tokens, and a new tokenizer would take them for others: name the one that made them "
        "with --tokenizer",
        file.path.string());
  }
}

void check_chat_inputs(const InputsRequest& request, const std::vector<InputFile>& files) {
  if (!request.parse.chat) return;
  for (const InputFile& file : files) {
    if (file.kind == InputKind::kJsonLines) continue;
    throw Error(ErrorCode::kConfig,
                "{}: {} reads JSON lines, and this is none: name the files ('chats/*.jsonl')",
                file.path.string(), request.parse.preferences ? "--preferences" : "--chat");
  }
}

class Preparation {
 public:
  Preparation(const InputsRequest& request, FoundInputs inputs, std::string inputs_hash,
              const fs::path& output, const std::function<void(const PrepareProgress&)>& on_progress)
      : request_(request),
        inputs_(std::move(inputs)),
        inputs_hash_(std::move(inputs_hash)),
        output_(output),
        work_(output.string() + ".unfinished"),
        on_progress_(on_progress) {
    if (!request_.domain.empty()) {
      for (InputFile& file : inputs_.files) file.domain = domain_name(request_.domain);
    }
  }

  PrepareReport run() try {
    take_up();
    const Tokenizer tokenizer = provide_tokenizer();
    encode(tokenizer);
    hold_out_one();
    publish(tokenizer);
    report_.worked = true;
    note_left_out();
    return std::move(report_);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kConfig) storage::remove_tree(work_);  // going on would end the same
    throw;
  }

 private:
  void take_up() {
    journal_ = read_journal(work_);
    report_.continued = journal_ && journal_->inputs == inputs_hash_;
    if (report_.continued) return;
    storage::remove_tree(work_);
    storage::make_folders(work_);
    journal_ = Journal{.inputs = inputs_hash_};
    write_journal(*journal_, work_);
  }

  void progress(const std::string& what, const InputReader& reader) const {
    if (on_progress_) on_progress_({what, reader.consumed_bytes(), reader.total_bytes()});
  }

  Tokenizer provide_tokenizer() {
    const fs::path file = work_ / kTokenizerFile;
    if (!fs::exists(file)) {
      if (const auto entries = trained_entries(request_.tokenizer)) {
        write_tokenizer_json(train(*entries), file);
      } else {
        fs::copy_file(find_tokenizer(request_.tokenizer), file);
      }
    }
    return read_tokenizer_json(file);
  }

  Tokenizer train(std::int64_t entries) {
    TokenizerSample sample(kSampleBytes);
    InputReader reader(inputs_.files, request_.read);
    struct Texts {
      std::vector<std::pair<std::string, std::string>> texts;  // domain, text
    };
    const auto parse = [&](const RawBatch& raw) {
      Texts texts;
      FaultCounts counted_later;
      parse_documents(raw, request_.parse, counted_later, [&](const ParsedDocument& document) {
        texts.texts.emplace_back(document.domain, document.text);
      });
      return texts;
    };
    in_order(reader, request_.threads, parse, [&](const Texts& texts) {
      for (const auto& [domain, text] : texts.texts) sample.add(domain, text);
      progress("reading for the tokenizer", reader);
    });
    if (sample.empty()) throw nothing_left();
    BpeTrainer trainer({.vocab_size = static_cast<int>(entries), .special_tokens = chat_specials()});
    for (const std::string& text : sample.take()) trainer.add_document(text);
    Tokenizer tokenizer(trainer.train());
    if (tokenizer.vocab_size() < entries) {
      report_.notices.push_back(fmt::format(
          "the tokenizer has {} entries instead of {}: the text has no more pairs that occur twice",
          tokenizer.vocab_size(), entries));
    }
    return tokenizer;
  }

  [[nodiscard]] std::vector<std::string> chat_specials() const {
    return request_.parse.chat ? special_names(*request_.parse.chat) : std::vector<std::string>();
  }

  void encode(const Tokenizer& tokenizer) {
    ReadOptions read = request_.read;
    read.end_of_text = tokenizer.end_of_text();
    spool_.emplace(work_, stored_token_bytes(tokenizer.vocab_size()), journal_->documents);
    for (const std::string& domain : journal_->domains) (void)domain_index(domain);
    for (const DocumentRecord& record : spool_->records()) remember(record);
    near_duplicates_.take_up(work_, journal_->bands);
    InputReader reader(inputs_.files, read, journal_->position);
    DocumentEncoder encoder(tokenizer, request_.parse, request_.near_duplicates);
    int batches = 0;
    in_order(
        reader, request_.threads, [&](const RawBatch& raw) { return encoder.encode(raw); },
        [&](const EncodedBatch& batch) {
          take(batch, tokenizer);
          if (++batches % kBatchesPerJournal == 0) save();
          progress("encoding", reader);
        });
    save();
  }

  void save() {
    journal_->documents = spool_->flush();
    journal_->bands = near_duplicates_.flush();
    write_journal(*journal_, work_);
  }

  void remember(const DocumentRecord& record) {
    hashes_.insert(record.hash);
    domain_bytes_.resize(std::max(domain_bytes_.size(), at(record.domain) + 1));
    domain_bytes_[at(record.domain)] += record.bytes;
  }

  void take(const EncodedBatch& batch, const Tokenizer& tokenizer) {
    journal_->faults.add(batch.faults);
    journal_->position = batch.end;
    if (request_.max_errors >= 0 && journal_->faults.errors() > request_.max_errors) {
      throw Error(ErrorCode::kConfig, "{} broken documents, more than --max-errors {}:\n{}",
                  journal_->faults.errors(), request_.max_errors, journal_->faults.to_text());
    }
    for (const EncodedDocument& document : batch.documents) {
      if (const auto fault = fault_of(document)) {
        journal_->faults.add(*fault, document.bytes, document.place);
        continue;
      }
      framed_.clear();
      trained_.clear();
      const auto tokens = std::span(batch.tokens).subspan(document.begin, document.count);
      frame(tokens.first(document.count - document.rejected), document.trained, tokenizer);
      const std::int64_t chosen = std::ssize(framed_);
      if (request_.parse.preferences)
        frame(tokens.last(document.rejected), document.trained_of_rejected, tokenizer);
      const DocumentRecord record{.hash = document.hash,
                                  .bytes = document.bytes,
                                  .domain = domain_index(document.domain),
                                  .heldout = is_held_out(document.hash) ? 1 : 0,
                                  .rejected = static_cast<std::int32_t>(std::ssize(framed_) - chosen)};
      remember(record);
      spool_->append(record, framed_, trained_);
    }
  }

  /// Appends a document, or half of a pair, with what frames it in a token file.
  void frame(std::span<const TokenId> tokens, const std::vector<std::int64_t>& trained,
             const Tokenizer& tokenizer) {
    if (tokenizer.begin_of_text()) framed_.push_back(*tokenizer.begin_of_text());
    const std::int64_t first = std::ssize(framed_);
    framed_.insert(framed_.end(), tokens.begin(), tokens.end());
    framed_.push_back(tokenizer.end_of_text());
    for (const std::int64_t border : trained) trained_.push_back(first + border);
  }

  [[nodiscard]] bool is_held_out(const ContentHash& hash) const {
    constexpr double kAll = 18446744073709551616.0;  // 2^64
    return static_cast<double>(hash.low) < request_.heldout_fraction * kAll;
  }

  std::optional<Fault> fault_of(const EncodedDocument& document) {
    if (!request_.keep_duplicates && hashes_.contains(document.hash)) return Fault::kDuplicate;
    const auto domain = at(domain_index(document.domain));
    if (request_.cap_bytes > 0 && domain < domain_bytes_.size() &&
        domain_bytes_[domain] + document.bytes > request_.cap_bytes)
      return Fault::kBeyondCap;
    if (!document.bands.empty() && near_duplicates_.seen(document.bands)) return Fault::kNearDuplicate;
    return std::nullopt;
  }

  std::int32_t domain_index(const std::string& name) {
    const auto [found, inserted] =
        domain_numbers_.emplace(name, static_cast<std::int32_t>(domain_numbers_.size()));
    if (inserted && at(found->second) >= journal_->domains.size()) journal_->domains.push_back(name);
    return found->second;
  }

  [[nodiscard]] Error nothing_left() const {
    return Error(ErrorCode::kConfig, "no document is left of the inputs:\n{}", journal_->faults.to_text());
  }

  /// A corpus needs both parts: where chance held out nothing or everything, one document changes sides.
  void hold_out_one() {
    auto& records = spool_->records();
    if (records.size() < 2) {
      if (records.empty()) throw nothing_left();
      throw Error(ErrorCode::kConfig,
                  "there is one document of {} bytes, and one is to be held out for evaluation: cut it with "
                  "--separator or a smaller --document-bytes",
                  records[0].bytes);
    }
    const auto held_out = std::ranges::count(records, 1, &DocumentRecord::heldout);
    if (held_out > 0 && held_out < std::ssize(records)) return;
    const auto changed = std::ranges::min_element(records, {}, [](const DocumentRecord& record) {
      return std::pair(record.hash.low, record.hash.high);
    });
    changed->heldout = held_out > 0 ? 0 : 1;
  }

  void publish(const Tokenizer& tokenizer) {
    TokenFileHeader header = header_of(tokenizer, journal_->domains);
    header.pairs = request_.parse.preferences;
    TemporaryFolder folder(temporary_folder_of(output_));
    write_tokenizer_json(tokenizer, folder.path() / kTokenizerFile);
    const bool masked = request_.parse.chat.has_value();
    spool_->write_token_file(folder.path() / kTrainFile, header, false, masked);
    spool_->write_token_file(folder.path() / kHeldoutFile, header, true, masked);
    CorpusStamp stamp;
    stamp.name = output_.filename().string();
    stamp.inputs = inputs_hash_;
    for (const std::string& domain : journal_->domains) stamp.languages[domain] = "unknown";
    publish_corpus(folder, std::move(stamp), output_);
    storage::remove_tree(work_);
  }

  void note_left_out() {
    const std::string text = journal_->faults.to_text();
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = text.find('\n', begin);
      report_.notices.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    if (const auto& beyond = journal_->faults.of(Fault::kBeyondCap); beyond.documents > 0) {
      const std::int64_t kept = std::accumulate(domain_bytes_.begin(), domain_bytes_.end(), std::int64_t{0});
      report_.notices.push_back(fmt::format("kept {} of {} bytes of text, because --cap-bytes is {} a domain",
                                            kept, kept + beyond.bytes, request_.cap_bytes));
    }
    for (const auto& [end, count] : inputs_.left_out)
      report_.notices.push_back(fmt::format("left out {} files of another kind: {}", count, end));
    for (const fs::path& link : inputs_.broken_links)
      report_.notices.push_back(fmt::format("left out a link that leads nowhere: {}", link.string()));
  }

  struct HashOfHash {
    std::size_t operator()(const ContentHash& hash) const { return hash.low; }
  };

  const InputsRequest& request_;
  FoundInputs inputs_;
  std::string inputs_hash_;
  fs::path output_;
  fs::path work_;
  const std::function<void(const PrepareProgress&)>& on_progress_;
  PrepareReport report_;
  std::optional<Journal> journal_;
  std::optional<CorpusSpool> spool_;
  std::unordered_set<ContentHash, HashOfHash> hashes_;
  NearDuplicates near_duplicates_;
  std::map<std::string, std::int32_t> domain_numbers_;
  std::vector<std::int64_t> domain_bytes_;
  std::vector<std::int32_t> framed_;
  std::vector<std::int64_t> trained_;
};

}  // namespace

PrepareReport prepare_inputs(const InputsRequest& request,
                             const std::function<void(const PrepareProgress&)>& on_progress) {
  try {
    const fs::path output = fs::weakly_canonical(fs::absolute(request.output));
    check_replaceable(output);
    fs::create_directories(output.parent_path());
    std::vector<std::string> names = request.inputs;
    const KeptStandardInput standard_input(names, output);
    FoundInputs inputs = find_inputs(names);
    check_token_inputs(request, inputs.files);
    check_chat_inputs(request, inputs.files);
    const std::string hash = hash_of(request, inputs.files);
    if (is_prepared(output, hash)) return {};
    return Preparation(request, std::move(inputs), hash, output, on_progress).run();
  } catch (const fs::filesystem_error& failure) {
    throw Error(ErrorCode::kIo, "{}", failure.what());
  }
}

}  // namespace troupe::data
