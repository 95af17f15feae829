#pragma once
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "comm/control/link/contact.h"

/// Proof by both ends that they know the run's secret, before anything else is read: three frames of fixed
/// size, each beginning with a tag of 8 bytes.
///   server → client  challenge: nonce
///   client → server  answer:    epoch, nonce, HMAC-SHA256(secret, "…client", both nonces, epoch)
///   server → client  verdict:   welcome or stale, server's epoch, HMAC-SHA256(secret, "…server", both
///   nonces, …)
/// Every check throws Error{kCorrupt} for bytes that do not prove it.
namespace troupe::comm {

/// 32 bytes of make_secret(), used in one handshake only.
using Nonce = std::array<std::byte, 32>;

inline constexpr std::size_t kChallengeBytes = 40;
inline constexpr std::size_t kAnswerBytes = 80;
inline constexpr std::size_t kVerdictBytes = 56;

/// The nonces of one handshake.
struct Nonces {
  Nonce server{};
  Nonce client{};
};

struct Verdict {
  bool welcome = false;  // false: the client's epoch is not the server's
  Epoch epoch = 0;       // the server's
  bool operator==(const Verdict&) const = default;
};

[[nodiscard]] std::string make_challenge(const Nonce& server);
[[nodiscard]] Nonce read_challenge(std::string_view bytes);

[[nodiscard]] std::string make_answer(const Secret& secret, const Nonces& nonces, Epoch epoch);
/// The client's epoch; fills nonces.client.
[[nodiscard]] Epoch check_answer(const Secret& secret, Nonces& nonces, std::string_view bytes);

[[nodiscard]] std::string make_verdict(const Secret& secret, const Nonces& nonces, const Verdict& verdict);
[[nodiscard]] Verdict check_verdict(const Secret& secret, const Nonces& nonces, std::string_view bytes);

}  // namespace troupe::comm
