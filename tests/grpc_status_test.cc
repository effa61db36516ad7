#include "grpc_breaker/grpc_status.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "grpc_breaker/v1/rpc_details.pb.h"
#include "grpc_breaker/with_retry.h"
#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kRetryInfoUrl[] = "type.googleapis.com/google.rpc.RetryInfo";
constexpr char kBadRequestUrl[] = "type.googleapis.com/google.rpc.BadRequest";
constexpr char kQuotaFailureUrl[] =
    "type.googleapis.com/google.rpc.QuotaFailure";

std::string RetryInfoBytes(int64_t seconds) {
  v1::RetryInfo info;
  info.mutable_retry_delay()->set_seconds(seconds);
  return info.SerializeAsString();
}

grpc::Status WithDetails(
    grpc::StatusCode code,
    std::initializer_list<std::pair<std::string, std::string>> details) {
  v1::RpcStatus status;
  for (const auto& [url, value] : details) {
    google::protobuf::Any* any = status.add_details();
    any->set_type_url(url);
    any->set_value(value);
  }
  return grpc::Status(code, "text", status.SerializeAsString());
}

Rejection OpenFor(absl::Duration retry_after) {
  Rejection rejection;
  rejection.retry_after = retry_after;
  return rejection;
}

TEST(GrpcStatusTest, EveryCodeAndMessageSurvivesTheWayToAbslAndBack) {
  for (int code = 0; code <= 16; ++code) {
    const grpc::Status there(static_cast<grpc::StatusCode>(code), "text");
    const grpc::Status back = ToGrpcStatus(ToAbslStatus(there));
    EXPECT_EQ(back.error_code(), code);
    EXPECT_EQ(back.error_message(), code == 0 ? "" : "text");
    EXPECT_EQ(back.error_details(), "");
  }
}

TEST(GrpcStatusTest, DetailsTravelAsPayloads) {
  const absl::Status status = ToAbslStatus(
      WithDetails(grpc::UNAVAILABLE, {{kRetryInfoUrl, RetryInfoBytes(3)},
                                      {kBadRequestUrl, "not looked into"}}));
  EXPECT_EQ(status.GetPayload(kBadRequestUrl), absl::Cord("not looked into"));

  v1::RpcStatus details;
  const grpc::Status back = ToGrpcStatus(status);
  ASSERT_TRUE(details.ParseFromString(back.error_details()));
  EXPECT_EQ(details.code(), grpc::UNAVAILABLE);
  EXPECT_EQ(details.message(), "text");
  EXPECT_EQ(details.details_size(), 2);
  EXPECT_EQ(ClassifyError(back).retry_delay, absl::Seconds(3));
}

TEST(GrpcStatusTest, DetailsThatDoNotParseAreTreatedAsAbsent) {
  const grpc::Status broken(grpc::UNAVAILABLE, "text", "\xff\xff garbage");
  EXPECT_EQ(ClassifyError(broken),
            ClassifyError(grpc::Status(grpc::UNAVAILABLE, "text")));
  EXPECT_EQ(ToAbslStatus(broken), absl::UnavailableError("text"));
  EXPECT_FALSE(IsBreakerRejection(broken));
}

TEST(GrpcStatusTest, RetryInfoMakesARateLimitRetryableDespiteAQuotaFailure) {
  const ErrorClass error = ClassifyError(WithDetails(
      grpc::RESOURCE_EXHAUSTED,
      {{kQuotaFailureUrl, ""}, {kRetryInfoUrl, RetryInfoBytes(7)}}));
  EXPECT_TRUE(error.retryable);
  EXPECT_EQ(error.retry_delay, absl::Seconds(7));
}

TEST(GrpcStatusTest, AQuotaFailureWithoutRetryInfoForbidsARetry) {
  EXPECT_FALSE(ClassifyError(WithDetails(grpc::RESOURCE_EXHAUSTED,
                                         {{kQuotaFailureUrl, ""}}))
                   .retryable);
}

TEST(GrpcStatusTest, ABadRequestForbidsARetry) {
  EXPECT_FALSE(ClassifyError(WithDetails(grpc::UNAVAILABLE,
                                         {{kBadRequestUrl, ""},
                                          {kRetryInfoUrl, RetryInfoBytes(1)}}))
                   .retryable);
}

TEST(GrpcStatusTest, OnlyTheLastPartOfATypeUrlCounts) {
  EXPECT_FALSE(
      ClassifyError(WithDetails(grpc::UNAVAILABLE,
                                {{"example.org/google.rpc.BadRequest", ""}}))
          .retryable);
  EXPECT_TRUE(
      ClassifyError(
          WithDetails(grpc::UNAVAILABLE,
                      {{"type.googleapis.com/my.google.rpc.BadRequest", ""}}))
          .retryable);
}

TEST(GrpcStatusTest, ANegativeRetryInfoMeansAtOnce) {
  EXPECT_EQ(ClassifyError(WithDetails(grpc::UNAVAILABLE,
                                      {{kRetryInfoUrl, RetryInfoBytes(-5)}}))
                .retry_delay,
            absl::ZeroDuration());
}

TEST(GrpcStatusTest, ShouldRetryCountsRetries) {
  const grpc::Status status(grpc::UNAVAILABLE, "");
  EXPECT_TRUE(ShouldRetry(status, 1, 2));
  EXPECT_FALSE(ShouldRetry(status, 2, 2));
  EXPECT_FALSE(ShouldRetry(grpc::Status(grpc::NOT_FOUND, ""), 0, 2));
}

TEST(RejectionStatusTest, SaysAllOfIt) {
  const grpc::Status status = MakeRejectionStatus(
      "/p.S/M", OpenFor(absl::Seconds(5) + absl::Nanoseconds(7)));
  EXPECT_EQ(status.error_code(), grpc::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("/p.S/M"));
  EXPECT_TRUE(IsBreakerRejection(status));
  const std::optional<RejectionDetail> detail = RejectionDetailOf(status);
  ASSERT_TRUE(detail.has_value());
  EXPECT_EQ(detail->method, "/p.S/M");
  EXPECT_EQ(detail->state, "OPEN");
  EXPECT_EQ(detail->reason, "OPEN");
  EXPECT_EQ(detail->retry_after, absl::Seconds(5) + absl::Nanoseconds(7));
}

TEST(RejectionStatusTest, CarriesItsRetryAfterForClientsThatKnowRetryInfo) {
  v1::RpcStatus details;
  ASSERT_TRUE(details.ParseFromString(
      MakeRejectionStatus("/p.S/M", OpenFor(absl::Seconds(5)))
          .error_details()));
  ASSERT_EQ(details.details_size(), 2);
  EXPECT_EQ(details.details(0).type_url(), kBreakerRejectionTypeUrl);
  EXPECT_EQ(details.details(1).type_url(), kRetryInfoUrl);
  EXPECT_EQ(details.details(1).value(), RetryInfoBytes(5));
}

TEST(RejectionStatusTest, SurvivesTheWayToAbslAndBack) {
  const grpc::Status there =
      MakeRejectionStatus("/p.S/M", OpenFor(absl::Milliseconds(1500)));
  const absl::Status absl_status = ToAbslStatus(there);
  EXPECT_TRUE(IsBreakerRejection(absl_status));
  EXPECT_EQ(RejectionRetryAfter(absl_status), absl::Milliseconds(1500));
  EXPECT_EQ(RejectionDetailOf(ToGrpcStatus(absl_status))->state, "OPEN");

  const grpc::Status from_core =
      ToGrpcStatus(RejectionStatus("/p.S/M", OpenFor(absl::Seconds(9))));
  EXPECT_EQ(RejectionDetailOf(from_core)->retry_after, absl::Seconds(9));
}

TEST(RejectionStatusTest, IsNotCountedUnlessABreakerFurtherDownMadeIt) {
  const grpc::Status status =
      MakeRejectionStatus("/p.S/M", OpenFor(absl::Seconds(5)));
  const ErrorClass ours = ClassifyError(status);
  EXPECT_EQ(ours.outcome, Outcome::kIgnored);
  EXPECT_FALSE(ours.retryable);

  ErrorOrigin origin;
  origin.server_answered = true;
  const ErrorClass theirs = ClassifyError(status, origin);
  EXPECT_EQ(theirs.outcome, Outcome::kFailure);
  EXPECT_TRUE(theirs.retryable);
  EXPECT_EQ(theirs.retry_delay, absl::Seconds(5));
}

TEST(RejectionStatusTest, OtherStatusesAreNotRejections) {
  EXPECT_FALSE(IsBreakerRejection(grpc::Status::OK));
  EXPECT_FALSE(IsBreakerRejection(grpc::Status(grpc::UNAVAILABLE, "")));
  EXPECT_EQ(RejectionRetryAfter(absl::UnavailableError("")), std::nullopt);
}

TEST(GrpcStatusTest, WithRetryHeedsTheDetailsOfAGrpcStatus) {
  ManualEnvironment env;
  WithRetryOptions options;
  options.environment = &env;
  int attempts = 0;
  const grpc::Status status = WithRetry(
      RetryOptions(),
      [&] {
        return ++attempts > 1
                   ? grpc::Status::OK
                   : WithDetails(grpc::RESOURCE_EXHAUSTED,
                                 {{kRetryInfoUrl, RetryInfoBytes(30)}});
      },
      options);
  EXPECT_TRUE(status.ok());
  EXPECT_THAT(env.sleeps(), ElementsAre(absl::Seconds(30)));
}

TEST(ServerAnsweredTest, SaysNothingWithoutAText) {
  EXPECT_EQ(ServerAnswered(""), std::nullopt);
}

// The rest is told by real connections over loopback, so that a gRPC that words
// its errors differently is noticed here.

struct Failure {
  grpc::Status status;
  std::string debug_error_string;

  ErrorClass Classify() const {
    ErrorOrigin origin;
    origin.server_answered = ServerAnswered(debug_error_string);
    return ClassifyError(status, origin);
  }
};

Failure Call(int port, size_t request_size = 1,
             grpc::ChannelArguments arguments = {}) {
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  grpc::GenericStub stub(
      grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", port),
                                grpc::InsecureChannelCredentials(), arguments));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::seconds(20));
  const grpc::Slice slice(std::string(request_size, 'x'));
  const grpc::ByteBuffer request(&slice, 1);
  grpc::ByteBuffer reply;
  grpc::CompletionQueue cq;
  auto call = stub.PrepareUnaryCall(&context, "/p.S/M", request, &cq);
  call->StartCall();
  Failure failure;
  call->Finish(&reply, &failure.status, nullptr);
  void* tag;
  bool ok;
  cq.Next(&tag, &ok);
  failure.debug_error_string = context.debug_error_string();
  return failure;
}

// Answers every call with one status.
class Server : public grpc::CallbackGenericService {
 public:
  explicit Server(grpc::Status status) : status_(std::move(status)) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterCallbackGenericService(this);
    server_ = builder.BuildAndStart();
  }

  int port() const { return port_; }

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext*) override {
    class Reactor : public grpc::ServerGenericBidiReactor {
     public:
      explicit Reactor(const grpc::Status& status) { Finish(status); }
      void OnDone() override { delete this; }
    };
    return new Reactor(status_);
  }

 private:
  const grpc::Status status_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// A listener on a loopback port that hands each connection to a function.
class RawServer {
 public:
  explicit RawServer(std::function<void(int)> serve)
      : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(listener_, generic, length), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    EXPECT_EQ(getsockname(listener_, generic, &length), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, serve = std::move(serve)] {
      int connection;
      while ((connection = accept(listener_, nullptr, nullptr)) >= 0) {
        serve(connection);
        close(connection);
      }
    });
  }

  ~RawServer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }

  int port() const { return port_; }

 private:
  const int listener_;
  int port_ = 0;
  std::thread thread_;
};

// Speaks HTTP/2 just far enough for the client to send its request.
void AcceptRequest(int connection) {
  const char settings[9] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
  EXPECT_EQ(write(connection, settings, sizeof(settings)), 9);
  std::string received;
  char buffer[4096];
  ssize_t count;
  // The path of the request, uncompressed the first time.
  while (received.find("/p.S/M") == std::string::npos &&
         (count = read(connection, buffer, sizeof(buffer))) > 0) {
    received.append(buffer, count);
  }
}

void Send(int connection, absl::string_view frame) {
  EXPECT_EQ(write(connection, frame.data(), frame.size()),
            static_cast<ssize_t>(frame.size()));
  shutdown(connection, SHUT_WR);
  char buffer[4096];
  while (read(connection, buffer, sizeof(buffer)) > 0) {
  }
}

void Reset(int connection) {
  const linger now{1, 0};
  setsockopt(connection, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

TEST(LiveStatusTest, AServersOwnUnavailableIsAnAnswer) {
  Server server(grpc::Status(grpc::UNAVAILABLE, "busy"));
  const Failure failure = Call(server.port());
  EXPECT_EQ(ServerAnswered(failure.debug_error_string), true);
  EXPECT_EQ(failure.Classify().category, ErrorCategory::kTransient);
}

TEST(LiveStatusTest, AServerThatQuotesAFailureToConnectHasSeenTheCall) {
  Server server(
      grpc::Status(grpc::UNAVAILABLE, "failed to connect to all addresses"));
  const Failure failure = Call(server.port());
  EXPECT_EQ(ServerAnswered(failure.debug_error_string), true);
  EXPECT_FALSE(failure.Classify().never_sent);
}

TEST(LiveStatusTest, NothingWasSentToAPortWhereNobodyListens) {
  int port;
  {
    port = RawServer([](int) {}).port();
  }
  const Failure failure = Call(port);
  EXPECT_EQ(failure.status.error_code(), grpc::UNAVAILABLE);
  EXPECT_EQ(ServerAnswered(failure.debug_error_string), false);
  EXPECT_TRUE(failure.Classify().never_sent);
  EXPECT_EQ(failure.Classify().category, ErrorCategory::kNetwork);
}

TEST(LiveStatusTest, NothingWasSentToAPeerThatHangsUpBeforeTheHandshake) {
  RawServer server([](int) {});
  const Failure failure = Call(server.port());
  EXPECT_EQ(ServerAnswered(failure.debug_error_string), false);
  EXPECT_TRUE(failure.Classify().never_sent) << failure.status.error_message();
}

TEST(LiveStatusTest, AServerThatDiesUnderTheCallMayHaveSeenIt) {
  RawServer server(AcceptRequest);
  const Failure failure = Call(server.port());
  EXPECT_EQ(failure.status.error_code(), grpc::UNAVAILABLE);
  EXPECT_EQ(ServerAnswered(failure.debug_error_string), std::nullopt);
  EXPECT_FALSE(failure.Classify().never_sent);
  EXPECT_EQ(failure.Classify().category, ErrorCategory::kNetwork);
}

TEST(LiveStatusTest, AResetConnectionIsTheNetworksFault) {
  RawServer server([](int connection) {
    AcceptRequest(connection);
    Reset(connection);
  });
  const Failure failure = Call(server.port());
  EXPECT_EQ(failure.status.error_code(), grpc::UNAVAILABLE);
  EXPECT_EQ(failure.Classify().category, ErrorCategory::kNetwork)
      << failure.status.error_message();
  EXPECT_FALSE(failure.Classify().never_sent);
}

TEST(LiveStatusTest, AGoawayUnderTheCallIsTheNetworksFault) {
  RawServer server([](int connection) {
    AcceptRequest(connection);
    Send(connection, absl::string_view("\0\0\x08\x07\0\0\0\0\0"
                                       "\0\0\0\x01\0\0\0\x0b",
                                       17));
  });
  const Failure failure = Call(server.port());
  EXPECT_EQ(failure.Classify().category, ErrorCategory::kNetwork)
      << failure.status.error_message();
  EXPECT_FALSE(failure.Classify().never_sent);
}

TEST(LiveStatusTest, AStreamThatIsResetToCalmUsIsARateLimit) {
  RawServer server([](int connection) {
    AcceptRequest(connection);
    Send(connection, absl::string_view("\0\0\x04\x03\0\0\0\0\x01"
                                       "\0\0\0\x0b",
                                       13));
  });
  const Failure failure = Call(server.port());
  EXPECT_EQ(failure.status.error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_THAT(failure.status.error_message(),
              StartsWith("Received RST_STREAM"));
  EXPECT_EQ(failure.Classify().category, ErrorCategory::kRateLimit);
}

TEST(LiveStatusTest, AMessageLargerThanALimitIsTheCallsFault) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxSendMessageSize(10);
  Server server(grpc::Status::OK);
  const Failure failure = Call(server.port(), 11, arguments);
  EXPECT_EQ(failure.status.error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_EQ(failure.Classify().category, ErrorCategory::kResource)
      << failure.status.error_message();
  EXPECT_EQ(failure.Classify().outcome, Outcome::kIgnored);
}

}  // namespace
}  // namespace grpc_breaker
