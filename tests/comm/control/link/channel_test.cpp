#include "comm/control/link/channel.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace troupe::comm {
namespace {

using actors::Delivery;

/// Brings everything from one end to the other.
void carry(Channel& from, Channel& to) { to.feed(from.take_output()); }

std::string frame(std::uint64_t sequence, FrameKind kind = FrameKind::kMessage) {
  return encode_frame({kind, 1, sequence, kind == FrameKind::kMessage ? "m" : ""});
}

TEST(Channel, KeepsMessagesUntilTheyAreTakenInAndAcknowledged) {
  Channel here(1), there(1);
  EXPECT_EQ(here.send("one"), Delivery::kDelivered);
  EXPECT_EQ(here.send("two"), Delivery::kDelivered);
  carry(here, there);
  EXPECT_EQ(there.next_message(), "one");
  EXPECT_EQ(there.next_message(), "two");
  EXPECT_EQ(there.next_message(), std::nullopt);
  there.acknowledge();  // a heartbeat: nothing is taken in yet
  carry(there, here);
  EXPECT_EQ(here.next_message(), std::nullopt);
  EXPECT_EQ(here.unacknowledged(), 2U);
  there.take_in();
  there.acknowledge();
  carry(there, here);
  EXPECT_EQ(here.next_message(), std::nullopt);
  EXPECT_EQ(here.unacknowledged(), 1U);
}

TEST(Channel, BoundsWhatIsUnacknowledged) {
  Channel here(1, 200), there(1);
  const std::string large(100, 'x');
  EXPECT_EQ(here.send(large), Delivery::kDelivered);
  EXPECT_EQ(here.send(large), Delivery::kDelivered);
  EXPECT_EQ(here.send("x"), Delivery::kFull);
  carry(here, there);
  EXPECT_TRUE(there.next_message().has_value());
  there.take_in();
  there.acknowledge();
  carry(there, here);
  EXPECT_EQ(here.next_message(), std::nullopt);
  EXPECT_EQ(here.send("x"), Delivery::kDelivered);
}

TEST(Channel, DropsMessagesOfAnotherEpoch) {
  Channel stale(1), current(2);
  EXPECT_EQ(stale.send("old news"), Delivery::kDelivered);
  stale.acknowledge();
  carry(stale, current);
  EXPECT_EQ(current.next_message(), std::nullopt);
  EXPECT_EQ(current.stale_messages(), 1);
}

TEST(Channel, RefusesMissingAndRepeatedMessages) {
  for (const std::string& bytes : {frame(2), frame(0), frame(1) + frame(1), frame(1) + frame(3)}) {
    Channel channel(1);
    channel.feed(bytes);
    EXPECT_THROW(while (channel.next_message()){}, Error);
  }
}

TEST(Channel, RefusesAcknowledgementsOfWhatWasNeverSent) {
  Channel channel(1);
  EXPECT_EQ(channel.send("one"), Delivery::kDelivered);
  channel.feed(frame(1, FrameKind::kAcknowledgement));
  EXPECT_EQ(channel.next_message(), std::nullopt);
  channel.feed(frame(2, FrameKind::kAcknowledgement));
  EXPECT_THROW((void)channel.next_message(), Error);
  Channel backwards(1);
  EXPECT_EQ(backwards.send("one"), Delivery::kDelivered);
  backwards.feed(frame(1, FrameKind::kAcknowledgement) + frame(0, FrameKind::kAcknowledgement));
  EXPECT_THROW((void)backwards.next_message(), Error);
}

}  // namespace
}  // namespace troupe::comm
