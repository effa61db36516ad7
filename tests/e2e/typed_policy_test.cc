// Methods, replies and requests by their types, what is checked of names of
// methods that are linked in, and the methods that pass by the breaker.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpc_breaker/grpc_status.h"
#include "grpcpp/generic/generic_stub.h"
#include "gtest/gtest.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/reserved_port.h"

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kService[] = "/grpc_breaker.e2e.TestService/";

// ---- Policies by type

TEST(TypedPolicyTest, ServiceBeginsAsACopyOfTheDefault) {
  Options options;
  options.default_policy.retry.max_retries = 7;
  Policy& policy = options.Service<TestService>();
  EXPECT_EQ(policy.retry.max_retries, 7);
  EXPECT_EQ(&policy, &options.services.at(kService));
  EXPECT_EQ(&options.Service<TestService>(), &policy) << "once";
}

TEST(TypedPolicyTest, MethodBeginsAsACopyOfTheNextBroaderPolicy) {
  Options options;
  options.default_policy.retry.max_retries = 7;
  EXPECT_EQ(options.Method<TestService>("Unary").retry.max_retries, 7);
  options.Service<TestService>().retry.max_retries = 8;
  Policy& policy = options.Method<TestService>("UnaryReadOnly");
  EXPECT_EQ(policy.retry.max_retries, 8);
  EXPECT_EQ(&policy, &options.methods.at(kUnaryReadOnly));
  policy.retry.max_retries = 9;
  EXPECT_EQ(options.Method<TestService>("UnaryReadOnly").retry.max_retries, 9);
  EXPECT_TRUE(options.Validate().ok()) << options.Validate();
}

TEST(TypedPolicyTest, MethodThatTheServiceLacksIsAnErrorThatNamesTheNearest) {
  for (const bool strict : {true, false}) {
    Options options;
    options.strict_methods = strict;
    options.Method<TestService>("UnaryReedOnly");
    EXPECT_EQ(std::string(options.Validate().message()),
              "methods[/grpc_breaker.e2e.TestService/UnaryReedOnly]: must be a "
              "method that grpc_breaker.e2e.TestService has; the nearest is "
              "UnaryReadOnly");
  }
}

TEST(TypedPolicyTest, NameInAStringIsCheckedWhereTheServiceIsLinkedIn) {
  Options options;
  options.methods["/grpc_breaker.e2e.TestService/Bid"];
  EXPECT_THAT(std::string(options.Validate().message()),
              HasSubstr("the nearest is Bidi"));
  options.strict_methods = false;
  EXPECT_TRUE(options.Validate().ok());

  Options unknown;
  unknown.methods["/not.linked.Service/Method"];
  EXPECT_TRUE(unknown.Validate().ok());
}

// ---- Warnings

std::vector<std::string> WarnedOf(const Options& options) {
  std::vector<std::string> fields;
  for (const PolicyWarning& warning : options.Warnings()) {
    fields.push_back(warning.field);
  }
  return fields;
}

ATTEMPTS_TEST(PolicyWarningTest, RetriesOfAMethodThatMayNotBeRepeatedAreTold) {
  Options options;
  options.Method<TestService>("Unary").retry.max_retries = 2;
  options.methods["/not.linked.Service/Method"].retry.max_retries = 2;
  EXPECT_THAT(
      WarnedOf(options),
      ElementsAre("methods[/grpc_breaker.e2e.TestService/Unary].retry."
                  "max_retries",
                  "methods[/not.linked.Service/Method].retry.max_retries"));
  EXPECT_THAT(options.Warnings()[0].message, HasSubstr("is 2, but only calls"));
}

ATTEMPTS_TEST(PolicyWarningTest, HedgesOfAMethodThatMayNotBeRepeatedAreTold) {
  Options options;
  Policy& policy = options.Method<TestService>("Unary");
  policy.retry.max_retries = 0;
  policy.hedging.max_hedges = 2;
  EXPECT_THAT(WarnedOf(options),
              ElementsAre("methods[/grpc_breaker.e2e.TestService/Unary]."
                          "hedging.max_hedges"));
  EXPECT_THAT(options.Warnings()[0].message,
              HasSubstr("is 2, but calls are not hedged"));
}

ATTEMPTS_TEST(PolicyWarningTest,
              NothingIsToldOfMethodsThatMayOrThatHaveNoRetries) {
  Options options;
  options.Method<TestService>("UnaryReadOnly").retry.max_retries = 2;
  options.Method<TestService>("UnaryIdempotent").retry.max_retries = 2;
  options.Method<TestService>("Unary").idempotency = Idempotency::kRepeatable;
  options.Method<TestService>("Bidi").retry.max_retries = 0;
  EXPECT_THAT(WarnedOf(options), IsEmpty());
}

// Some of its methods may be repeated, if any is declared so.
ATTEMPTS_TEST(PolicyWarningTest,
              OfAServiceItIsToldIfNoneOfItsMethodsMayBeRepeated) {
  Options options;
  options.Service<TestService>().retry.max_retries = 2;
  options.services["/not.linked.Service/"].retry.max_retries = 2;
  EXPECT_THAT(WarnedOf(options),
              ElementsAre("services[/not.linked.Service/].retry.max_retries"));
}

class WarningListener : public BreakerListener {
 public:
  void OnPolicyWarning(const PolicyWarning& warning) override {
    told.push_back(absl::StrCat(warning.channel, " ", warning.field));
    time = warning.wall_time;
  }
  std::vector<std::string> told;
  absl::Time time;
};

class TypedCallTest : public E2eTest {};

ATTEMPTS_TEST_F(TypedCallTest,
                ListenersAreToldOfWarningsOnceWhenTheChannelIsCreated) {
  auto listener = std::make_shared<WarningListener>();
  options_.listeners.push_back(listener);
  options_.channel_name = "backend";
  options_.Method<TestService>("Unary").idempotency = Idempotency::kAsDeclared;
  const auto channel = MakeChannel();
  EXPECT_THAT(listener->told,
              ElementsAre(absl::StrCat("backend methods[", kUnary,
                                       "].retry.max_retries")));
  EXPECT_EQ(listener->time, env_.WallNow());

  EXPECT_TRUE(Call(Flavour::kSync, channel, "hello").status.ok());
  EXPECT_EQ(listener->told.size(), 1u);
}

// ---- Requests and replies

Reply ReplyOf(const std::string& text) {
  Reply reply;
  reply.set_text(text);
  return reply;
}

ATTEMPTS_TEST_F(TypedCallTest, ReplyOfAFallbackIsWhatTheCallerGets) {
  policy().retry.max_retries = 0;
  policy().fallback = Fallback::Reply(ReplyOf("cached"));
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));

  const CallResult result = Call(Flavour::kSync, MakeChannel(), "hello");

  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_EQ(result.text, "cached");
}

ATTEMPTS_TEST_F(TypedCallTest, TypedFallbackAnswersTheRequest) {
  policy().retry.max_retries = 0;
  policy().fallback = Fallback::Typed<Request, Reply>(
      [](const Request& request) { return ReplyOf(request.text() + "?"); });
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));

  EXPECT_EQ(Call(Flavour::kSync, MakeChannel(), "hello").text, "hello?");
}

ATTEMPTS_TEST_F(TypedCallTest, TypedFallbackMayAskHowTheCallFailed) {
  policy().retry.max_retries = 0;
  policy().fallback = Fallback::Typed<Request, Reply>(
      [](const Request& request, const FailedCall& call) {
        return ReplyOf(absl::StrCat(request.text(), " ", call.attempts, " ",
                                    call.status.error_message()));
      });
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE, "down"));

  EXPECT_EQ(Call(Flavour::kSync, MakeChannel(), "hello").text, "hello 1 down");
}

ATTEMPTS_TEST_F(TypedCallTest, StatusOfATypedFallbackIsThatOfTheCall) {
  policy().retry.max_retries = 0;
  policy().fallback = Fallback::Typed<Request, Reply>(
      [](const Request&) -> absl::StatusOr<Reply> {
        return absl::NotFoundError("not in the cache");
      });
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));

  const CallResult result = Call(Flavour::kSync, MakeChannel(), "hello");

  EXPECT_EQ(result.status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(result.status.error_message(), "not in the cache");
}

TEST(FailedCallTest, RequestThatIsNotOfTheTypeLeavesTheCallFailed) {
  FailedCall call;
  const grpc::Slice bytes("\xff not a message");
  const grpc::ByteBuffer request(&bytes, 1);
  call.request = &request;
  call.status = grpc::Status(StatusCode::UNAVAILABLE, "down");
  EXPECT_EQ(call.ParseRequest<Request>().status().code(),
            absl::StatusCode::kInvalidArgument);

  const Fallback fallback = Fallback::Typed<Request, Reply>(
      [](const Request&) { return ReplyOf("never"); });
  EXPECT_EQ(fallback.function(call).status.error_message(), "down");
}

TEST(FailedCallTest, StreamingCallHasNoRequestToParse) {
  FailedCall call;
  call.request = nullptr;
  EXPECT_EQ(call.ParseRequest<Request>().status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(TypedCallTest, HookReadsTheRequestAndLeavesItWhole) {
  policy().retry.max_retries = 0;
  std::vector<std::string> requests;
  policy().on_final_failure = [&](const FailedCall& call) {
    for (int i = 0; i < 2; ++i) {
      const absl::StatusOr<Request> request = call.ParseRequest<Request>();
      requests.push_back(request.ok() ? request->text() : "");
    }
  };
  server_.Push(Answer::Error(StatusCode::UNAVAILABLE));

  Call(Flavour::kQueue, MakeChannel(), "hello");

  EXPECT_THAT(requests, ElementsAre("hello", "hello"));
}

// ---- Methods that pass by

class ExemptTest : public E2eTest {
 protected:
  ExemptTest() {
    // With retries, a call would wait for the test to move the clock.
    options_.default_policy.breaker.consecutive_failures = 1;
  }

  // Whether each of three calls, which all fail, was refused by the breaker.
  std::vector<bool> Rejected(const std::string& method) {
    grpc::GenericStub stub(MakeChannelTo(nobody_.target()));
    std::vector<bool> rejected;
    for (int i = 0; i < 3; ++i) {
      grpc::ClientContext context;
      grpc::ByteBuffer reply;
      Slot<grpc::Status> done;
      grpc::Slice empty;
      const grpc::ByteBuffer message(&empty, 1);
      stub.UnaryCall(&context, method, grpc::StubOptions(), &message, &reply,
                     [&](grpc::Status status) { done.Put(std::move(status)); });
      const grpc::Status status = done.Take("a call");
      EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
      rejected.push_back(IsBreakerRejection(status));
    }
    known_ = !directory_.Registries().empty() &&
             directory_.Registries()[0]->Find(method) != nullptr;
    return rejected;
  }

  const ReservedPort nobody_;
  bool known_ = false;
};

TEST_F(ExemptTest, HealthChecksAndReflectionHaveNeitherBreakerNorRetries) {
  for (const char* method : {
           "/grpc.health.v1.Health/Check",
           "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
           "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
       }) {
    EXPECT_THAT(Rejected(method), ElementsAre(false, false, false)) << method;
    EXPECT_FALSE(known_) << method;
  }
}

TEST_F(ExemptTest, UnlessAPolicyNamesTheMethodOrItsService) {
  options_.default_policy.retry.max_retries = 0;
  options_.methods["/grpc.health.v1.Health/Check"] = options_.default_policy;
  EXPECT_THAT(Rejected("/grpc.health.v1.Health/Check"),
              ElementsAre(false, true, true));
  options_.services["/grpc.reflection.v1.ServerReflection/"] =
      options_.default_policy;
  EXPECT_THAT(
      Rejected("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
      ElementsAre(false, true, true));
}

TEST_F(ExemptTest, MethodsOfLikeNamesAreNot) {
  options_.default_policy.retry.max_retries = 0;
  for (const char* method :
       {"/grpc.health.v1.HealthOfMine/Check", "/grpc.reflections.S/M",
        "/my.grpc.health.v1.Health/Check"}) {
    EXPECT_THAT(Rejected(method), ElementsAre(false, true, true)) << method;
  }
}

}  // namespace
}  // namespace grpc_breaker::e2e
