// Every kind of call, at every point of its life, against everything that can
// end it or take away what it stands on. Once it has ended, all goes at once:
// context, queue, channel, and then the clock and the directory.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/policy.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/reserved_port.h"
#include "tests/e2e/stream_flavours.h"

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;

using Way = std::variant<UnaryWay, StreamFlavour>;

std::vector<Way> AllWays() {
  std::vector<Way> ways;
  for (const UnaryWay& way : AllUnaryWays()) ways.emplace_back(way);
  for (const StreamFlavour& way : AllStreamFlavours()) ways.emplace_back(way);
  return ways;
}

std::string NameOf(const Way& way) {
  return std::visit([](const auto& it) { return ToString(it); }, way);
}

// Where a call is.
enum class Point {
  kConnecting,
  kFirstAttempt,
  kBackoff,
  kLaterAttempt,
  kTwoAttempts,  // One of them a hedge.
  kCommitted,    // All but the status has come.
};

const char* ToString(Point point) {
  static const char* const kNames[] = {
      "connecting",     "in its first attempt", "in a backoff",
      "in a later one", "in two attempts",      "committed"};
  return kNames[static_cast<int>(point)];
}

// Takes connections and says nothing.
class SilentServer {
 public:
  SilentServer() : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(socket_, generic, length), 0);
    EXPECT_EQ(listen(socket_, 16), 0);
    EXPECT_EQ(getsockname(socket_, generic, &length), 0);
    target_ = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  }
  ~SilentServer() { close(socket_); }
  SilentServer(const SilentServer&) = delete;
  SilentServer& operator=(const SilentServer&) = delete;

  const std::string& target() const { return target_; }

 private:
  const int socket_;
  std::string target_;
};

// A call of any kind on its way.
class AnyCall {
 public:
  // The channel is let go of.
  AnyCall(const Way& way, const std::shared_ptr<grpc::Channel>& channel,
          const Configure& configure) {
    if (const auto* unary = std::get_if<UnaryWay>(&way)) {
      unary_ = StartCall(unary->flavour, channel, "hello", configure);
      context_.Put(&unary_->context());
    } else {
      const auto& flavour = std::get<StreamFlavour>(way);
      thread_ =
          std::thread([this, flavour, channel = channel, configure]() mutable {
            stream_ =
                StartStream(flavour, std::exchange(channel, nullptr),
                            [this, &configure](grpc::ClientContext* context) {
                              if (configure) configure(context);
                              context_.Put(context);
                            });
            result_.Put(RunStream(*stream_, flavour.kind, {"hello"}).call);
          });
    }
  }

  void Cancel() { context_.Take("a context")->TryCancel(); }
  bool ShutDownQueue() { return unary_ != nullptr && unary_->ShutDownQueue(); }

  // Once. Nothing is left of the call afterwards.
  CallResult Wait() {
    if (unary_ == nullptr) {
      CallResult result = result_.Take("a stream");
      thread_.join();
      stream_.reset();
      return result;
    }
    CallResult result = unary_->Wait();
    unary_.reset();
    return result;
  }

 private:
  std::unique_ptr<UnderWay> unary_;
  std::unique_ptr<Stream> stream_;
  std::thread thread_;
  Slot<grpc::ClientContext*> context_;
  Slot<CallResult> result_;
};

// One call with a world of its own, on its way to a point.
class World {
 public:
  World(const Way& way, Point point, const Configure& configure = nullptr)
      : way_(way), point_(point), gate_(std::make_shared<Gate>()) {
    options_.environment = environment_.get();
    options_.directory = directory_.get();
    options_.default_policy = PolicyFor();
    if (point == Point::kFirstAttempt || point == Point::kTwoAttempts) {
      server_->Push(2, Answer::Blocked(gate_));
    } else if (point == Point::kCommitted) {
      Answer answer;
      answer.last_gate = gate_;
      server_->Push(answer);
    } else {
      server_->Push(Answer::ErrorAtOnce(StatusCode::UNAVAILABLE));
      server_->Push(Answer::Blocked(gate_));
    }
    channel_ = *CreateChannel(
        point == Point::kConnecting ? silent_.target() : server_->target(),
        grpc::InsecureChannelCredentials(), options_);
    call_ = std::make_unique<AnyCall>(way, channel_, configure);
  }

  AnyCall& call() { return *call_; }
  Gate& gate() { return *gate_; }
  TestServer& server() { return *server_; }
  void DropChannel() { channel_.reset(); }
  void StopServer() { server_.reset(); }

  void GoThere() { GoTo(point_); }

  // When the call has ended, all goes.
  CallResult End() { return DestroyAll(call_->Wait()); }
  // While backoffs are brought to their end.
  CallResult EndThroughBackoffs() {
    return DestroyAll(
        ThroughBackoffs(*environment_, [this] { return call_->Wait(); }));
  }

 private:
  CallResult DestroyAll(CallResult result) {
    ExpectAtRest(*directory_, *environment_);
    call_.reset();
    channel_.reset();
    environment_.reset();
    directory_.reset();
    return result;
  }

  void GoTo(Point point) {
    switch (point) {
      case Point::kConnecting:
        WaitUntil(
            [this] {
              return channel_->GetState(false) == GRPC_CHANNEL_CONNECTING;
            },
            "a connection");
        return;
      case Point::kFirstAttempt:
      case Point::kCommitted:
        return gate_->WaitForArrivals(1);
      case Point::kBackoff:
        WaitUntil([this] { return environment_->pending_timers() > 0; },
                  "a backoff");
        return;
      case Point::kLaterAttempt:
        GoTo(Point::kBackoff);
        environment_->AdvanceToNextTimer();
        return gate_->WaitForArrivals(1);
      case Point::kTwoAttempts:
        GoTo(Point::kBackoff);
        environment_->AdvanceToNextTimer();
        return gate_->WaitForArrivals(2);
    }
  }

  Policy PolicyFor() const {
    Policy policy;
    policy.idempotency = Idempotency::kRepeatable;
    policy.retry.max_retries = 1;
    policy.retry.base_delay = absl::Milliseconds(1);
    policy.stream_retry.enabled = true;
    // By far too long to matter, but the library has to make all attempts.
    const auto* unary = std::get_if<UnaryWay>(&way_);
    if (unary != nullptr && unary->hijacked) {
      policy.attempt_timeout = absl::Hours(100);
    }
    if (point_ == Point::kTwoAttempts) {
      policy.hedging.max_hedges = 1;
      policy.hedging.delay = absl::Milliseconds(1);
    }
    return policy;
  }

  const Way way_;
  const Point point_;
  const std::shared_ptr<Gate> gate_;
  SilentServer silent_;
  // Where it goes, calls go on to ask for it.
  const ReservedPort port_;
  std::optional<TestServer> server_{std::in_place, port_.port()};
  std::unique_ptr<ManualEnvironment> environment_ =
      std::make_unique<ManualEnvironment>();
  std::unique_ptr<Directory> directory_ = std::make_unique<Directory>();
  Options options_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<AnyCall> call_;
};

class EndingsTest : public ::testing::TestWithParam<Way> {
 protected:
  bool streams() const {
    return std::holds_alternative<StreamFlavour>(GetParam());
  }
  std::vector<Point> Points() const {
    std::vector<Point> points = {Point::kConnecting, Point::kFirstAttempt,
                                 Point::kBackoff, Point::kLaterAttempt};
    points.push_back(streams() ? Point::kCommitted : Point::kTwoAttempts);
    return points;
  }

  // To its end, or where there is none, to a cancellation.
  void ExpectGoesOn(void (*take_away)(World&)) const {
    for (const Point point : Points()) {
      SCOPED_TRACE(ToString(point));
      World world(GetParam(), point);
      world.GoThere();

      take_away(world);
      if (point == Point::kConnecting) world.call().Cancel();
      world.gate().Open();

      EXPECT_EQ(
          world.EndThroughBackoffs().status.error_code(),
          point == Point::kConnecting ? StatusCode::CANCELLED : StatusCode::OK);
    }
  }
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(EndingsTest);
INSTANTIATE_TEST_SUITE_P(Ways, EndingsTest, ::testing::ValuesIn(AllWays()),
                         [](const auto& info) { return NameOf(info.param); });

ATTEMPTS_TEST_P(EndingsTest, CancellationEndsItAtEveryPoint) {
  for (const Point point : Points()) {
    SCOPED_TRACE(ToString(point));
    World world(GetParam(), point);
    world.GoThere();
    const int calls = world.server().calls();

    world.call().Cancel();

    EXPECT_EQ(world.End().status.error_code(), StatusCode::CANCELLED);
    if (point != Point::kConnecting && point != Point::kBackoff) {
      world.gate().WaitForCancellations(point == Point::kTwoAttempts ? 2 : 1);
    }
    EXPECT_EQ(world.server().calls(), calls);
  }
}

// But for a backoff: one that the deadline would end is not begun.
ATTEMPTS_TEST_P(EndingsTest, DeadlineEndsItAtEveryPoint) {
  for (const Point point : Points()) {
    if (point == Point::kBackoff) continue;
    SCOPED_TRACE(ToString(point));
    World world(GetParam(), point, [](grpc::ClientContext* context) {
      context->set_deadline(std::chrono::system_clock::now() +
                            std::chrono::milliseconds(50));
    });

    // Should it pass before that point, all the better.
    EXPECT_EQ(world.EndThroughBackoffs().status.error_code(),
              StatusCode::DEADLINE_EXCEEDED);
  }
}

ATTEMPTS_TEST_P(EndingsTest, GoesOnFromEveryPointWithoutStubAndChannel) {
  ExpectGoesOn([](World& world) { world.DropChannel(); });
}

// Of those that need not start anything more on it.
class QueueEndingsTest : public EndingsTest {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(QueueEndingsTest);
INSTANTIATE_TEST_SUITE_P(
    Ways, QueueEndingsTest,
    ::testing::Values(UnaryWay{Flavour::kQueue, false},
                      UnaryWay{Flavour::kQueue, true},
                      UnaryWay{Flavour::kQueuePrepared, false},
                      UnaryWay{Flavour::kGenericQueue, false},
                      UnaryWay{Flavour::kGenericQueue, true}),
    [](const auto& info) { return NameOf(info.param); });

ATTEMPTS_TEST_P(QueueEndingsTest, GoesOnFromEveryPointWhenItsQueueIsShutDown) {
  ExpectGoesOn([](World& world) { ASSERT_TRUE(world.call().ShutDownQueue()); });
}

ATTEMPTS_TEST_P(EndingsTest, EndsWhereverItIsWhenItsServerGoes) {
  for (const Point point : Points()) {
    if (point == Point::kConnecting) continue;
    SCOPED_TRACE(ToString(point));
    World world(GetParam(), point);
    world.GoThere();

    world.StopServer();

    EXPECT_FALSE(world.EndThroughBackoffs().status.ok());
  }
}

}  // namespace
}  // namespace grpc_breaker::e2e
