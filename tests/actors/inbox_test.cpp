#include "actors/inbox.h"

#include <gtest/gtest.h>

#include <thread>

namespace troupe::actors {
namespace {

using namespace std::chrono_literals;

struct Number {
  int value = 0;
  bool operator==(const Number&) const = default;
};
struct Word {
  std::string text;
  bool operator==(const Word&) const = default;
};
using NumbersAndWords = Accepts<Number, Word>;

TEST(Inbox, GivesMessagesInTheirOrder) {
  Inbox<NumbersAndWords> inbox("reader");
  EXPECT_EQ(inbox.address().send(Number{7}), Delivery::kDelivered);
  EXPECT_EQ(inbox.address().send(Word{"eight"}), Delivery::kDelivered);
  EXPECT_EQ(std::get<Number>(inbox.try_receive().value()), Number{7});
  EXPECT_EQ(std::get<Word>(inbox.try_receive().value()), Word{"eight"});
  EXPECT_FALSE(inbox.try_receive().has_value());
}

TEST(Inbox, RefusesWhatDoesNotFit) {
  Inbox<NumbersAndWords> inbox("reader", 1);
  EXPECT_EQ(inbox.address().send(Number{1}), Delivery::kDelivered);
  EXPECT_EQ(inbox.address().send(Number{2}), Delivery::kFull);
  EXPECT_TRUE(inbox.try_receive().has_value());
  EXPECT_EQ(inbox.address().send(Number{3}), Delivery::kDelivered);
}

TEST(Inbox, IsDeadToItsSendersOnceDestroyed) {
  Address<NumbersAndWords> address;
  {
    const Inbox<NumbersAndWords> inbox("reader");
    address = inbox.address();
  }
  EXPECT_EQ(address.send(Number{1}), Delivery::kDead);
  EXPECT_EQ(address.name(), "reader");
}

TEST(Inbox, WakesAWaitingReader) {
  Inbox<NumbersAndWords> inbox("reader");
  std::thread sender(
      [address = inbox.address()] { EXPECT_EQ(address.send(Number{5}), Delivery::kDelivered); });
  const auto message = inbox.receive(60s);
  sender.join();
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ(std::get<Number>(*message), Number{5});
}

TEST(Inbox, KeepsEverySendersOrderFromManyThreads) {
  constexpr int kSenders = 4;
  constexpr int kEach = 500;
  Inbox<NumbersAndWords> inbox("reader", kSenders * kEach);
  std::vector<std::thread> senders;
  for (int sender = 0; sender < kSenders; ++sender) {
    senders.emplace_back([address = inbox.address(), sender] {
      for (int i = 0; i < kEach; ++i)
        EXPECT_EQ(address.send(Number{sender * kEach + i}), Delivery::kDelivered);
    });
  }
  std::vector<int> next(kSenders, 0);
  for (int received = 0; received < kSenders * kEach; ++received) {
    const auto message = inbox.receive(60s);
    ASSERT_TRUE(message.has_value());
    const int value = std::get<Number>(*message).value;
    EXPECT_EQ(value % kEach, next[static_cast<std::size_t>(value / kEach)]++);
  }
  for (std::thread& sender : senders) sender.join();
}

}  // namespace
}  // namespace troupe::actors
