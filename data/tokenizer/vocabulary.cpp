#include "data/tokenizer/vocabulary.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/index.h"
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
    special[at(token.id)] = token.special;
    previous = token.id;
  }
  for (const std::string& name : {vocabulary.end_of_text, vocabulary.begin_of_text}) {
    if (name.empty() && !vocabulary.end_of_text.empty()) continue;
    const auto found = std::ranges::find(vocabulary.specials, name, &SpecialToken::name);
    if (found == vocabulary.specials.end() || !found->special) fail("there is no special token '{}'", name);
  }
  return special;
}

void check_byte_tokens(const Vocabulary& vocabulary) {
  const std::size_t expected = vocabulary.rules.byte_fallback ? 256 : 0;
  if (vocabulary.byte_tokens.size() != expected)
    fail("{} tokens <0x00>, <0x01>, … instead of {}", vocabulary.byte_tokens.size(), expected);
  for (std::size_t byte = 0; byte < expected; ++byte) {
    const TokenId id = vocabulary.byte_tokens[byte];
    const bool known = 0 <= id && id < static_cast<TokenId>(vocabulary.tokens.size());
    if (!known || vocabulary.tokens[at(id)] != std::string(1, static_cast<char>(byte)))
      fail("token <0x{:02X}> is not that byte", byte);
  }
}

/// Tokens that no merge makes: they may have the bytes of another.
bool stands_apart(const Vocabulary& vocabulary, std::size_t id) {
  const auto token = static_cast<TokenId>(id);
  return std::ranges::find(vocabulary.byte_tokens, token) != vocabulary.byte_tokens.end() ||
         std::ranges::find(vocabulary.specials, token, &SpecialToken::id) != vocabulary.specials.end();
}

void check_tokens(const Vocabulary& vocabulary, const std::vector<bool>& special) {
  std::unordered_map<std::string_view, std::size_t> id_of;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& token = vocabulary.tokens[id];
    if (token.empty() != special[id]) fail("token {} is empty, or special and not empty", id);
    if (special[id] || stands_apart(vocabulary, id)) continue;
    const auto [other, inserted] = id_of.emplace(token, id);
    if (!inserted) fail("tokens {} and {} are both '{}'", other->second, id, to_alphabet(token));
  }
  if (vocabulary.rules.byte_fallback) return;
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
    const std::string& bytes = vocabulary.tokens[at(id)];
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
  check_byte_tokens(vocabulary);
  check_tokens(vocabulary, check_specials(vocabulary));
  check_merges(vocabulary);
}

namespace {

/// What GPT-2's kind does not have adds nothing, so that its hashes stay what they were.
void add_rules(const Vocabulary& vocabulary, ContentHash& hash) {
  const TokenizerRules& rules = vocabulary.rules;
  if (vocabulary.end_of_text != kEndOfText || !vocabulary.begin_of_text.empty()) {
    hash.add(vocabulary.end_of_text);
    hash.add(vocabulary.begin_of_text);
  }
  for (const SpecialToken& token : vocabulary.specials) {
    const std::uint64_t flags = (token.special ? 0U : 1U) | (token.left_strip ? 2U : 0U) |
                                (token.right_strip ? 4U : 0U) | (token.single_word ? 8U : 0U) |
                                (token.normalized ? 16U : 0U);
    if (flags != 0) hash.add(flags);
  }
  if (rules == TokenizerRules{}) return;
  hash.add((rules.gpt2_pattern ? 1U : 0U) | (rules.compose ? 2U : 0U) | (rules.ignore_merges ? 4U : 0U) |
           (rules.byte_fallback ? 8U : 0U) | (rules.strips_first_space ? 16U : 0U) |
           static_cast<std::uint64_t>(rules.prefix_space) << 8U);
  for (const SplitStep& step : rules.splits) {
    hash.add(step.pattern);
    hash.add(static_cast<std::uint64_t>(step.behaviour));
  }
}

}  // namespace

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
  add_rules(vocabulary, hash);
  return hash.hex();
}

}  // namespace troupe::data
