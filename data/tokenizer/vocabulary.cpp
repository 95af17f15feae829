#include "data/tokenizer/vocabulary.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <cstddef>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "data/tokenizer/byte_alphabet.h"
#include "data/tokenizer/pre_tokenizer.h"

namespace troupe::data {
namespace {

constexpr std::size_t kMaximumTokens = std::size_t{1} << 24;

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorCode::kCorrupt, format, std::forward<Args>(args)...);
}

/// Marks the special tokens: [vocab_size].
std::vector<bool> check_specials(const Vocabulary& vocabulary) {
  std::vector<bool> special(vocabulary.tokens.size(), false);
  TokenId previous = -1;
  std::set<std::string_view> names;
  for (const SpecialToken& token : vocabulary.specials) {
    if (token.id <= previous || token.id >= static_cast<TokenId>(special.size())) {
      fail("special token '{}' has id {}, which is taken or outside 0..{}", token.name, token.id,
           special.size() - 1);
    }
    if (token.name.empty() || !names.insert(token.name).second) {
      fail("special token {} has the name '{}', which is empty or not its own", token.id, token.name);
    }
    special[static_cast<std::size_t>(token.id)] = true;
    previous = token.id;
  }
  if (!names.contains(kEndOfText)) fail("there is no special token '{}'", kEndOfText);
  return special;
}

void check_tokens(const Vocabulary& vocabulary, const std::vector<bool>& special) {
  std::unordered_map<std::string_view, std::size_t> id_of;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& token = vocabulary.tokens[id];
    if (token.empty() != special[id]) fail("token {} is empty, or special and not empty", id);
    if (special[id]) continue;
    const auto [other, inserted] = id_of.emplace(token, id);
    if (!inserted) fail("tokens {} and {} are both '{}'", other->second, id, to_alphabet(token));
  }
  for (int byte = 0; byte < 256; ++byte) {
    const char character = static_cast<char>(byte);
    if (!id_of.contains(std::string_view(&character, 1))) fail("byte 0x{:02X} is no token", byte);
  }
}

void check_merge(const Vocabulary& vocabulary, std::size_t rank) {
  const Merge& merge = vocabulary.merges[rank];
  const auto token = [&](TokenId id) -> const std::string& {
    if (id < 0 || id >= static_cast<TokenId>(vocabulary.tokens.size())) {
      fail("merge {} names token {}, outside 0..{}", rank, id, vocabulary.tokens.size() - 1);
    }
    const std::string& bytes = vocabulary.tokens[static_cast<std::size_t>(id)];
    if (bytes.empty()) fail("merge {} names the special token {}", rank, id);
    return bytes;
  };
  if (token(merge.left) + token(merge.right) != token(merge.result)) {
    fail("merge {} joins tokens {} and {}, but token {} is not both together", rank, merge.left, merge.right,
         merge.result);
  }
}

void check_merges(const Vocabulary& vocabulary) {
  std::set<std::pair<TokenId, TokenId>> pairs;
  for (std::size_t rank = 0; rank < vocabulary.merges.size(); ++rank) {
    check_merge(vocabulary, rank);
    const Merge& merge = vocabulary.merges[rank];
    if (!pairs.emplace(merge.left, merge.right).second) {
      fail("merge {} repeats the pair of tokens {} and {}", rank, merge.left, merge.right);
    }
  }
}

/// Lengths go before contents, so that no two vocabularies give the same bytes.
class ContentHash {
 public:
  ContentHash() : state_(XXH3_createState(), &XXH3_freeState) {
    if (state_ == nullptr || XXH3_128bits_reset(state_.get()) != XXH_OK) {
      throw Error(ErrorCode::kInternal, "XXH3 has no state: out of memory");
    }
  }
  void add(std::uint64_t number) {
    unsigned char bytes[8];
    for (int i = 0; i < 8; ++i) bytes[i] = static_cast<unsigned char>(number >> (8 * i));
    add_raw(bytes, sizeof bytes);
  }
  void add(std::string_view text) {
    add(std::uint64_t{text.size()});
    add_raw(text.data(), text.size());
  }
  [[nodiscard]] std::string hex() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
    return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
  }

 private:
  void add_raw(const void* bytes, std::size_t size) {
    TROUPE_CHECK(XXH3_128bits_update(state_.get(), bytes, size) == XXH_OK, "XXH3 refused {} bytes", size);
  }
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_;
};

}  // namespace

void check_vocabulary(const Vocabulary& vocabulary) {
  if (vocabulary.tokens.empty() || vocabulary.tokens.size() > kMaximumTokens) {
    fail("a vocabulary of {} tokens; 257 to {} are supported", vocabulary.tokens.size(), kMaximumTokens);
  }
  check_tokens(vocabulary, check_specials(vocabulary));
  check_merges(vocabulary);
}

std::string hash_vocabulary(const Vocabulary& vocabulary) {
  ContentHash hash;
  hash.add(kGpt2Pattern);
  hash.add(std::uint64_t{vocabulary.tokens.size()});
  for (const std::string& token : vocabulary.tokens) hash.add(token);
  hash.add(std::uint64_t{vocabulary.merges.size()});
  for (const Merge& merge : vocabulary.merges) {
    for (const TokenId id : {merge.left, merge.right, merge.result}) hash.add(static_cast<std::uint64_t>(id));
  }
  hash.add(std::uint64_t{vocabulary.specials.size()});
  for (const SpecialToken& special : vocabulary.specials) {
    hash.add(static_cast<std::uint64_t>(special.id));
    hash.add(special.name);
  }
  return hash.hex();
}

}  // namespace troupe::data
