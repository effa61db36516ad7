// What an application, its interceptors and its messages may be like without
// noticing that a breaker is there.

#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "grpc_breaker/trailing_metadata.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/impl/client_unary_call.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/client_callback.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/queue.h"
#include "tests/e2e/stream_flavours.h"

namespace grpc_breaker::e2e {
namespace {

// A message that is no protobuf, as those of other serializers.
struct Bytes {
  std::string bytes;
};

}  // namespace
}  // namespace grpc_breaker::e2e

namespace grpc {

template <>
class SerializationTraits<grpc_breaker::e2e::Bytes> {
 public:
  static Status Serialize(const grpc_breaker::e2e::Bytes& message,
                          ByteBuffer* buffer, bool* own_buffer) {
    Slice slice(message.bytes);
    *buffer = ByteBuffer(&slice, 1);
    *own_buffer = true;
    return Status::OK;
  }
  static Status Deserialize(ByteBuffer* buffer,
                            grpc_breaker::e2e::Bytes* message) {
    Slice slice;
    if (!buffer->DumpToSingleSlice(&slice).ok()) {
      return Status(StatusCode::INTERNAL, "no slice");
    }
    message->bytes.assign(reinterpret_cast<const char*>(slice.begin()),
                          slice.size());
    buffer->Clear();
    return Status::OK;
  }
};

}  // namespace grpc

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;
using ::grpc::experimental::ClientInterceptorFactoryInterface;
using ::grpc::experimental::ClientRpcInfo;
using ::grpc::experimental::InterceptorBatchMethods;
using Hook = ::grpc::experimental::InterceptionHookPoints;
using ::testing::ElementsAre;

class FidelityTest : public E2eTest {
 protected:
  std::string Hello() const {
    Request request;
    request.set_text("hello");
    return request.SerializeAsString();
  }

  grpc::Status CallWithBytes(const std::shared_ptr<grpc::Channel>& channel,
                             Bytes* reply,
                             const Configure& configure = nullptr) const {
    const grpc::internal::RpcMethod method(
        kUnary, grpc::internal::RpcMethod::NORMAL_RPC, channel);
    grpc::ClientContext context;
    if (configure != nullptr) configure(&context);
    return grpc::internal::BlockingUnaryCall<Bytes, Bytes, Bytes, Bytes>(
        channel.get(), method, &context, Bytes{Hello()}, reply);
  }
};

// ---- Messages

TEST_F(FidelityTest, MessagesThatAreNoProtobufsPass) {
  const auto channel = MakeChannel();
  Bytes reply;
  const grpc::Status status = CallWithBytes(channel, &reply);

  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(reply.bytes, Hello());
  EXPECT_EQ(Breaker(kUnary).counts.successes, 1);
}

// Their type is not known beforehand, so that such a call runs natively.
TEST_F(FidelityTest, FailureOfACallWithoutProtobufsIsCountedAndToldOnce) {
  int told = 0;
  policy().on_final_failure = [&](const FailedCall&) { ++told; };
  const auto channel = MakeChannel();
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  Bytes reply;
  const grpc::Status status = CallWithBytes(channel, &reply);

  EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(Breaker(kUnary).counts.failures, 1);
  EXPECT_EQ(told, 1);
}

TEST_F(FidelityTest,
       CallWithoutProtobufsThatWasCancelledBeforeCountsAsNothing) {
  int told = 0;
  policy().on_final_failure = [&](const FailedCall&) { ++told; };
  const auto channel = MakeChannel();
  Bytes reply;
  const grpc::Status status =
      CallWithBytes(channel, &reply,
                    [](grpc::ClientContext* context) { context->TryCancel(); });

  EXPECT_EQ(status.error_code(), StatusCode::CANCELLED);
  EXPECT_EQ(Breaker(kUnary).counts.calls(), 0);
  EXPECT_EQ(told, 0);
}

ATTEMPTS_TEST_F(FidelityTest,
                ReactorsWithMessagesThatAreNoProtobufsAreRetried) {
  struct Reactor final : grpc::ClientUnaryReactor {
    void OnDone(const grpc::Status& status) override { done.Put(status); }
    Slot<grpc::Status> done;
  };
  const auto channel = MakeChannel();
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  const grpc::internal::RpcMethod method(
      kUnary, grpc::internal::RpcMethod::NORMAL_RPC, channel);
  grpc::ClientContext context;
  const Bytes request{Hello()};
  Bytes reply;
  Reactor reactor;

  grpc::internal::ClientCallbackUnaryFactory::Create(
      channel.get(), method, &context, &request, &reply, &reactor);
  reactor.StartCall();
  FinishBackoff();

  EXPECT_TRUE(reactor.done.Take("a reactor's status").ok());
  EXPECT_EQ(reply.bytes, Hello());
}

TEST_F(FidelityTest, GenericAndGeneratedStubsShareAChannel) {
  const auto channel = MakeChannel();
  for (const Flavour flavour : AllFlavours()) {
    EXPECT_EQ(Call(flavour, channel, "hello").text, "hello")
        << ToString(flavour);
  }
}

TEST_F(FidelityTest, CallWithoutARequestEndsAsOnABareChannel) {
  policy().breaker.enabled = false;
  std::vector<std::string> seen;
  for (const auto& channel : {BareChannel(), MakeChannel()}) {
    grpc::GenericStub stub(channel);
    grpc::ClientContext context;
    Queue queue;
    grpc::ByteBuffer reply;
    grpc::Status status;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::milliseconds(50));
    auto reader = stub.PrepareUnaryCall(&context, kUnary, grpc::ByteBuffer(),
                                        queue.get());
    reader->StartCall();
    reader->Finish(&reply, &status, &status);
    queue.Next(&status, "a call without a request");
    seen.push_back(
        absl::StrCat(status.error_code(), " ", status.error_message()));
  }
  EXPECT_EQ(seen[1], seen[0]);
}

// ---- Initial metadata

class MetadataTagTest : public FidelityTest {
 protected:
  // What the application hears of initial metadata, and of the end.
  struct Heard {
    bool queue = false;
    bool reactor = false;
    StatusCode code = StatusCode::OK;
  };

  Heard Listen(const std::shared_ptr<grpc::Channel>& channel,
               const Configure& configure) {
    struct Reactor final : grpc::ClientUnaryReactor {
      void OnReadInitialMetadataDone(bool ok) override { metadata = ok; }
      void OnDone(const grpc::Status& status) override { done.Put(status); }
      std::atomic<bool> metadata{false};
      Slot<grpc::Status> done;
    };
    const auto stub = TestService::NewStub(channel);
    Heard heard;
    {
      grpc::ClientContext context;
      configure(&context);
      Request request;
      Reply reply;
      Reactor reactor;
      stub->async()->Unary(&context, &request, &reply, &reactor);
      reactor.StartCall();
      heard.code = reactor.done.Take("a reactor's status").error_code();
      heard.reactor = reactor.metadata;
    }
    grpc::ClientContext context;
    configure(&context);
    Queue queue;
    Reply reply;
    grpc::Status status;
    const auto reader = stub->AsyncUnary(&context, Request(), queue.get());
    reader->ReadInitialMetadata(&reply);
    heard.queue = queue.Next(&reply, "ReadInitialMetadata");
    reader->Finish(&reply, &status, &status);
    EXPECT_TRUE(queue.Next(&status, "Finish"));
    EXPECT_EQ(status.error_code(), heard.code);
    return heard;
  }

  void ExpectAsBare(
      const std::string& what, const std::shared_ptr<grpc::Channel>& channel,
      const std::shared_ptr<grpc::Channel>& bare,
      const Configure& configure = [](auto*) {}) {
    const Heard ours = Listen(channel, configure);
    const Heard bares = Listen(bare, configure);
    EXPECT_EQ(ours.code, bares.code) << what;
    EXPECT_EQ(ours.queue, bares.queue) << what;
    EXPECT_EQ(ours.reactor, bares.reactor) << what;
  }
};

TEST_F(MetadataTagTest, SaysOfFailedCallsWhatItSaysOnABareChannel) {
  policy().retry.max_retries = 1;
  policy().idempotency = Idempotency::kAsDeclared;  // So that nothing waits.
  policy().breaker.enabled = false;
  const auto channel = MakeChannel();
  const auto bare = BareChannel();
  ExpectAsBare("OK", channel, bare);

  server_.SetDefault(Answer::Error(StatusCode::NOT_FOUND));
  ExpectAsBare("trailers only", channel, bare);

  Answer answer = Answer::Error(StatusCode::NOT_FOUND);
  answer.initial_metadata = {{"key", "value"}};
  server_.SetDefault(answer);
  ExpectAsBare("metadata and an error", channel, bare);

  ExpectAsBare("a deadline in the past", channel, bare, [](auto* context) {
    context->set_deadline(std::chrono::system_clock::now() -
                          std::chrono::seconds(1));
  });
  ExpectAsBare("cancelled before it starts", channel, bare,
               [](auto* context) { context->TryCancel(); });
  policy().retry.max_retries = 0;
  policy().fallback =
      Fallback::Fixed(grpc::Status(StatusCode::UNAVAILABLE, ""));
  const std::string nobody = "127.0.0.1:1";
  ExpectAsBare("no connection", MakeChannelTo(nobody),
               grpc::CreateChannel(nobody, grpc::InsecureChannelCredentials()));
}

TEST_F(MetadataTagTest, SaysThatARefusedCallHasNone) {
  policy().breaker.consecutive_failures = 1;
  for (const int retries : {0, 3}) {  // Natively, and not.
    policy().retry.max_retries = retries;
    policy().idempotency = Idempotency::kAsDeclared;
    const auto channel = MakeChannel();
    server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
    EXPECT_FALSE(Call(Flavour::kSync, channel, "opens").status.ok());

    const Heard heard = Listen(channel, [](auto*) {});

    EXPECT_EQ(heard.code, StatusCode::UNAVAILABLE);
    // It takes a private member to say so.
    EXPECT_EQ(heard.queue, !internal::kHasPrivateAccess);
    EXPECT_EQ(heard.reactor, !internal::kHasPrivateAccess);
  }
}

TEST_F(MetadataTagTest, SaysThatARefusedStreamHasNone) {
  policy().breaker.consecutive_failures = 1;
  const auto channel = MakeChannel();
  const auto stub = TestService::NewStub(channel);
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  auto opens = StartStream({StreamKind::kBidi, StreamApi::kSync}, channel);
  EXPECT_FALSE(RunStream(*opens, StreamKind::kBidi, {"a"}).call.status.ok());

  grpc::ClientContext context;
  Queue queue;
  int started, metadata;
  grpc::Status status;
  const auto stream = stub->AsyncBidi(&context, queue.get(), &started);
  queue.Next(&started, "the start of a stream");
  stream->ReadInitialMetadata(&metadata);
  EXPECT_EQ(queue.Next(&metadata, "ReadInitialMetadata"),
            !internal::kHasPrivateAccess);
  stream->Finish(&status, &status);
  queue.Next(&status, "Finish");
  EXPECT_TRUE(IsBreakerRejection(status)) << status.error_message();
}

// ---- Contexts

// For the whole process, hence the last of all.
class GlobalCallbacks final : public grpc::ClientContext::GlobalCallbacks {
 public:
  void DefaultConstructor(grpc::ClientContext* context) override {
    if (enabled) context->AddMetadata("x-global", "1");
  }
  void Destructor(grpc::ClientContext*) override {}

  std::atomic<bool> enabled{false};
};

GlobalCallbacks* const global_callbacks = [] {
  auto* callbacks = new GlobalCallbacks;
  grpc::ClientContext::SetGlobalCallbacks(callbacks);
  return callbacks;
}();

ATTEMPTS_TEST_F(FidelityTest, MetadataOfGlobalCallbacksAreSentOnce) {
  const auto channel = MakeChannel();
  global_callbacks->enabled = true;
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));

  auto call = StartCall(Flavour::kQueue, channel, "hello",
                        [](grpc::ClientContext* context) {
                          context->AddMetadata("x-own", "1");
                          context->AddMetadata("x-own", "2");
                        });
  FinishBackoff();
  EXPECT_TRUE(call->Wait().status.ok());
  global_callbacks->enabled = false;

  ASSERT_EQ(server_.received().size(), 2u);
  for (const ReceivedCall& received : server_.received()) {
    EXPECT_EQ(received.metadata.count("x-global"), 1u);
    EXPECT_EQ(received.metadata.count("x-own"), 2u);
  }
}

// ---- Credentials

// A token service that may be down.
class TokenPlugin final : public grpc::MetadataCredentialsPlugin {
 public:
  TokenPlugin(bool blocking, std::atomic<bool>* down)
      : blocking_(blocking), down_(*down) {}

  bool IsBlocking() const override { return blocking_; }
  grpc::Status GetMetadata(
      grpc::string_ref, grpc::string_ref, const grpc::AuthContext&,
      std::multimap<std::string, std::string>* metadata) override {
    if (down_) return grpc::Status(StatusCode::UNAUTHENTICATED, "no token");
    metadata->emplace("authorization", "Bearer token");
    return grpc::Status::OK;
  }

 private:
  const bool blocking_;
  std::atomic<bool>& down_;
};

class CredentialsTest : public FidelityTest {
 protected:
  CredentialsTest() {
    policy().retry.max_retries = 0;
    policy().breaker.consecutive_failures = 2;
    policy().breaker.half_open_successes = 1;
  }

  std::shared_ptr<grpc::Channel> MakeSecureChannel() {
    auto channel = CreateChannel(
        server_.target(), grpc::experimental::LocalCredentials(LOCAL_TCP),
        options_);
    EXPECT_TRUE(channel.ok()) << channel.status();
    return *channel;
  }
};

TEST_F(CredentialsTest, TokensThatCannotBeHadSayNothingAboutTheServer) {
  for (const bool hijacked : {false, true}) {
    if (hijacked) policy().on_final_failure = [](const FailedCall&) {};
    for (const bool blocking : {false, true}) {
      std::atomic<bool> down{true};
      const auto credentials = grpc::MetadataCredentialsFromPlugin(
          std::make_unique<TokenPlugin>(blocking, &down));
      const auto with_token = [&](grpc::ClientContext* context) {
        context->set_credentials(credentials);
      };
      const auto channel = MakeSecureChannel();
      // A call is over before the thread that made it lets go of its channel.
      WaitUntil([&] { return directory_.Registries().size() == 1; },
                "the channel before to go");

      for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(Call(Flavour::kSync, channel, "no token", with_token)
                      .status.error_code(),
                  StatusCode::UNAVAILABLE);
      }

      EXPECT_EQ(LastClass(kUnary),
                "NETWORK MEDIUM IGNORED retryable never sent");
      EXPECT_EQ(Breaker(kUnary).counts.calls(), 0);
      down = false;
      EXPECT_TRUE(
          Call(Flavour::kSync, channel, "token", with_token).status.ok());
    }
  }
}

TEST_F(CredentialsTest, TokensThatCannotBeHadAreNoAnswerToAProbe) {
  std::atomic<bool> down{true};
  const auto credentials = grpc::MetadataCredentialsFromPlugin(
      std::make_unique<TokenPlugin>(false, &down));
  const auto channel = MakeSecureChannel();
  server_.Push(2, Answer::Error(StatusCode::UNAVAILABLE));
  for (int i = 0; i < 2; ++i) Call(Flavour::kSync, channel, "opens");
  env_.Advance(absl::Seconds(60));

  for (int i = 0; i < 5; ++i) {
    Call(Flavour::kSync, channel, "no token",
         [&](grpc::ClientContext* context) {
           context->set_credentials(credentials);
         });
  }

  EXPECT_EQ(Breaker(kUnary).state, BreakerState::kHalfOpen);
  EXPECT_EQ(Breaker(kUnary).permits_in_use, 0);
}

TEST_F(CredentialsTest, ThatNeedASaferChannelSayNothingAboutTheServer) {
  std::atomic<bool> down{false};
  const auto credentials = grpc::MetadataCredentialsFromPlugin(
      std::make_unique<TokenPlugin>(false, &down));
  const auto channel = MakeChannel();

  EXPECT_EQ(Call(Flavour::kSync, channel, "insecure",
                 [&](grpc::ClientContext* context) {
                   context->set_credentials(credentials);
                 })
                .status.error_code(),
            StatusCode::UNAUTHENTICATED);

  EXPECT_EQ(LastClass(kUnary), "PERMANENT MEDIUM IGNORED never sent");
}

TEST_F(CredentialsTest, FailureThatAServerTellsOfInTheseWordsIsItsOwn) {
  server_.Push(2, Answer::Error(StatusCode::UNAVAILABLE,
                                "Getting metadata from plugin failed"));
  const auto channel = MakeChannel();
  for (int i = 0; i < 2; ++i) Call(Flavour::kSync, channel, "hello");

  EXPECT_EQ(LastClass(kUnary), "TRANSIENT MEDIUM FAILURE retryable");
  EXPECT_EQ(Breaker(kUnary).state, BreakerState::kOpen);
}

// ---- User code that throws

TEST_F(FidelityTest, HookThatThrowsChangesNothing) {
  policy().on_final_failure = [](const FailedCall&) {
    throw std::runtime_error("no disk space");
  };
  policy().breaker.consecutive_failures = 1;
  const auto channel = MakeChannel();
  server_.Push(Answer::Error(StatusCode::INTERNAL));

  EXPECT_EQ(Call(Flavour::kQueue, channel, "fails").status.error_code(),
            StatusCode::INTERNAL);
  EXPECT_TRUE(
      IsBreakerRejection(Call(Flavour::kQueue, channel, "refused").status));
  for (const StreamKind kind : {StreamKind::kServer, StreamKind::kBidi}) {
    server_.Push(Answer::Error(StatusCode::INTERNAL));
    auto stream = StartStream({kind, StreamApi::kReactor}, channel);
    EXPECT_EQ(RunStream(*stream, kind, {"fails"}).call.status.error_code(),
              StatusCode::INTERNAL);
  }
}

TEST_F(FidelityTest, FallbackThatThrowsIsAFailedFallback) {
  policy().fallback.function = [](const FailedCall&) -> FallbackResult {
    throw std::runtime_error("no cache");
  };
  const auto channel = MakeChannel();
  for (const Flavour flavour : AllFlavours()) {
    server_.Push(Answer::Error(StatusCode::NOT_FOUND, "not here"));
    const CallResult result = Call(flavour, channel, "hello");
    EXPECT_EQ(result.status.error_code(), StatusCode::NOT_FOUND);
    EXPECT_EQ(result.status.error_message(), "not here");
  }
}

// ---- Interceptors of the application

using Look = std::function<void(InterceptorBatchMethods*)>;

// Looks at the batches of one method's calls.
class LookingFactory final : public ClientInterceptorFactoryInterface {
 public:
  LookingFactory(std::string method, Look look)
      : method_(std::move(method)), look_(std::move(look)) {}

  grpc::experimental::Interceptor* CreateClientInterceptor(
      ClientRpcInfo* info) override {
    return new Interceptor(info->method() == method_ ? look_
                                                     : Look([](auto*) {}));
  }

 private:
  class Interceptor final : public grpc::experimental::Interceptor {
   public:
    explicit Interceptor(Look look) : look_(std::move(look)) {}
    void Intercept(InterceptorBatchMethods* batch) override {
      look_(batch);
      batch->Proceed();
    }

   private:
    const Look look_;
  };

  const std::string method_;
  const Look look_;
};

class InterceptorTest : public FidelityTest {
 protected:
  // For kUnary, after ours.
  std::shared_ptr<grpc::Channel> MakeChannelWith(Look look) {
    FactoryList after;
    after.push_back(std::make_unique<LookingFactory>(kUnary, std::move(look)));
    return MakeChannelBetween({}, std::move(after));
  }
};

// As one that fetches a token does. The inner call is retried as well, which
// takes what the outer one waits on.
ATTEMPTS_TEST_F(InterceptorTest,
                CallMadeInsideAnInterceptorHasABreakerAndRetries) {
  options_.environment = &Environment::Default();
  policy().retry.base_delay = absl::Milliseconds(1);
  for (const Hook hook :
       {Hook::PRE_SEND_INITIAL_METADATA, Hook::POST_RECV_STATUS}) {
    std::shared_ptr<grpc::Channel> channel;
    std::vector<std::string> attempts;
    channel = MakeChannelWith([&](InterceptorBatchMethods* batch) {
      if (!batch->QueryInterceptionHookPoint(hook)) return;
      server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
      grpc::ClientContext context;
      Reply reply;
      EXPECT_TRUE(TestService::NewStub(channel)
                      ->UnaryIdempotent(&context, Request(), &reply)
                      .ok());
      attempts.push_back(ValueOf(
          ResultOf(context, grpc::Status()).trailing_metadata, kAttemptsKey));
    });
    if (hook == Hook::POST_RECV_STATUS) {
      server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
    }

    EXPECT_TRUE(Call(Flavour::kSync, channel, "hello").status.ok());

    for (const std::string& number : attempts) EXPECT_EQ(number, "2");
    EXPECT_EQ(attempts.size(), hook == Hook::POST_RECV_STATUS ? 2u : 1u);
  }
}

ATTEMPTS_TEST_F(InterceptorTest, OneThatBlocksHoldsUpNoOtherCall) {
  constexpr int kBlocked = 10;
  options_.environment = &Environment::Default();
  policy().retry.base_delay = absl::Milliseconds(1);
  policy().breaker.enabled = false;
  for (const Hook hook :
       {Hook::PRE_SEND_INITIAL_METADATA, Hook::POST_RECV_STATUS}) {
    absl::Notification go_on;
    std::atomic<int> blocked{0};
    const auto channel = MakeChannelWith([&](InterceptorBatchMethods* batch) {
      if (!batch->QueryInterceptionHookPoint(hook)) return;
      // Not where the application's own thread starts the first attempt.
      const bool first = hook == Hook::PRE_SEND_INITIAL_METADATA &&
                         batch->GetSendInitialMetadata()->count(
                             "grpc-previous-rpc-attempts") == 0;
      if (first) return;
      ++blocked;
      go_on.WaitForNotification();
    });
    std::vector<std::unique_ptr<UnderWay>> calls;
    for (int i = 0; i < kBlocked; ++i) {
      server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
      calls.push_back(StartCall(Flavour::kQueue, channel, "hello"));
      WaitUntil([&] { return blocked == i + 1; }, "a blocked interceptor");
    }

    server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
    grpc::ClientContext context;
    Reply reply;
    EXPECT_TRUE(TestService::NewStub(channel)
                    ->UnaryIdempotent(&context, Request(), &reply)
                    .ok());

    go_on.Notify();
    for (const auto& call : calls) EXPECT_TRUE(call->Wait().status.ok());
  }
}

// As bytes alone: gRPC lets go of a message when it is serialized, and a
// request that may be repeated is so beforehand.
ATTEMPTS_TEST_F(InterceptorTest, RequestsOfAttemptsAreBytesToThoseAfterOurs) {
  int messages = 0;
  std::vector<std::string> bytes;
  const auto channel = MakeChannelWith([&](InterceptorBatchMethods* batch) {
    if (!batch->QueryInterceptionHookPoint(Hook::PRE_SEND_MESSAGE)) return;
    messages += batch->GetSendMessage() != nullptr;
    grpc::Slice slice;
    EXPECT_TRUE(
        batch->GetSerializedSendMessage()->DumpToSingleSlice(&slice).ok());
    bytes.emplace_back(reinterpret_cast<const char*>(slice.begin()),
                       slice.size());
  });
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));
  auto call = StartCall(Flavour::kQueue, channel, "hello");
  FinishBackoff();

  EXPECT_TRUE(call->Wait().status.ok());
  EXPECT_EQ(messages, 0);
  EXPECT_THAT(bytes, ElementsAre(Hello(), Hello()));
}

ATTEMPTS_TEST_F(InterceptorTest,
                FirstAttemptOfASynchronousCallIsMadeByItsThread) {
  policy().attempt_timeout = absl::Hours(1);
  std::vector<std::thread::id> makers;
  const auto channel = MakeChannelWith([&](InterceptorBatchMethods* batch) {
    if (batch->QueryInterceptionHookPoint(Hook::POST_RECV_STATUS)) {
      makers.push_back(std::this_thread::get_id());
    }
  });
  grpc::ClientContext context;
  Reply reply;

  EXPECT_TRUE(
      TestService::NewStub(channel)->Unary(&context, Request(), &reply).ok());

  EXPECT_THAT(makers, ElementsAre(std::this_thread::get_id()));
}

// Goes on with calls on a thread of its own.
class ElsewhereFactory final : public ClientInterceptorFactoryInterface {
 public:
  explicit ElsewhereFactory(std::function<void(std::function<void()>)> run)
      : run_(std::move(run)) {}

  grpc::experimental::Interceptor* CreateClientInterceptor(
      ClientRpcInfo* /*info*/) override {
    return new Interceptor(run_);
  }

 private:
  class Interceptor final : public grpc::experimental::Interceptor {
   public:
    explicit Interceptor(std::function<void(std::function<void()>)> run)
        : run_(std::move(run)) {}
    void Intercept(InterceptorBatchMethods* batch) override {
      if (batch->QueryInterceptionHookPoint(Hook::PRE_SEND_INITIAL_METADATA)) {
        run_([batch] { batch->Proceed(); });
      } else {
        batch->Proceed();
      }
    }

   private:
    const std::function<void(std::function<void()>)> run_;
  };

  const std::function<void(std::function<void()>)> run_;
};

TEST_F(InterceptorTest, ThreadThatGoesOnWithASynchronousCallIsNotHeldUp) {
  policy().attempt_timeout = absl::Hours(1);
  std::vector<std::thread> threads;
  absl::Notification went_on;
  FactoryList before;
  before.push_back(
      std::make_unique<ElsewhereFactory>([&](std::function<void()> go_on) {
        threads.emplace_back([&went_on, go_on = std::move(go_on)] {
          go_on();
          went_on.Notify();
        });
      }));
  auto gate = std::make_shared<Gate>();
  server_.Push(Answer::Blocked(gate));

  auto call = StartCall(Flavour::kSync,
                        MakeChannelBetween(std::move(before), {}), "hello");
  gate->WaitForArrivals(1);
  WaitUntil([&] { return went_on.HasBeenNotified(); }, "the other thread");
  gate->Open();

  EXPECT_TRUE(call->Wait().status.ok());
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace grpc_breaker::e2e
