// What actors may rely on, on every runtime.
#include "actors/runtime.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "actors/actor.h"
#include "actors/asio_runtime.h"
#include "actors/deterministic_runtime.h"
#include "actors/inbox.h"

namespace troupe::actors {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

// What the actors below report to the test.
struct Event {
  std::string text;
};
using EventInbox = Inbox<Accepts<Event>>;
using Events = Address<Accepts<Event>>;

void tell(const Events& events, std::string text) {
  EXPECT_EQ(events.send(Event{std::move(text)}), Delivery::kDelivered);
}

struct Say {
  std::string text;
};
struct SayLater {
  Duration delay;
  std::string text;
  bool cancelled = false;
};
struct Fail {
  std::string why;
};
struct Quit {};
struct Repeat {
  using Reply = std::string;
  std::string text;
};
struct AskFriend {
  std::string text;
};
struct FailChild {};

/// Runs a test's actors on one kind of runtime.
class Harness {
 public:
  virtual ~Harness() = default;
  virtual Runtime& runtime() = 0;
  /// The next event; empty when none comes any more.
  virtual std::string next(EventInbox& inbox) = 0;
  /// Runs until a failure reaches the root, and gives its message.
  virtual std::string failure() = 0;
};

class AsioHarness final : public Harness {
 public:
  Runtime& runtime() override { return runtime_; }
  std::string next(EventInbox& inbox) override {
    const auto event = inbox.receive(60s);
    return event ? std::get<Event>(*event).text : "";
  }
  std::string failure() override {
    try {
      runtime_.wait();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

 private:
  AsioRuntime runtime_{3};
};

class DeterministicHarness final : public Harness {
 public:
  Runtime& runtime() override { return runtime_; }
  std::string next(EventInbox& inbox) override {
    std::optional<EventInbox::Message> event;
    const bool came = runtime_.run_until([&] { return (event = inbox.try_receive()).has_value(); }, 60s);
    return came ? std::get<Event>(*event).text : "";
  }
  std::string failure() override {
    try {
      runtime_.run_for(60s);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

 private:
  DeterministicRuntime runtime_{17, 1ms};
};

using SpeakerApi = Accepts<Say, SayLater, Fail, Quit, Request<Repeat>>;

class Speaker : public Actor<SpeakerApi> {
 public:
  explicit Speaker(Events events) : events_(std::move(events)) {}
  ~Speaker() override { (void)events_.send(Event{"destroyed"}); }

  void started() override { tell(events_, "started"); }
  void on(const Say& say) override { tell(events_, say.text); }
  void on(const SayLater& later) override {
    const TimerId timer = send_later(later.delay, Say{later.text});
    if (later.cancelled) {
      EXPECT_TRUE(cancel(timer));
      EXPECT_FALSE(cancel(timer));
    }
  }
  void on(const Fail& fail) override { throw Error(ErrorCode::kIo, "{}", fail.why); }
  void on(const Quit&) override { stop(); }
  void on(const Request<Repeat>& request) override {
    if (request.question.text == "silence") {
      kept_.push_back(request);
    } else {
      request.reply(request.question.text);
      request.reply("a second reply");
    }
  }

 private:
  Events events_;
  std::vector<Request<Repeat>> kept_;
};

std::function<std::unique_ptr<Speaker>()> speaker(const EventInbox& inbox) {
  return [events = inbox.address()] { return std::make_unique<Speaker>(events); };
}

class RuntimeTest : public testing::TestWithParam<std::string> {
 protected:
  RuntimeTest() {
    if (GetParam() == "Asio") harness_ = std::make_unique<AsioHarness>();
    if (GetParam() == "Deterministic") harness_ = std::make_unique<DeterministicHarness>();
  }
  Runtime& runtime() { return harness_->runtime(); }
  std::string next() { return harness_->next(inbox_); }
  std::vector<std::string> next(int events) {
    std::vector<std::string> texts;
    for (int i = 0; i < events; ++i) texts.push_back(next());
    return texts;
  }

  EventInbox inbox_{"test", 100'000};
  EventInbox friend_inbox_{"friend"};
  std::unique_ptr<Harness> harness_;
};

INSTANTIATE_TEST_SUITE_P(Runtimes, RuntimeTest, testing::Values("Asio", "Deterministic"),
                         [](const auto& instance) { return instance.param; });

TEST_P(RuntimeTest, StartsAnActorBeforeItsFirstMessage) {
  const auto address = runtime().spawn("speaker", speaker(inbox_));
  EXPECT_EQ(address.send(Say{"hello"}), Delivery::kDelivered);
  EXPECT_THAT(next(2), ElementsAre("started", "hello"));
  EXPECT_EQ(address.name(), "speaker");
}

TEST_P(RuntimeTest, KeepsTheOrderOfOneSender) {
  const auto address = runtime().spawn("speaker", speaker(inbox_));
  for (int i = 0; i < 500; ++i) EXPECT_EQ(address.send(Say{std::to_string(i)}), Delivery::kDelivered);
  EXPECT_EQ(next(), "started");
  for (int i = 0; i < 500; ++i) EXPECT_EQ(next(), std::to_string(i));
}

TEST_P(RuntimeTest, FiresTimersInTheOrderOfTheirTimes) {
  const auto address = runtime().spawn("speaker", speaker(inbox_));
  EXPECT_EQ(address.send(SayLater{40ms, "late"}), Delivery::kDelivered);
  EXPECT_EQ(address.send(SayLater{10ms, "never", true}), Delivery::kDelivered);
  EXPECT_EQ(address.send(SayLater{1ms, "early"}), Delivery::kDelivered);
  EXPECT_EQ(address.send(Say{"now"}), Delivery::kDelivered);
  EXPECT_THAT(next(4), ElementsAre("started", "now", "early", "late"));
}

TEST_P(RuntimeTest, StopsAfterTheCurrentHandler) {
  const auto address = runtime().spawn("speaker", speaker(inbox_));
  EXPECT_EQ(address.send(Quit{}), Delivery::kDelivered);
  EXPECT_THAT(next(2), ElementsAre("started", "destroyed"));
  EXPECT_EQ(address.send(Say{"too late"}), Delivery::kDead);
}

TEST_P(RuntimeTest, IsStoppedFromOutside) {
  const auto address = runtime().spawn("speaker", speaker(inbox_));
  EXPECT_EQ(next(), "started");
  EXPECT_EQ(address.send(SayLater{1h, "never"}), Delivery::kDelivered);
  runtime().stop(address);
  EXPECT_EQ(address.send(Say{"too late"}), Delivery::kDead);
  EXPECT_EQ(next(), "destroyed");
}

TEST_P(RuntimeTest, RestartsAFailedActorWithTheRestOfItsMailbox) {
  const auto address = runtime().spawn("speaker", speaker(inbox_), {.max_restarts = 1});
  EXPECT_EQ(address.send(SayLater{1h, "a timer of the first life"}), Delivery::kDelivered);
  EXPECT_EQ(address.send(Fail{"disk gone"}), Delivery::kDelivered);
  EXPECT_EQ(address.send(Say{"again"}), Delivery::kDelivered);
  EXPECT_THAT(next(4), ElementsAre("started", "destroyed", "started", "again"));
}

TEST_P(RuntimeTest, EscalatesToTheRootWithTheNameOfTheActor) {
  const auto address = runtime().spawn("speaker", speaker(inbox_), {.max_restarts = 1});
  EXPECT_EQ(address.send(Fail{"disk gone"}), Delivery::kDelivered);
  EXPECT_EQ(address.send(Fail{"disk gone again"}), Delivery::kDelivered);
  EXPECT_EQ(harness_->failure(), "actor 'speaker' failed: disk gone again");
}

TEST_P(RuntimeTest, EscalatesAFactoryThatThrows) {
  runtime().spawn("stillborn", []() -> std::unique_ptr<Speaker> { throw std::runtime_error("no memory"); });
  EXPECT_EQ(harness_->failure(), "actor 'stillborn' failed: no memory");
}

// ---- questions -----------------------------------------------------------------------------------

using AskerApi = Accepts<AskFriend>;

class Asker : public Actor<AskerApi> {
 public:
  Asker(Events events, Address<Accepts<Request<Repeat>>> whom, Duration deadline)
      : events_(std::move(events)), friend_(std::move(whom)), deadline_(deadline) {}

  void on(const AskFriend& message) override {
    ask(friend_, Repeat{message.text}, deadline_,
        [this](const Answer<std::string>& answer) { tell(events_, describe(answer)); });
  }

 private:
  static std::string describe(const Answer<std::string>& answer) {
    if (answer) return *answer.reply;
    if (answer.failure == AskFailure::kDeadline) return "deadline";
    return answer.failure == AskFailure::kFull ? "full" : "dead";
  }

  Events events_;
  Address<Accepts<Request<Repeat>>> friend_;
  Duration deadline_;
};

TEST_P(RuntimeTest, BringsTheReplyToTheAsker) {
  const auto whom = runtime().spawn("speaker", speaker(friend_inbox_));
  const auto asker = runtime().spawn(
      "asker", [events = inbox_.address(), whom] { return std::make_unique<Asker>(events, whom, 1h); });
  EXPECT_EQ(asker.send(AskFriend{"one"}), Delivery::kDelivered);
  EXPECT_EQ(asker.send(AskFriend{"two"}), Delivery::kDelivered);
  EXPECT_THAT(next(2), ElementsAre("one", "two"));
}

TEST_P(RuntimeTest, TellsTheAskerWhenTheDeadlinePassed) {
  const auto whom = runtime().spawn("speaker", speaker(friend_inbox_));
  const auto asker = runtime().spawn(
      "asker", [events = inbox_.address(), whom] { return std::make_unique<Asker>(events, whom, 5ms); });
  EXPECT_EQ(asker.send(AskFriend{"silence"}), Delivery::kDelivered);
  EXPECT_EQ(next(), "deadline");
}

TEST_P(RuntimeTest, TellsTheAskerAtOnceWhenTheQuestionIsDropped) {
  const auto whom = runtime().spawn("speaker", speaker(friend_inbox_));
  const auto asker = runtime().spawn(
      "asker", [events = inbox_.address(), whom] { return std::make_unique<Asker>(events, whom, 1h); });
  EXPECT_EQ(asker.send(AskFriend{"silence"}), Delivery::kDelivered);
  EXPECT_EQ(asker.send(AskFriend{"spoken"}), Delivery::kDelivered);
  EXPECT_EQ(next(), "spoken");
  runtime().stop(whom);  // holds the first question
  EXPECT_EQ(next(), "dead");
  EXPECT_EQ(asker.send(AskFriend{"anyone there?"}), Delivery::kDelivered);
  EXPECT_EQ(next(), "dead");
}

TEST_P(RuntimeTest, TellsTheAskerThatTheMailboxIsFull) {
  Inbox<Accepts<Request<Repeat>>> whom("busy", 1);
  const auto asker = runtime().spawn("asker", [events = inbox_.address(), address = whom.address()] {
    return std::make_unique<Asker>(events, address, 1h);
  });
  EXPECT_EQ(asker.send(AskFriend{"first"}), Delivery::kDelivered);
  EXPECT_EQ(asker.send(AskFriend{"second"}), Delivery::kDelivered);
  EXPECT_EQ(next(), "full");
  std::get<Request<Repeat>>(whom.try_receive().value()).reply("late, but in time");
  EXPECT_EQ(next(), "late, but in time");
}

// ---- supervision ---------------------------------------------------------------------------------

using ParentApi = Accepts<FailChild, Quit>;

class Parent : public Actor<ParentApi> {
 public:
  explicit Parent(Events events) : events_(std::move(events)) {}

  void started() override {
    tell(events_, "parent started");
    child_ = spawn("child", [events = events_] { return std::make_unique<Speaker>(events); });
  }
  void on(const FailChild&) override { EXPECT_EQ(child_.send(Fail{"broken"}), Delivery::kDelivered); }
  void on(const Quit&) override { stop(); }

 private:
  Events events_;
  Address<SpeakerApi> child_;
};

TEST_P(RuntimeTest, FailsTheParentOfAFailedChild) {
  const auto parent =
      runtime().spawn("parent", [events = inbox_.address()] { return std::make_unique<Parent>(events); },
                      {.max_restarts = 1});
  EXPECT_THAT(next(2), ElementsAre("parent started", "started"));
  EXPECT_EQ(parent.send(FailChild{}), Delivery::kDelivered);
  EXPECT_THAT(next(3), ElementsAre("destroyed", "parent started", "started"));
  EXPECT_EQ(parent.send(FailChild{}), Delivery::kDelivered);
  EXPECT_EQ(harness_->failure(), "actor 'parent' failed: actor 'parent/child' failed: broken");
}

TEST_P(RuntimeTest, EndsChildrenWithTheirParent) {
  const auto parent =
      runtime().spawn("parent", [events = inbox_.address()] { return std::make_unique<Parent>(events); });
  EXPECT_THAT(next(2), ElementsAre("parent started", "started"));
  EXPECT_EQ(parent.send(Quit{}), Delivery::kDelivered);
  EXPECT_EQ(next(), "destroyed");
}

TEST_P(RuntimeTest, DestroysActorsWithItself) {
  runtime().spawn("speaker", speaker(inbox_));
  EXPECT_EQ(next(), "started");
  harness_.reset();
  EXPECT_EQ(std::get<Event>(inbox_.try_receive().value()).text, "destroyed");
}

TEST_P(RuntimeTest, NamesAnActorThatUsesItsRuntimeTooEarly) {
  class Hasty : public Actor<Accepts<Say>> {
   public:
    Hasty() { send_later(1ms, Say{}); }
    void on(const Say&) override {}
  };
  runtime().spawn("hasty", [] { return std::make_unique<Hasty>(); });
  EXPECT_THAT(harness_->failure(), testing::AllOf(HasSubstr("actor 'hasty'"), HasSubstr("started()")));
}

// ---- threads -------------------------------------------------------------------------------------

using CounterApi = Accepts<Say>;

/// Its unguarded counter shows (to the thread sanitizer, too) that handlers never overlap.
class Counter : public Actor<CounterApi> {
 public:
  Counter(Events events, int total) : events_(std::move(events)), total_(total) {}
  void on(const Say&) override {
    if (++count_ == total_) tell(events_, "counted");
  }

 private:
  Events events_;
  int total_;
  int count_ = 0;
};

TEST(AsioRuntime, HandlesOneMessageAtATimeFromManyThreads) {
  constexpr int kSenders = 4;
  constexpr int kEach = 2000;
  EventInbox inbox("test");
  AsioRuntime runtime(3);
  const auto counter = runtime.spawn(
      "counter", [events = inbox.address()] { return std::make_unique<Counter>(events, kSenders * kEach); },
      {.mailbox_capacity = kSenders * kEach});
  std::vector<std::thread> senders;
  for (int i = 0; i < kSenders; ++i) {
    senders.emplace_back([counter] {
      for (int j = 0; j < kEach; ++j) EXPECT_EQ(counter.send(Say{}), Delivery::kDelivered);
    });
  }
  for (std::thread& sender : senders) sender.join();
  EXPECT_TRUE(inbox.receive(60s).has_value());
}

TEST(AsioRuntime, TellsItsFailureHandler) {
  EventInbox inbox("test");
  AsioRuntime runtime(1, [events = inbox.address()](const Error& error) { tell(events, error.what()); });
  runtime.spawn("stillborn", []() -> std::unique_ptr<Counter> { throw Error(ErrorCode::kPeerLost, "gone"); });
  EXPECT_EQ(std::get<Event>(inbox.receive(60s).value()).text, "actor 'stillborn' failed: gone");
  try {
    runtime.wait();
    FAIL() << "wait() hides the failure";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kPeerLost);
  }
}

TEST(AsioRuntime, WaitEndsWithStop) {
  AsioRuntime runtime(1);
  std::thread stopper([&runtime] { runtime.stop(); });
  runtime.wait();
  stopper.join();
}

}  // namespace
}  // namespace troupe::actors
