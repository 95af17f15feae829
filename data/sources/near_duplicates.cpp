#include "data/sources/near_duplicates.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <string>

#include "base/error.h"
#include "base/index.h"
#include "data/corpus/document.h"

namespace troupe::data {
namespace {

constexpr std::size_t kHashes = 120;  // divides into bands of 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, … rows
constexpr std::size_t kShingleWords = 5;
constexpr std::size_t kMaxFileBytes = std::size_t{1} << 36;

/// Rows for a band, so that the similarity at which half of the pairs share a band, (1/bands)^(1/rows), is
/// nearest to the one that is asked for.
std::size_t rows_for(double similarity) {
  std::size_t best = 1;
  double best_distance = std::numeric_limits<double>::infinity();
  for (std::size_t rows = 1; rows <= kHashes / 2; ++rows) {
    if (kHashes % rows != 0) continue;
    const double bands = static_cast<double>(kHashes / rows);
    const double distance = std::abs(std::pow(1.0 / bands, 1.0 / static_cast<double>(rows)) - similarity);
    if (distance >= best_distance) continue;
    best = rows;
    best_distance = distance;
  }
  return best;
}

std::vector<std::string_view> words_of(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n";
  std::vector<std::string_view> words;
  for (std::size_t begin = text.find_first_not_of(kSpaces); begin != std::string_view::npos;) {
    const std::size_t end = std::min(text.find_first_of(kSpaces, begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(kSpaces, end);
  }
  return words;
}

using Signature = std::array<std::uint64_t, kHashes>;

void add_shingle(std::string_view shingle, Signature& signature) {
  // Two hashes give as many as needed: a + i·b (Kirsch and Mitzenmacher, 2006).
  const ContentHash hash = content_hash(shingle);
  std::uint64_t value = hash.low;
  for (std::uint64_t& least : signature) {
    least = std::min(least, value);
    value += hash.high | 1U;
  }
}

}  // namespace

std::vector<std::uint64_t> near_duplicate_bands(std::string_view text, double similarity) {
  Signature signature;
  signature.fill(std::numeric_limits<std::uint64_t>::max());
  const auto words = words_of(text);
  for (std::size_t i = 0; i + kShingleWords <= words.size(); ++i) {
    const char* begin = words[i].data();
    const std::string_view last = words[i + kShingleWords - 1];
    add_shingle({begin, at(last.data() + last.size() - begin)}, signature);
  }
  if (words.size() < kShingleWords) add_shingle(text, signature);
  const std::size_t rows = rows_for(similarity);
  std::vector<std::uint64_t> bands;
  for (std::size_t band = 0; band < kHashes / rows; ++band) {
    const std::string_view bytes(reinterpret_cast<const char*>(&signature[band * rows]),
                                 rows * sizeof(std::uint64_t));
    bands.push_back(content_hash(bytes, band + 1).low);
  }
  return bands;
}

void NearDuplicates::take_up(const std::filesystem::path& folder, std::int64_t count) {
  path_ = folder / "bands";
  file_ = FileDescriptor::open(path_, O_RDWR | O_CREAT);
  const std::string stored = read_file(path_, kMaxFileBytes);
  const auto bytes = at(count) * sizeof(std::uint64_t);
  if (stored.size() < bytes)
    throw Error(ErrorCode::kCorrupt, "{}: is shorter than what was written", path_.string());
  for (std::size_t offset = 0; offset < bytes; offset += sizeof(std::uint64_t)) {
    std::uint64_t band = 0;
    std::memcpy(&band, stored.data() + offset, sizeof band);
    bands_.insert(band);
  }
  if (::ftruncate(file_.get(), static_cast<off_t>(bytes)) != 0 || ::lseek(file_.get(), 0, SEEK_END) < 0)
    throw io_error("cannot shorten " + path_.string());
  in_file_ = count;
}

std::int64_t NearDuplicates::flush() {
  write_all(file_, std::as_bytes(std::span(new_bands_)), path_);
  in_file_ += std::ssize(new_bands_);
  new_bands_.clear();
  return in_file_;
}

bool NearDuplicates::seen(const std::vector<std::uint64_t>& bands) {
  if (std::ranges::any_of(bands, [&](std::uint64_t band) { return bands_.contains(band); })) return true;
  bands_.insert(bands.begin(), bands.end());
  new_bands_.insert(new_bands_.end(), bands.begin(), bands.end());
  return false;
}

}  // namespace troupe::data
