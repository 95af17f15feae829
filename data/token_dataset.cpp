#include "data/token_dataset.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/index.h"
#include "storage/hdf5/file.h"

namespace troupe::data {
namespace {

using storage::ElementType;
using storage::hdf5::Dataset;
using storage::hdf5::File;

constexpr std::int64_t kMaxVocabSize = 1 << 24;

class HeaderReader {
 public:
  explicit HeaderReader(const File& file) : file_(file) {}

  TokenFileHeader read() {
    const std::int64_t version = attribute("format_version");
    if (version < kTokenFormatVersion || version > kWeightedTokenFormatVersion) {
      fail("has format version {}, this program reads {} to {}: prepare the corpus again", version,
           kTokenFormatVersion, kWeightedTokenFormatVersion);
    }
    header_.tokenizer_hash = file_.string_attribute("/", "tokenizer_hash");
    read_vocabulary();
    read_domain_names();
    header_.document_offsets = values<std::int64_t>("document_offsets");
    header_.document_domains = values<std::int32_t>("document_domains");
    check_offsets();
    check_domains();
    header_.pairs = version == kPairTokenFormatVersion;
    if (header_.pairs || version == kMaskedTokenFormatVersion) read_spans();
    if (header_.pairs) check_pairs();
    if (version == kWeightedTokenFormatVersion) read_weights();
    return std::move(header_);
  }

  std::vector<std::int64_t> chunk_hashes(std::int64_t token_count) const {
    auto hashes = values<std::int64_t>("token_chunk_hashes");
    const std::int64_t chunks = (token_count + kHashedChunkTokens - 1) / kHashedChunkTokens;
    if (std::ssize(hashes) != chunks) fail("{} chunk hashes for {} chunks", hashes.size(), chunks);
    return hashes;
  }

 private:
  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw Error(ErrorCode::kCorrupt, "{}: {}", file_.path(),
                fmt::format(format, std::forward<Args>(args)...));
  }

  std::int64_t attribute(const std::string& name) const { return file_.integer_attribute("/", name); }

  template <class T>
  std::vector<T> values(std::string_view name) const {
    const Dataset dataset = file_.open_dataset(name);
    if (dataset.sizes().size() != 1)
      fail("'{}' has {} dimensions instead of 1", name, dataset.sizes().size());
    std::vector<T> result(at(dataset.elements()));
    dataset.read<T>(0, result);
    return result;
  }

  void read_vocabulary() {
    header_.vocab_size = attribute("vocab_size");
    if (header_.vocab_size < 1 || header_.vocab_size > kMaxVocabSize)
      fail("vocab_size is {}", header_.vocab_size);
    const std::int64_t end_of_text = attribute("end_of_text");
    if (end_of_text < 0 || end_of_text >= header_.vocab_size) fail("end_of_text is {}", end_of_text);
    header_.end_of_text = static_cast<std::int32_t>(end_of_text);
    const std::int64_t begin_of_text = attribute("begin_of_text");
    if (begin_of_text < kNoToken || begin_of_text >= header_.vocab_size)
      fail("begin_of_text is {}", begin_of_text);
    header_.begin_of_text = static_cast<std::int32_t>(begin_of_text);
    header_.token_bytes = values<std::int32_t>("token_bytes");
    if (static_cast<std::int64_t>(header_.token_bytes.size()) != header_.vocab_size) {
      fail("token_bytes has {} entries for a vocabulary of {}", header_.token_bytes.size(),
           header_.vocab_size);
    }
    if (std::ranges::any_of(header_.token_bytes, [](std::int32_t bytes) { return bytes < 0; })) {
      fail("token_bytes has a negative entry");
    }
  }

  void read_domain_names() {
    const auto names = nlohmann::json::parse(file_.string_attribute("/", "domain_names"), nullptr, false);
    if (!names.is_array() || names.empty()) fail("domain_names is not a list of names");
    for (const auto& name : names) {
      if (!name.is_string()) fail("domain_names is not a list of names");
      header_.domain_names.push_back(name.get<std::string>());
    }
  }

  void read_spans() {
    auto borders = values<std::int64_t>("trained_spans");
    if (!check_spans(borders, header_.document_offsets.back()))
      fail("trained_spans are no ascending spans of {} tokens", header_.document_offsets.back());
    header_.trained = TrainedSpans(std::move(borders));
  }

  void read_weights() {
    header_.domain_weights = values<double>("domain_weights");
    if (!check_weights(header_.domain_weights, header_.domain_names.size()))
      fail("domain_weights are no weights of {} domains", header_.domain_names.size());
  }

  void check_pairs() const {
    const auto& domains = header_.document_domains;
    bool whole = domains.size() % 2 == 0;
    for (std::size_t i = 0; whole && i < domains.size(); i += 2) whole = domains[i] == domains[i + 1];
    if (!whole) fail("its {} documents are no pairs of one domain each", domains.size());
  }

  void check_offsets() const {
    const auto& offsets = header_.document_offsets;
    if (offsets.size() < 2 || offsets.front() != 0)
      fail("document_offsets does not begin with 0 and a document");
    const std::int64_t frame = header_.begin_of_text == kNoToken ? 1 : 2;
    for (std::size_t i = 1; i < offsets.size(); ++i) {
      // Compared without a difference, which could overflow.
      if (offsets[i] < frame || offsets[i] - frame < offsets[i - 1]) {
        fail("document {} of [{}, {}) is shorter than its frame", i - 1, offsets[i - 1], offsets[i]);
      }
    }
  }

  void check_domains() const {
    const auto& domains = header_.document_domains;
    if (domains.size() + 1 != header_.document_offsets.size()) {
      fail("{} document domains for {} documents", domains.size(), header_.document_offsets.size() - 1);
    }
    if (!std::ranges::is_sorted(domains) || domains.front() < 0 ||
        at(domains.back()) >= header_.domain_names.size()) {
      fail("document_domains are not sorted numbers below {}", header_.domain_names.size());
    }
  }

  const File& file_;
  TokenFileHeader header_;
};

void require_file(const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) return;
  throw Error(
      ErrorCode::kConfig,
      "no prepared corpus: {} is missing; make it with `troupe data prepare CORPUS.yaml --output {}`, or "
      "correct data.corpus",
      path.string(), path.parent_path().string());
}

void read_at(const FileDescriptor& file, std::span<std::byte> bytes, std::int64_t offset,
             const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t got = ::pread(file.get(), bytes.data(), bytes.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw io_error("cannot read " + path.string());
    if (got == 0) throw Error(ErrorCode::kCorrupt, "{}: ends inside its tokens", path.string());
    bytes = bytes.subspan(at(got));
    offset += got;
  }
}

/// tokens[i] = the i-th of the stored ones, which are Stored each.
template <class Stored>
void widen(std::span<const std::byte> stored, std::span<std::int32_t> tokens) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    Stored token = 0;
    std::memcpy(&token, stored.data() + i * sizeof token, sizeof token);
    tokens[i] = token;
  }
}

}  // namespace

bool check_weights(std::span<const double> weights, std::size_t domains) {
  return weights.size() == domains &&
         std::ranges::all_of(weights, [](double weight) { return weight >= 0.0 && std::isfinite(weight); }) &&
         std::ranges::any_of(weights, [](double weight) { return weight > 0.0; });
}

TokenDataset::TokenDataset(const std::filesystem::path& file) : path_(file) {
  require_file(path_);
  const File container = File::open(path_);
  header_ = HeaderReader(container).read();
  const Dataset tokens = container.open_dataset("tokens");
  if (tokens.sizes().size() != 1 || tokens.elements() != token_count()) {
    throw Error(ErrorCode::kCorrupt, "{}: {} tokens, but the documents end at {}", path_.string(),
                tokens.elements(), token_count());
  }
  if (tokens.type() != ElementType::kU16 && tokens.type() != ElementType::kI32) {
    throw Error(ErrorCode::kCorrupt, "{}: tokens are {}, not u16 or i32", path_.string(),
                to_string(tokens.type()));
  }
  token_width_ = storage::size_bytes(tokens.type());
  tokens_offset_ = tokens.dataset_offset();
  chunk_hashes_ = HeaderReader(container).chunk_hashes(token_count());
  content_hash_ = data::content_hash(header_, chunk_hashes_);
  if (content_hash_ != container.string_attribute("/", "content_hash")) {
    throw Error(ErrorCode::kCorrupt,
                "{}: what it says of its documents does not have the hash that was written with it: the file "
                "is damaged, prepare the corpus again",
                path_.string());
  }
  file_ = FileDescriptor::open(path_, O_RDONLY);
}

TokenPiece TokenDataset::document(std::int64_t number) const {
  TROUPE_CHECK(0 <= number && number < document_count(), "document {} of {}", number, document_count());
  const std::int64_t* offsets = &header_.document_offsets[at(number)];
  return {offsets[0], offsets[1] - offsets[0]};
}

std::int64_t TokenDataset::document_at(std::int64_t position) const {
  TROUPE_CHECK(0 <= position && position < token_count(), "token {} of {}", position, token_count());
  const auto& offsets = header_.document_offsets;
  return std::upper_bound(offsets.begin(), offsets.end(), position) - offsets.begin() - 1;
}

void TokenDataset::check_range(std::int64_t first, std::int64_t count) const {
  TROUPE_CHECK(0 <= first && first <= token_count() && 0 <= count && count <= token_count() - first,
               "tokens [{}, +{}) of {}", first, count, token_count());
}

void TokenDataset::prefetch(std::int64_t first, std::int64_t count) const {
  check_range(first, count);
  const std::int64_t begin = first / kHashedChunkTokens * kHashedChunkTokens;  // chunks are read whole
  const std::int64_t last_chunk = (first + std::max<std::int64_t>(count, 1) - 1) / kHashedChunkTokens;
  const std::int64_t end = last_chunk * kHashedChunkTokens + chunk_size(last_chunk);
  const int error = ::posix_fadvise(file_.get(), tokens_offset_ + begin * token_width_,
                                    (end - begin) * token_width_, POSIX_FADV_WILLNEED);
  if (error == 0) return;
  errno = error;
  throw io_error("cannot read ahead in " + path_.string());
}

std::int64_t TokenDataset::chunk_size(std::int64_t chunk) const {
  return std::clamp<std::int64_t>(token_count() - chunk * kHashedChunkTokens, 0, kHashedChunkTokens);
}

void TokenDataset::read_chunk(std::int64_t chunk, std::span<std::byte> bytes) const {
  const std::int64_t first = chunk * kHashedChunkTokens;
  read_at(file_, bytes, tokens_offset_ + first * token_width_, path_);
  if (chunk_hash(bytes) == chunk_hashes_[at(chunk)]) return;
  throw Error(ErrorCode::kCorrupt,
              "{}: the tokens [{}, {}) do not have the hash that was written with them: the file or the disk "
              "is damaged, prepare the corpus again",
              path_.string(), first, first + chunk_size(chunk));
}

void TokenDataset::read(std::int64_t first, std::span<std::int32_t> tokens) const {
  check_range(first, static_cast<std::int64_t>(tokens.size()));
  std::array<std::byte, kHashedChunkTokens * sizeof(std::int32_t)>
      buffer;  // NOLINT: written before it is read
  auto rest = tokens;
  while (!rest.empty()) {
    const std::int64_t chunk = first / kHashedChunkTokens;
    const std::int64_t skipped = first % kHashedChunkTokens;
    const std::int64_t size = chunk_size(chunk);
    const auto stored = std::span(buffer).first(at(size * token_width_));
    read_chunk(chunk, stored);
    const auto part = rest.first(std::min(rest.size(), at(size - skipped)));
    const auto wanted = stored.subspan(at(skipped * token_width_));
    token_width_ == sizeof(std::uint16_t) ? widen<std::uint16_t>(wanted, part)
                                          : widen<std::int32_t>(wanted, part);
    rest = rest.subspan(part.size());
    first += std::ssize(part);
  }
  // Tokens are row numbers of the embedding: a wrong one would read somewhere else.
  for (const std::int32_t token : tokens) {
    if (token < 0 || token >= header_.vocab_size) {
      throw Error(ErrorCode::kCorrupt, "{}: token {} in a vocabulary of {}", path_.string(), token,
                  header_.vocab_size);
    }
  }
}

void check_same_corpus(const TokenDataset& train, const TokenDataset& heldout) {
  const TokenFileHeader& a = train.header();
  const TokenFileHeader& b = heldout.header();
  if (a.tokenizer_hash == b.tokenizer_hash && a.vocab_size == b.vocab_size &&
      a.begin_of_text == b.begin_of_text && a.domain_names == b.domain_names &&
      a.trained.all() == b.trained.all() && a.pairs == b.pairs)
    return;
  throw Error(ErrorCode::kCorrupt, "{} and {} are not of one corpus: prepare it again", train.path().string(),
              heldout.path().string());
}

}  // namespace troupe::data
