// Channels: their lifetime, interceptors beside ours, gRPC's own retries,
// pushback, idempotency, what attempts inherit, and many calls at once.

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/policy_source.h"
#include "grpc_breaker/trailing_metadata.h"
#include "grpcpp/support/channel_arguments.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/known_leaks.h"
#include "tests/e2e/queue.h"
#include "tests/e2e/raw_server.h"
#include "tests/e2e/reserved_port.h"
#include "tests/e2e/stream_flavours.h"

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;
using ::grpc::experimental::ClientInterceptorFactoryInterface;
using ::grpc::experimental::ClientRpcInfo;
using ::grpc::experimental::InterceptionHookPoints;
using ::grpc::experimental::Interceptor;
using ::grpc::experimental::InterceptorBatchMethods;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Pair;

class ChannelTest : public E2eTest {};

// ---- Lifetime

ATTEMPTS_TEST_F(ChannelTest, StubAndChannelCanBeDestroyedDuringABackoff) {
  for (int i = 0; i < 20; ++i) {
    server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
    auto channel = MakeChannel();
    auto stub = TestService::NewStub(channel);
    grpc::ClientContext context;
    Request request;
    request.set_text("hello");
    Reply reply;
    Slot<grpc::Status> done;
    stub->async()->Unary(&context, &request, &reply,
                         [&](grpc::Status status) { done.Put(status); });
    WaitUntil([&] { return env_.pending_timers() == 1; }, "a backoff");

    stub.reset();
    channel.reset();
    FinishBackoff();

    EXPECT_TRUE(done.Take("a call without its channel").ok());
    EXPECT_EQ(reply.text(), "hello");
  }
}

ATTEMPTS_TEST_F(ChannelTest,
                StubAndChannelCanBeDestroyedDuringABackoffOfAQueueCall) {
  for (int i = 0; i < 20; ++i) {
    server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
    auto channel = MakeChannel();
    auto stub = TestService::NewStub(channel);
    Queue queue;
    grpc::ClientContext context;
    Request request;
    request.set_text("hello");
    Reply reply;
    grpc::Status status;
    auto reader = stub->AsyncUnary(&context, request, queue.get());
    reader->Finish(&reply, &status, &reply);
    WaitUntil([&] { return env_.pending_timers() == 1; }, "a backoff");

    stub.reset();
    channel.reset();
    FinishBackoff();

    EXPECT_TRUE(queue.Next(&reply, "a call without its channel"));
    EXPECT_TRUE(status.ok());
    EXPECT_EQ(reply.text(), "hello");
  }
}

TEST_F(ChannelTest, QueueCallWithoutFinishCanBeDestroyed) {
  const auto channel = MakeChannel();
  const auto stub = TestService::NewStub(channel);
  for (int i = 0; i < 20; ++i) {
    Queue queue;
    grpc::ClientContext context;
    auto reader = stub->AsyncUnary(&context, Request(), queue.get());
    reader->ReadInitialMetadata(&queue);
    queue.Next(&queue, "initial metadata");
  }
  for (int i = 0; i < 20; ++i) {
    Queue queue;
    grpc::ClientContext context;
    const UnstartedCallScope scope;
    const auto reader =
        stub->PrepareAsyncUnary(&context, Request(), queue.get());
  }
  EXPECT_EQ(Breaker(kUnary).permits_in_use, 0);
}

ATTEMPTS_TEST_F(ChannelTest, ThousandChannelsComeAndGoWithTheirCalls) {
  const Flavour flavours[] = {Flavour::kSync, Flavour::kQueue,
                              Flavour::kQueueMetadata};
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  for (int i = 0; i < 1000; ++i) {
    if (i % 10 == 0) server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
    const auto channel = MakeChannel(arguments);
    auto call = StartCall(flavours[i % 3], channel, "hello");
    if (i % 10 == 0) FinishBackoff();
    ASSERT_TRUE(call->Wait().status.ok()) << i;
  }
  EXPECT_EQ(server_.calls(), 1100);
  // The last call's may go a moment later, on the attempts' thread.
  WaitUntil([&] { return directory_.Registries().empty(); },
            "the registries to go");
}

ATTEMPTS_TEST_F(ChannelTest, RegistryOutlivesItsChannelWhileACallIsUnderWay) {
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  auto call = StartCall(Flavour::kCallback, MakeChannel(), "hello");
  WaitUntil([&] { return env_.pending_timers() == 1; }, "a backoff");

  EXPECT_EQ(directory_.Registries().size(), 1u);

  FinishBackoff();
  EXPECT_TRUE(call->Wait().status.ok());
  call.reset();
  WaitUntil([&] { return directory_.Registries().empty(); },
            "the registry to go");
}

// ---- Other interceptors

// What one interceptor saw of the RPCs of its place in the chain.
// The first attempt's end is the queue's to tell, and nobody else's.
ATTEMPTS_TEST_F(ChannelTest, CallOfAQueueGoesOnWhenItsQueueIsPolled) {
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  const auto stub = TestService::NewStub(MakeChannel());
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  Request request;
  request.set_text("hello");
  const auto reader = stub->AsyncUnary(&context, request, &queue);
  Reply reply;
  grpc::Status status;
  reader->Finish(&reply, &status, &reply);
  void* tag;
  bool ok;
  const auto poll = [&] {
    return queue.AsyncNext(
        &tag, &ok,
        std::chrono::system_clock::now() + std::chrono::milliseconds(5));
  };

  WaitUntil(
      [&] {
        EXPECT_EQ(poll(), grpc::CompletionQueue::TIMEOUT);
        return env_.pending_timers() > 0;
      },
      "a backoff");
  env_.AdvanceToNextTimer();
  WaitUntil([&] { return poll() == grpc::CompletionQueue::GOT_EVENT; },
            "the end of the call");

  EXPECT_TRUE(ok);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(reply.text(), "hello");
  queue.Shutdown();
  EXPECT_FALSE(queue.Next(&tag, &ok));
}

ATTEMPTS_TEST_F(ChannelTest, QueueThatIsShutDownEndsAfterItsRetriedCalls) {
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  const auto stub = TestService::NewStub(MakeChannel());
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  const auto reader = stub->AsyncUnary(&context, Request(), &queue);
  Reply reply;
  grpc::Status status;
  reader->Finish(&reply, &status, &reply);
  queue.Shutdown();
  std::thread backoff([this] { FinishBackoff(); });
  void* tag;
  bool ok;

  EXPECT_TRUE(queue.Next(&tag, &ok));
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_FALSE(queue.Next(&tag, &ok));
  backoff.join();
}

struct Sightings {
  std::atomic<int> rpcs{0};
  std::atomic<int> ok{0};
  std::atomic<int> failed{0};
  std::atomic<int> messages{0};
};

class WatchingFactory final : public ClientInterceptorFactoryInterface {
 public:
  explicit WatchingFactory(Sightings* sightings) : sightings_(*sightings) {}

  Interceptor* CreateClientInterceptor(ClientRpcInfo* /*info*/) override {
    return new Watching(sightings_);
  }

 private:
  class Watching final : public Interceptor {
   public:
    explicit Watching(Sightings& sightings) : sightings_(sightings) {}

    void Intercept(InterceptorBatchMethods* batch) override {
      if (batch->QueryInterceptionHookPoint(
              InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
        ++sightings_.rpcs;
      }
      if (batch->QueryInterceptionHookPoint(
              InterceptionHookPoints::POST_RECV_STATUS)) {
        ++(batch->GetRecvStatus()->ok() ? sightings_.ok : sightings_.failed);
      }
      if (batch->QueryInterceptionHookPoint(
              InterceptionHookPoints::POST_RECV_MESSAGE) &&
          batch->GetRecvMessage() != nullptr) {
        ++sightings_.messages;
      }
      batch->Proceed();
    }

   private:
    Sightings& sightings_;
  };

  Sightings& sightings_;
};

class WatchedChannelTest : public ChannelTest {
 protected:
  std::shared_ptr<grpc::Channel> MakeWatchedChannel(Sightings* before,
                                                    Sightings* after) {
    FactoryList first, last;
    first.push_back(std::make_unique<WatchingFactory>(before));
    last.push_back(std::make_unique<WatchingFactory>(after));
    return MakeChannelBetween(std::move(first), std::move(last));
  }
};

ATTEMPTS_TEST_F(WatchedChannelTest,
                InterceptorsBeforeSeeCallsAndThoseAfterSeeAttempts) {
  for (const Flavour flavour : AllFlavours()) {
    if (IsGeneric(flavour)) continue;
    Sightings before, after;
    const auto channel = MakeWatchedChannel(&before, &after);
    server_.Push(2, Answer::Error(StatusCode::UNAVAILABLE));

    auto call = StartCall(flavour, channel, "hello");
    FinishBackoff();
    FinishBackoff();
    EXPECT_TRUE(call->Wait().status.ok());
    call.reset();

    EXPECT_EQ(before.rpcs, 1) << ToString(flavour);
    EXPECT_EQ(before.ok, 1) << ToString(flavour);
    EXPECT_EQ(before.failed, 0) << ToString(flavour);
    EXPECT_EQ(before.messages, 1) << ToString(flavour);
    EXPECT_EQ(after.rpcs, 3) << ToString(flavour);
    EXPECT_EQ(after.ok, 1) << ToString(flavour);
    EXPECT_EQ(after.failed, 2) << ToString(flavour);
  }
}

TEST_F(WatchedChannelTest, InterceptorsBeforeSeeNoMessageOfAFailedCall) {
  for (const Flavour flavour : AllFlavours()) {
    if (IsGeneric(flavour)) continue;
    Sightings before, after;
    policy().breaker.consecutive_failures = 1;
    const auto channel = MakeWatchedChannel(&before, &after);
    server_.Push(Answer::Error(StatusCode::INTERNAL));

    EXPECT_FALSE(Call(flavour, channel, "fails").status.ok());
    EXPECT_TRUE(IsBreakerRejection(Call(flavour, channel, "rejected").status));

    EXPECT_EQ(before.rpcs, 2) << ToString(flavour);
    EXPECT_EQ(before.failed, 2) << ToString(flavour);
    EXPECT_EQ(before.messages, 0) << ToString(flavour);
    EXPECT_EQ(after.rpcs, 1) << ToString(flavour);
  }
}

TEST_F(WatchedChannelTest, InterceptorsBeforeSeeNoMessageOfARejectedStream) {
  for (const StreamFlavour& flavour : AllStreamFlavours()) {
    Sightings before, after;
    policy().breaker.consecutive_failures = 1;
    const auto channel = MakeWatchedChannel(&before, &after);
    server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
    const auto opens = StartStream({flavour.kind, StreamApi::kSync}, channel);
    EXPECT_FALSE(RunStream(*opens, flavour.kind, {"a"}).call.status.ok());
    const int messages = before.messages;
    const int rpcs = after.rpcs;

    const auto rejected = StartStream(flavour, channel);
    EXPECT_TRUE(IsBreakerRejection(
        RunStream(*rejected, flavour.kind, {"a", "b"}).call.status))
        << ToString(flavour);

    EXPECT_EQ(before.messages, messages) << ToString(flavour);
    EXPECT_EQ(after.rpcs, rpcs) << ToString(flavour);
  }
}

// Watches no RPC, some, or all but some: gRPC lets factories decline.
class DecliningFactory final : public ClientInterceptorFactoryInterface {
 public:
  explicit DecliningFactory(int every) : every_(every) {}

  Interceptor* CreateClientInterceptor(ClientRpcInfo* info) override {
    if (++asked_ % every_ == 0) return nullptr;
    return watching_.CreateClientInterceptor(info);
  }

 private:
  const int every_;
  std::atomic<int> asked_{0};
  Sightings sightings_;
  WatchingFactory watching_{&sightings_};
};

ATTEMPTS_TEST_F(ChannelTest,
                EarlierFactoriesMayDeclineWithoutCausingRecursion) {
  for (const int every : {1, 2, 3}) {
    for (int declining = 1; declining <= 3; ++declining) {
      Sightings after;
      FactoryList first, last;
      for (int i = 0; i < declining; ++i) {
        first.push_back(std::make_unique<DecliningFactory>(every));
      }
      last.push_back(std::make_unique<WatchingFactory>(&after));
      const auto channel =
          MakeChannelBetween(std::move(first), std::move(last));
      const int calls = server_.calls();

      for (int i = 0; i < 6; ++i) {
        server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
        auto call = StartCall(Flavour::kQueue, channel, "hello");
        FinishBackoff();
        EXPECT_TRUE(call->Wait().status.ok());
      }

      EXPECT_EQ(server_.calls(), calls + 12);
      EXPECT_EQ(after.rpcs, 12);
      EXPECT_EQ(Breaker(kUnary).counts.calls(), 12);
      env_.Advance(absl::Minutes(1));
    }
  }
}

// ---- gRPC's own retries

constexpr char kServiceConfig[] = R"({
  "methodConfig": [{
    "name": [{"service": "grpc_breaker.e2e.TestService"}],
    "maxRequestMessageBytes": 1000,
    "retryPolicy": {
      "maxAttempts": 4,
      "initialBackoff": "0.001s",
      "maxBackoff": "0.001s",
      "backoffMultiplier": 1,
      "retryableStatusCodes": ["UNAVAILABLE"]
    }
  }]
})";

ATTEMPTS_TEST_F(ChannelTest, RetriesOfTheServiceConfigDoNotMultiplyOurs) {
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(kServiceConfig);
  server_.SetDefault(Answer::Error(StatusCode::UNAVAILABLE));

  auto call = StartCall(Flavour::kQueue, MakeChannel(arguments), "hello");
  for (int i = 0; i < 3; ++i) FinishBackoff();

  EXPECT_EQ(call->Wait().status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(server_.calls(), 4);
}

ATTEMPTS_TEST_F(ChannelTest,
                RetriesOfTheServiceConfigCanBeDisabledBesideAFactory) {
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(kServiceConfig);
  server_.SetDefault(Answer::Error(StatusCode::UNAVAILABLE));

  auto call = StartCall(Flavour::kQueue, MakeChannelBetween({}, {}, arguments),
                        "hello");
  for (int i = 0; i < 3; ++i) FinishBackoff();

  EXPECT_EQ(call->Wait().status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(server_.calls(), 4);
}

std::string ServiceConfigOf(const grpc::ChannelArguments& arguments) {
  const grpc_channel_args raw = arguments.c_channel_args();
  for (size_t i = 0; i < raw.num_args; ++i) {
    if (std::string(raw.args[i].key) == GRPC_ARG_SERVICE_CONFIG) {
      return raw.args[i].value.string;
    }
  }
  return "";
}

TEST_F(ChannelTest, AllThatIsOfRetriesIsTakenOutOfTheServiceConfig) {
  for (const char* config :
       {R"({"methodConfig":[{"name":[],"retryPolicy":{}}]})",
        R"({"methodConfig":[{"name":[],"hedgingPolicy":{}}]})",
        R"({"methodConfig":[{"name":[]}],"retryThrottling":{}})"}) {
    grpc::ChannelArguments arguments;
    arguments.SetServiceConfigJSON(config);

    EXPECT_TRUE(DisableConfiguredRetries(&arguments).ok());

    EXPECT_EQ(ServiceConfigOf(arguments), R"({"methodConfig":[{"name":[]}]})");
  }
}

TEST_F(ChannelTest, OtherArgumentsStayWhenConfiguredRetriesAreTakenOut) {
  grpc::ChannelArguments arguments;
  arguments.SetUserAgentPrefix("prefix");
  arguments.SetServiceConfigJSON(kServiceConfig);
  arguments.SetMaxReceiveMessageSize(100);
  const auto channel = MakeChannel(arguments);
  const std::string large(2000, 'x');
  Answer answer;
  answer.text = large;

  EXPECT_EQ(Call(Flavour::kSync, channel, large).status.error_code(),
            StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(server_.calls(), 0);
  server_.Push(answer);
  EXPECT_EQ(Call(Flavour::kSync, channel, "hello").status.error_code(),
            StatusCode::RESOURCE_EXHAUSTED);

  const ReceivedCall received = server_.received().at(0);
  EXPECT_THAT(ValueOf(received.metadata, "user-agent"),
              ::testing::StartsWith("prefix grpc-c++/"));
}

class AdoptTest : public ChannelTest {
 protected:
  AdoptTest() {
    options_.services.clear();
    options_.adopt_service_config = true;
  }

  std::shared_ptr<grpc::Channel> MakeChannelWith(const char* service_config) {
    grpc::ChannelArguments arguments;
    arguments.SetServiceConfigJSON(service_config);
    return MakeChannel(arguments);
  }

  Flavour flavour_ = Flavour::kQueue;
};

ATTEMPTS_TEST_F(AdoptTest, RetriesOfTheServiceConfigBecomeOurs) {
  server_.SetDefault(Answer::Error(StatusCode::UNAVAILABLE));

  auto call = StartCall(flavour_, MakeChannelWith(kServiceConfig), "hello");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(FinishBackoff(), absl::Milliseconds(1));
  }

  EXPECT_EQ(call->Wait().status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(server_.calls(), 4);
}

// By the status table it would be.
TEST_F(AdoptTest, WhatTheServiceConfigDoesNotListIsNotRetried) {
  server_.SetDefault(Answer::Error(StatusCode::RESOURCE_EXHAUSTED));

  EXPECT_EQ(Call(flavour_, MakeChannelWith(kServiceConfig), "hello")
                .status.error_code(),
            StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(server_.calls(), 1);
}

TEST_F(AdoptTest, ItIsNotAdoptedUnlessTheOptionsSaySo) {
  options_.adopt_service_config = false;
  server_.SetDefault(Answer::Error(StatusCode::UNAVAILABLE));

  EXPECT_EQ(Call(flavour_, MakeChannelWith(kServiceConfig), "hello")
                .status.error_code(),
            StatusCode::UNAVAILABLE);
  EXPECT_EQ(server_.calls(), 1);
}

// Asks for it instead of the application.
class AdoptingSource : public PolicySource {
 public:
  absl::StatusOr<int64_t> ApplyTo(Options* options) override {
    options->adopt_service_config = true;
    return 0;
  }
  void Follow(std::weak_ptr<Registry> /*registry*/,
              int64_t /*version*/) override {}
  PolicySourceStatus status() const override { return {}; }
};

ATTEMPTS_TEST_F(AdoptTest, APolicySourceMayAskForIt) {
  options_.adopt_service_config = false;
  options_.policy_source = std::make_shared<AdoptingSource>();
  server_.SetDefault(Answer::Error(StatusCode::UNAVAILABLE));

  auto call = StartCall(flavour_, MakeChannelWith(kServiceConfig), "hello");
  for (int i = 0; i < 3; ++i) FinishBackoff();

  EXPECT_EQ(call->Wait().status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(server_.calls(), 4);
}

TEST_F(AdoptTest, AChannelWithoutAServiceConfigIsMadeAsEver) {
  EXPECT_TRUE(Call(flavour_, MakeChannel(), "hello").status.ok());
}

TEST_F(AdoptTest, AServiceConfigThatIsWrongIsAnErrorThatNamesTheValue) {
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(
      R"({"retryThrottling": {"maxTokens": 0, "tokenRatio": 1}})");

  EXPECT_EQ(CreateChannel(server_.target(), grpc::InsecureChannelCredentials(),
                          options_, arguments)
                .status(),
            absl::InvalidArgumentError(
                "retryThrottling.maxTokens: must be an integer from 1 to 1000, "
                "got 0"));
}

ATTEMPTS_TEST_F(AdoptTest, MoreThanFiveAttemptsAreFiveAsInGrpc) {
  options_.default_policy.breaker.enabled = false;
  const std::string config = absl::StrReplaceAll(kServiceConfig, {{"4", "10"}});
  server_.SetDefault(Answer::Error(StatusCode::UNAVAILABLE));

  const auto channel = MakeChannelWith(config.c_str());
  ThroughBackoffs([&] { return Call(flavour_, channel, "hello"); });

  EXPECT_EQ(server_.calls(), 5);
}

ATTEMPTS_TEST_F(AdoptTest, OfSeveralServiceConfigsTheFirstIsMeantAsInGrpc) {
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(kServiceConfig);
  arguments.SetServiceConfigJSON("{}");
  server_.SetDefault(Answer::Error(StatusCode::UNAVAILABLE));

  const auto channel = MakeChannel(arguments);
  ThroughBackoffs([&] { return Call(flavour_, channel, "hello"); });

  EXPECT_EQ(server_.calls(), 4);
  EXPECT_EQ(backoffs_.size(), 3u) << "gRPC's own retries wait by another clock";
}

constexpr char kNames[] = R"({"methodConfig": [{"timeout": "10s", "name": [
    {"service": "grpc_breaker.e2e.TestService", "method": "NoSuchMethod"},
    {"service": "grpc_breaker.e2e.TestService", "method": "Unary"},
    {"service": "not.linked.Service", "method": "Any"}]}]})";

// gRPC does not mind. The timeout is gRPC's as well, which lets calls end up to
// a second early (grpc/grpc#34547).
TEST_F(AdoptTest, MethodsThatALinkedServiceLacksAreNoError) {
  const auto channel = MakeChannelWith(kNames);

  const grpc::Status status = Call(flavour_, channel, "hello").status;
  EXPECT_TRUE(status.ok()) << status.error_message();
  const auto registry = directory_.Registries().at(0);
  EXPECT_EQ(registry->Methods().size(), 2u);
  EXPECT_EQ(registry->Find(kUnary)->policy()->timeout, absl::Seconds(10));
  const auto options = Options::FromServiceConfig(kNames);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->methods.size(), 3u);
}

TEST_F(AdoptTest, MethodsThatALinkedServiceLacksAreTakenWhereAnyMayBeNamed) {
  options_.strict_methods = false;

  const auto channel = MakeChannelWith(kNames);

  const auto registry = directory_.Registries().at(0);
  EXPECT_EQ(registry->Methods().size(), 3u);
}

TEST_F(ChannelTest, ServiceConfigThatIsNotJsonIsAnError) {
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON("{not json");

  EXPECT_EQ(DisableConfiguredRetries(&arguments).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CreateChannel(server_.target(), grpc::InsecureChannelCredentials(),
                          options_, arguments)
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(ChannelTest, InvalidOptionsAreAnErrorThatNamesTheField) {
  policy().retry.base_delay = -absl::Seconds(1);

  const absl::Status status =
      CreateChannel(server_.target(), grpc::InsecureChannelCredentials(),
                    options_)
          .status();

  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              ::testing::HasSubstr("retry.base_delay"));
}

TEST_F(ChannelTest, TransparentRetriesOfTheCoreStayOn) {
  RawServer refusing([](RawCall call) {
    if (call.number() == 1) return call.GoAway(/*last_stream=*/0);
    call.SendTrailersOnly(StatusCode::NOT_FOUND);
  });
  auto channel = CreateChannel(refusing.target(),
                               grpc::InsecureChannelCredentials(), options_);
  ASSERT_TRUE(channel.ok());

  const CallResult result = Call(Flavour::kSync, *channel, "hello");

  EXPECT_EQ(result.status.error_code(), StatusCode::NOT_FOUND)
      << result.status.error_message();
  EXPECT_EQ(refusing.streams(), 2);
  EXPECT_EQ(Breaker(kUnary).counts.calls(), 1);
  EXPECT_EQ(ValueOf(result.trailing_metadata, kAttemptsKey), "1");
}

// gRPC 1.51 takes the header out again where its own retries are on.
ATTEMPTS_TEST_F(ChannelTest, AttemptsAreNumberedForTheServer) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  server_.Push(2, Answer::Error(StatusCode::UNAVAILABLE));

  auto call = StartCall(Flavour::kQueue, MakeChannel(arguments), "hello");
  FinishBackoff();
  FinishBackoff();
  EXPECT_TRUE(call->Wait().status.ok());

  const auto received = server_.received();
  ASSERT_EQ(received.size(), 3u);
  const char* const previous[] = {"", "1", "2"};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ValueOf(received[i].metadata, "grpc-previous-rpc-attempts"),
              previous[i]);
  }
}

// ---- Pushback

class PushbackTest : public ChannelTest {
 protected:
  static Answer PushBack(StatusCode code, const std::string& value) {
    Answer answer = Answer::Error(code);
    answer.trailing_metadata = {{"grpc-retry-pushback-ms", value}};
    return answer;
  }
};

ATTEMPTS_TEST_F(PushbackTest, IsTheExactDelayAndStartsTheBackoffAnew) {
  policy().retry.jitter = Jitter::kPlusMinusHalf;
  env_.ScriptUniform({0.0, 0.0});
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  server_.Push(PushBack(StatusCode::UNAVAILABLE, "1234"));
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  auto call = StartCall(Flavour::kQueue, MakeChannel(), "hello");

  EXPECT_EQ(FinishBackoff(), absl::Seconds(5));
  EXPECT_EQ(FinishBackoff(), absl::Milliseconds(1234));
  EXPECT_EQ(FinishBackoff(), absl::Seconds(5));

  EXPECT_TRUE(call->Wait().status.ok());
}

ATTEMPTS_TEST_F(PushbackTest, OfZeroRetriesAtOnce) {
  server_.Push(PushBack(StatusCode::UNAVAILABLE, "0"));
  auto call = StartCall(Flavour::kQueue, MakeChannel(), "hello");

  EXPECT_EQ(FinishBackoff(), absl::ZeroDuration());

  EXPECT_TRUE(call->Wait().status.ok());
}

// Of two values the core shows only the last, so that case is out of reach.
TEST_F(PushbackTest, ThatIsNegativeOrUnreadableStops) {
  const auto channel = MakeChannel();
  for (const char* value : {"-1", "soon", "", "1.5"}) {
    const int calls = server_.calls();
    server_.Push(PushBack(StatusCode::UNAVAILABLE, value));

    EXPECT_EQ(Call(Flavour::kQueue, channel, "hello").status.error_code(),
              StatusCode::UNAVAILABLE);
    EXPECT_EQ(server_.calls(), calls + 1) << value;
  }
  EXPECT_EQ(env_.pending_timers(), 0u);
}

TEST_F(PushbackTest, DoesNotMakeAFailureRetryable) {
  server_.Push(PushBack(StatusCode::INVALID_ARGUMENT, "1"));

  EXPECT_EQ(Call(Flavour::kQueue, MakeChannel(), "hello").status.error_code(),
            StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(server_.calls(), 1);
}

TEST_F(ChannelTest, EmptyRetryBudgetStopsRetries) {
  options_.retry_budget.max_tokens = 2;
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));

  EXPECT_EQ(Call(Flavour::kQueue, MakeChannel(), "hello").status.error_code(),
            StatusCode::UNAVAILABLE);
  EXPECT_EQ(server_.calls(), 1);
}

ATTEMPTS_TEST_F(PushbackTest, ChannelsToOneServerNameShareTheirRetryBudget) {
  options_.retry_budget.max_tokens = 4;
  const auto emptied = MakeChannelTo(server_.target());
  const auto other = MakeChannelTo("dns:///" + server_.target());
  options_.retry_budget.per_channel = true;
  const auto apart = MakeChannelTo(server_.target());
  const auto fail = [&](const std::shared_ptr<grpc::Channel>& channel) {
    server_.Push(PushBack(StatusCode::UNAVAILABLE, "-1"));
    Call(Flavour::kQueue, channel, "hello");
  };
  const auto tokens = [&] {
    std::vector<double> left;
    for (const auto& registry : directory_.Registries()) {
      left.push_back(registry->FindOrCreate(kUnary).retry_budget()->tokens());
    }
    return left;
  };

  fail(emptied);
  EXPECT_THAT(tokens(), ElementsAre(3, 3, 4));
  fail(other);
  EXPECT_THAT(tokens(), ElementsAre(2, 2, 4));
  fail(apart);
  EXPECT_THAT(tokens(), ElementsAre(2, 2, 3));
}

// Whoever makes their first attempt.
ATTEMPTS_TEST_F(ChannelTest, EveryCallCountsOnceForTheRatioOfTheRetryBudget) {
  options_.retry_budget.ratio = 1;
  options_.retry_budget.window = absl::Hours(1);
  options_.retry_budget.min_retries_per_second = 0;
  policy().retry.max_retries = 1;
  const auto channel = MakeChannel();
  const RetryBudget& budget =
      *directory_.Registries().at(0)->FindOrCreate(kUnary).retry_budget();
  for (Flavour flavour : {Flavour::kSync, Flavour::kQueue}) {
    const int64_t before = budget.retries_left(env_.Now());
    EXPECT_TRUE(Call(flavour, channel, "hello").status.ok());
    EXPECT_EQ(budget.retries_left(env_.Now()), before + 1);

    // One call more, and the retry that it has taken.
    server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
    auto call = StartCall(flavour, channel, "hello");
    FinishBackoff();
    EXPECT_TRUE(call->Wait().status.ok());
    EXPECT_EQ(budget.retries_left(env_.Now()), before + 1);
  }
}

// ---- Idempotency

class IdempotencyTest : public ChannelTest {
 protected:
  IdempotencyTest() { policy().idempotency = Idempotency::kAsDeclared; }
};

TEST_F(IdempotencyTest,
       MethodThatDeclaresNothingIsNotRepeatedThoughAPolicyNamesIt) {
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));

  EXPECT_EQ(Call(Flavour::kQueue, MakeChannel(), "hello").status.error_code(),
            StatusCode::UNAVAILABLE);
  EXPECT_EQ(server_.calls(), 1);
}

ATTEMPTS_TEST_F(IdempotencyTest, MethodsThatDeclareItAreRepeated) {
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  server_.Push(Answer());
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  const auto stub = TestService::NewStub(MakeChannel());
  Request request;
  Reply reply;
  Slot<grpc::Status> done;
  const auto finish = [&](grpc::Status status) { done.Put(std::move(status)); };

  grpc::ClientContext read_only;
  stub->async()->UnaryReadOnly(&read_only, &request, &reply, finish);
  FinishBackoff();
  EXPECT_TRUE(done.Take("a read-only call").ok());
  grpc::ClientContext idempotent;
  stub->async()->UnaryIdempotent(&idempotent, &request, &reply, finish);
  FinishBackoff();
  EXPECT_TRUE(done.Take("an idempotent call").ok());

  EXPECT_EQ(server_.calls(), 4);
}

ATTEMPTS_TEST_F(IdempotencyTest, CallThatWasNeverSentIsRepeated) {
  const ReservedPort nobody;
  auto channel = CreateChannel(nobody.target(),
                               grpc::InsecureChannelCredentials(), options_);
  ASSERT_TRUE(channel.ok());

  auto call = StartCall(Flavour::kQueue, *channel, "hello");
  for (int i = 0; i < 3; ++i) FinishBackoff();
  const CallResult result = call->Wait();

  EXPECT_EQ(result.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(ValueOf(result.trailing_metadata, kAttemptsKey), "4");
}

// ---- What attempts inherit

ATTEMPTS_TEST_F(ChannelTest, AuthorityOfTheContextReachesTheServer) {
  policy().authority = "policy.test";
  const auto channel = MakeChannel();

  Call(Flavour::kSync, channel, "hello", [](grpc::ClientContext* context) {
    context->set_authority("context.test");
  });
  Call(Flavour::kSync, channel, "hello");

  const auto received = server_.received();
  ASSERT_EQ(received.size(), 2u);
  EXPECT_EQ(received[0].authority, "context.test");
  EXPECT_EQ(received[1].authority, "policy.test");
}

TEST_F(ChannelTest, CompressedRequestsPass) {
  const CallResult result =
      Call(Flavour::kSync, MakeChannel(), std::string(100000, 'x'),
           [](grpc::ClientContext* context) {
             context->set_compression_algorithm(GRPC_COMPRESS_GZIP);
           });

  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_EQ(result.text.size(), 100000u);
}

// A channel to a port where a server will listen later.
class LateServerTest : public ChannelTest {
 protected:
  LateServerTest() { arguments_ = ReconnectsAfter(absl::Milliseconds(20)); }

  std::shared_ptr<grpc::Channel> MakeUnconnectedChannel() {
    auto channel =
        CreateChannel(port_.target(), grpc::InsecureChannelCredentials(),
                      options_, arguments_);
    EXPECT_TRUE(channel.ok()) << channel.status();
    WaitUntil(
        [&] {
          return (*channel)->GetState(/*try_to_connect=*/true) ==
                 GRPC_CHANNEL_TRANSIENT_FAILURE;
        },
        "a failed connection");
    return *channel;
  }

  const ReservedPort port_;
  grpc::ChannelArguments arguments_;
};

TEST_F(LateServerTest, WaitForReadyOfTheContextIsCarriedOver) {
  auto call = StartCall(
      Flavour::kQueue, MakeUnconnectedChannel(), "hello",
      [](grpc::ClientContext* context) { context->set_wait_for_ready(true); });

  TestServer late(port_.port());
  const CallResult result = call->Wait();

  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_EQ(result.trailing_metadata.count(kAttemptsKey), 0u);
  EXPECT_EQ(late.calls(), 1);
}

ATTEMPTS_TEST_F(LateServerTest,
                WaitForReadyOfThePolicyAppliesWhereTheContextHasNone) {
  policy().wait_for_ready = true;
  auto call = StartCall(Flavour::kQueue, MakeUnconnectedChannel(), "hello");

  TestServer late(port_.port());

  EXPECT_TRUE(call->Wait().status.ok());
  EXPECT_EQ(late.calls(), 1);
}

TEST_F(LateServerTest, WaitForReadyOfTheContextWinsOverThePolicys) {
  policy().wait_for_ready = true;
  policy().retry.max_retries = 0;

  const CallResult result = Call(
      Flavour::kQueue, MakeUnconnectedChannel(), "hello",
      [](grpc::ClientContext* context) { context->set_wait_for_ready(false); });

  EXPECT_EQ(result.status.error_code(), StatusCode::UNAVAILABLE);
}

// ---- Calls made by a server's handler

// A server in the middle, whose handler calls server_ through our channel.
class PropagationTest : public ChannelTest {
 protected:
  PropagationTest() {
    Answer answer;
    answer.handler = [this](grpc::ServerContext& server_context) {
      const auto stub = TestService::NewStub(channel_);
      const auto context =
          grpc::ClientContext::FromServerContext(server_context);
      Reply reply;
      const grpc::Status status = stub->Unary(context.get(), Request(), &reply);
      inner_.Put(status);
      return status;
    };
    middle_.SetDefault(answer);
  }

  std::shared_ptr<grpc::Channel> MiddleChannel() {
    return grpc::CreateChannel(middle_.target(),
                               grpc::InsecureChannelCredentials());
  }

  const std::shared_ptr<grpc::Channel> channel_ = MakeChannel();
  Slot<grpc::Status> inner_;
  TestServer middle_;
};

TEST_F(PropagationTest, CallOfAHandlerSucceeds) {
  EXPECT_TRUE(Call(Flavour::kSync, MiddleChannel(), "hello").status.ok());
  EXPECT_EQ(server_.calls(), 1);
}

TEST_F(PropagationTest, CancellationOfTheParentReachesAnAttempt) {
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));
  auto call = StartCall(Flavour::kQueue, MiddleChannel(), "hello");
  gate->WaitForArrivals(1);

  call->Cancel();

  gate->WaitForCancellations(1);
  EXPECT_EQ(inner_.Take("the inner call").error_code(), StatusCode::CANCELLED);
  EXPECT_EQ(call->Wait().status.error_code(), StatusCode::CANCELLED);
  EXPECT_EQ(server_.calls(), 1);
  EXPECT_EQ(env_.pending_timers(), 0u);
}

TEST_F(PropagationTest, DeadlineOfTheParentReachesTheServer) {
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));
  const auto deadline =
      std::chrono::system_clock::now() + std::chrono::seconds(2);
  auto call = StartCall(
      Flavour::kQueue, MiddleChannel(), "hello",
      [&](grpc::ClientContext* context) { context->set_deadline(deadline); });

  const grpc::Status inner = inner_.Take("the inner call");

  EXPECT_THAT(
      inner.error_code(),
      ::testing::AnyOf(StatusCode::CANCELLED, StatusCode::DEADLINE_EXCEEDED));
  EXPECT_EQ(call->Wait().status.error_code(), StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(env_.pending_timers(), 0u);
}

// ---- Many calls at once

TEST_F(ChannelTest, HalfOpenAdmitsExactlyItsPermitsUnderConcurrentCalls) {
  policy().breaker.consecutive_failures = 1;
  policy().breaker.half_open_permits = 3;
  policy().breaker.half_open_successes = 3;
  policy().retry.max_retries = 0;
  policy().on_final_failure = [](const FailedCall&) {};  // Hijack all the same.
  const auto channel = MakeChannel();
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  EXPECT_FALSE(Call(Flavour::kSync, channel, "opens").status.ok());
  env_.Advance(absl::Seconds(60));
  auto gate = std::make_shared<Gate>();
  server_.SetDefault(Answer::Blocked(gate));

  std::vector<std::unique_ptr<UnderWay>> calls;
  for (int i = 0; i < 16; ++i) {
    calls.push_back(StartCall(Flavour::kSync, channel, "hello"));
  }
  WaitUntil([&] { return Breaker(kUnary).rejections == 13; }, "rejections");
  gate->WaitForArrivals(3);
  EXPECT_EQ(Breaker(kUnary).permits_in_use, 3);
  gate->Open();

  int succeeded = 0;
  int rejected = 0;
  for (const auto& call : calls) {
    const CallResult result = call->Wait();
    if (result.status.ok()) ++succeeded;
    if (ValueOf(result.trailing_metadata, kRejectedKey) == "HALF_OPEN_LIMIT") {
      ++rejected;
    }
  }
  EXPECT_EQ(succeeded, 3);
  EXPECT_EQ(rejected, 13);
  EXPECT_EQ(server_.calls(), 4);
  EXPECT_EQ(Breaker(kUnary).state, BreakerState::kClosed);
}

TEST_F(ChannelTest, ManyThreadsRetryCancelAndFinishOnOneChannel) {
  options_.environment = &Environment::Default();
  policy().retry.base_delay = absl::Milliseconds(1);
  policy().retry.max_retries = 5;
  policy().breaker.enabled = false;
  const auto channel = MakeChannel();
  std::atomic<int> asked{0};
  Answer sometimes;
  sometimes.handler = [&](grpc::ServerContext&) {
    return ++asked % 3 == 0 ? grpc::Status(StatusCode::UNAVAILABLE, "third")
                            : grpc::Status::OK;
  };
  server_.SetDefault(sometimes);
  const Flavour flavours[] = {Flavour::kSync,          Flavour::kQueue,
                              Flavour::kQueueMetadata, Flavour::kQueuePrepared,
                              Flavour::kCallback,      Flavour::kReactor};
  std::atomic<int> unexpected{0};

  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 60; ++i) {
        auto call = StartCall(flavours[(t + i) % 6], channel, "hello");
        const bool cancel = i % 5 == 0;
        if (cancel) call->Cancel();
        const CallResult result = call->Wait();
        const StatusCode code = result.status.error_code();
        const bool fine = code == StatusCode::OK
                              ? result.text == "hello"
                              : code == StatusCode::UNAVAILABLE ||
                                    (cancel && code == StatusCode::CANCELLED);
        if (!fine) ++unexpected;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(unexpected, 0);
}

}  // namespace
}  // namespace grpc_breaker::e2e
