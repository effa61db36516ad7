#include "grpc_breaker/grpc_status.h"

#include <string>
#include <utility>

#include "absl/strings/cord.h"
#include "gmock/gmock.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "grpc_breaker/v1/rpc_details.pb.h"
#include "grpc_breaker/with_retry.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

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

}  // namespace
}  // namespace grpc_breaker
