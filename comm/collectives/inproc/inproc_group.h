#pragma once
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace troupe::comm::detail {

/// What one rank brings to a collective.
struct Contribution {
  std::span<const std::byte> data;    // read in place by the peers, until all of them finished
  std::vector<std::int64_t> offsets;  // of the blocks of `data`
  std::vector<std::int64_t> values;   // small operands, copied
  int root = 0;
};

/// What the threads of one group share. Every collective is a round: each rank posts its
/// contribution, reads those of the others once all are there, and finishes; rounds are numbered by
/// each rank's own count of operations. Thread-safe. A failure is the group's: it wakes every waiting
/// rank and is what every later call throws.
class InprocGroup {
 public:
  explicit InprocGroup(int size);

  [[nodiscard]] int size() const { return static_cast<int>(left_.size()); }

  /// Throws kInternal when another rank called another operation as its round `number`.
  void post(std::int64_t number, int rank, std::string_view operation, Contribution contribution);
  [[nodiscard]] bool all_posted(std::int64_t number);
  /// Throws kPeerLost when a rank left without posting.
  void wait_posted(std::int64_t number);

  /// Keeps every contribution of a fully posted round alive while it exists; short.
  class Reading {
   public:
    Reading(InprocGroup& group, std::int64_t number);
    ~Reading();
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;
    [[nodiscard]] const Contribution& of(int rank) const;

   private:
    InprocGroup& group_;
    std::int64_t number_;
    const std::vector<std::optional<Contribution>>* contributions_;
  };

  /// This rank has read all it needs; call once per rank and round.
  void finish(std::int64_t number);
  [[nodiscard]] bool all_finished(std::int64_t number);
  void wait_finished(std::int64_t number);

  /// The group of a split's color, made by the first rank that asks. Inside a Reading.
  [[nodiscard]] std::shared_ptr<InprocGroup> child(std::int64_t number, std::int64_t color, int size);

  /// Fails the group, waits until nobody reads from round `number`, and throws.
  [[noreturn]] void fail(std::int64_t number, ErrorCode code, const std::string& message);
  /// As fail(), without throwing.
  void abandon(std::int64_t number, const std::string& message);
  void leave(int rank);

 private:
  struct Round {
    std::string_view operation;
    int first_rank = 0;  // that posted
    std::vector<std::optional<Contribution>> contributions;
    int posted = 0;
    int reading = 0;
    int finished = 0;
    std::map<std::int64_t, std::shared_ptr<InprocGroup>> children;
  };
  using Lock = std::unique_lock<std::mutex>;

  [[noreturn]] void throw_failure(Lock& lock, std::int64_t number);
  void set_failure(Lock& lock, std::int64_t number, ErrorCode code, const std::string& message);
  [[nodiscard]] std::optional<int> missing_rank(const Round& round) const;  // left without posting

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::int64_t, Round> rounds_;  // not yet finished by all
  std::vector<bool> left_;                // [size]
  std::optional<Error> failure_;
};

}  // namespace troupe::comm::detail
