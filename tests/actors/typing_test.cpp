#include <gtest/gtest.h>

#include "actors/actor.h"

namespace troupe::actors {
namespace {

struct RunSteps {};
struct Tick {};
struct Unrelated {};
struct GetStatus {
  using Reply = int;
};

using Wide = Accepts<RunSteps, Tick>;
using Narrow = Accepts<Tick>;

template <class Api, class Message>
concept Sendable = requires(const Address<Api>& address, Message message) {
  address.send(message);
};

static_assert(Sendable<Wide, RunSteps>);
static_assert(Sendable<Wide, Tick>);
static_assert(!Sendable<Wide, Unrelated>, "sends what the actor does not accept");
static_assert(!Sendable<Narrow, RunSteps>);
static_assert(!Sendable<Narrow, int>);

static_assert(std::is_convertible_v<Address<Wide>, Address<Narrow>>, "narrows");
static_assert(!std::is_convertible_v<Address<Narrow>, Address<Wide>>, "widens");

/// Shows what an actor may do to itself and to others.
class Probe : public Actor<Wide> {
 public:
  void on(const RunSteps&) override {}
  void on(const Tick&) override {}

  template <class Message>
  static constexpr bool kCanSendLater = requires(Probe& probe, Message message) {
    probe.send_later(Duration(1), message);
  };
  template <class Api>
  static constexpr bool kCanAsk = requires(Probe& probe, const Address<Api>& whom) {
    probe.ask(whom, GetStatus{}, Duration(1), [](const Answer<int>&) {});
  };
};

static_assert(Probe::kCanSendLater<Tick>);
static_assert(!Probe::kCanSendLater<Unrelated>, "sends itself what it does not accept");
static_assert(Probe::kCanAsk<Accepts<Request<GetStatus>>>);
static_assert(!Probe::kCanAsk<Wide>, "asks who does not answer");

TEST(Address, EmptyOneIsDead) {
  const Address<Narrow> nobody;
  EXPECT_EQ(nobody.send(Tick{}), Delivery::kDead);
  EXPECT_EQ(nobody.name(), "");
}

}  // namespace
}  // namespace troupe::actors
