#include "comm/control/link/handshake.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstdint>

#include "base/error.h"
#include "comm/control/link/bytes.h"

namespace troupe::comm {

namespace {

constexpr std::string_view kChallengeTag = "TRPCHAL1";
constexpr std::string_view kAnswerTag = "TRPANSW1";
constexpr std::string_view kVerdictTag = "TRPVERD1";
constexpr std::string_view kClientLabel = "troupe control client";
constexpr std::string_view kServerLabel = "troupe control server";
constexpr std::size_t kTagBytes = 8;
constexpr std::size_t kMacBytes = 32;
constexpr std::uint64_t kWelcome = 1;
constexpr std::uint64_t kStale = 2;

std::string_view view(const Nonce& nonce) {
  return {reinterpret_cast<const char*>(nonce.data()), nonce.size()};
}

Nonce nonce_at(std::string_view bytes, std::size_t offset) {
  Nonce nonce;
  std::copy_n(reinterpret_cast<const std::byte*>(bytes.data()) + offset, nonce.size(), nonce.begin());
  return nonce;
}

/// HMAC-SHA256 (RFC 2104) over the label, both nonces and the rest.
std::string mac(const Secret& secret, std::string_view label, const Nonces& nonces, std::string_view rest) {
  std::string text(label);
  text += view(nonces.server);
  text += view(nonces.client);
  text += rest;
  std::string code(kMacBytes, '\0');
  unsigned length = 0;
  const auto* result = HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
                            reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                            reinterpret_cast<unsigned char*>(code.data()), &length);
  TROUPE_CHECK(result != nullptr && length == kMacBytes, "OpenSSL cannot compute HMAC-SHA256");
  return code;
}

void check_shape(std::string_view bytes, std::string_view tag, std::size_t size) {
  if (bytes.size() != size || bytes.substr(0, kTagBytes) != tag) {
    throw Error(ErrorCode::kCorrupt, "control link: the other end does not speak Troupe's protocol");
  }
}

/// In a time that does not depend on where they differ.
void check_mac(std::string_view given, const std::string& expected) {
  if (CRYPTO_memcmp(given.data(), expected.data(), kMacBytes) != 0) {
    throw Error(ErrorCode::kCorrupt, "control link: the other end does not know this run's secret");
  }
}

}  // namespace

std::string make_challenge(const Nonce& server) {
  std::string bytes(kChallengeTag);
  bytes += view(server);
  return bytes;
}

Nonce read_challenge(std::string_view bytes) {
  check_shape(bytes, kChallengeTag, kChallengeBytes);
  return nonce_at(bytes, kTagBytes);
}

std::string make_answer(const Secret& secret, const Nonces& nonces, Epoch epoch) {
  std::string epoch_bytes;
  detail::put(epoch_bytes, static_cast<std::uint64_t>(epoch));
  std::string bytes(kAnswerTag);
  bytes += epoch_bytes;
  bytes += view(nonces.client);
  bytes += mac(secret, kClientLabel, nonces, epoch_bytes);
  return bytes;
}

Epoch check_answer(const Secret& secret, Nonces& nonces, std::string_view bytes) {
  check_shape(bytes, kAnswerTag, kAnswerBytes);
  nonces.client = nonce_at(bytes, kTagBytes + sizeof(Epoch));
  const std::string_view epoch_bytes = bytes.substr(kTagBytes, sizeof(Epoch));
  check_mac(bytes.substr(kAnswerBytes - kMacBytes), mac(secret, kClientLabel, nonces, epoch_bytes));
  return static_cast<Epoch>(detail::get<std::uint64_t>(epoch_bytes, 0));
}

std::string make_verdict(const Secret& secret, const Nonces& nonces, const Verdict& verdict) {
  std::string content;
  detail::put(content, verdict.welcome ? kWelcome : kStale);
  detail::put(content, static_cast<std::uint64_t>(verdict.epoch));
  return std::string(kVerdictTag) + content + mac(secret, kServerLabel, nonces, content);
}

Verdict check_verdict(const Secret& secret, const Nonces& nonces, std::string_view bytes) {
  check_shape(bytes, kVerdictTag, kVerdictBytes);
  const std::string_view content = bytes.substr(kTagBytes, kVerdictBytes - kTagBytes - kMacBytes);
  check_mac(bytes.substr(kVerdictBytes - kMacBytes), mac(secret, kServerLabel, nonces, content));
  return {detail::get<std::uint64_t>(content, 0) == kWelcome,
          static_cast<Epoch>(detail::get<std::uint64_t>(content, sizeof(std::uint64_t)))};
}

}  // namespace troupe::comm
