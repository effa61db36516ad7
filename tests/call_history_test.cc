#include "grpc_breaker/call_history.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/registry/status_details.h"
#include "grpc_breaker/registry/wire_status.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

using ::grpc::StatusCode;
using ::testing::Optional;

CallHistory TwoAttempts() {
  CallHistory history;
  history.attempts = {{StatusCode::UNAVAILABLE, absl::ZeroDuration()},
                      {StatusCode::ABORTED, absl::Milliseconds(1500)}};
  history.stopped = StopReason::kBudget;
  return history;
}

TEST(CallHistoryTest, TravelsInTheDetailsOfAStatus) {
  grpc::Status status(StatusCode::ABORTED, "try again");

  internal::AddHistory(TwoAttempts(), &status);

  EXPECT_EQ(status.error_code(), StatusCode::ABORTED);
  EXPECT_EQ(status.error_message(), "try again");
  EXPECT_THAT(CallHistoryOf(status), Optional(TwoAttempts()));
}

TEST(CallHistoryTest, StandsBesideTheDetailsOfTheServer) {
  v1::RetryInfo info;
  info.mutable_retry_delay()->set_seconds(7);
  v1::RpcStatus details;
  internal::AddDetail("type.googleapis.com/google.rpc.RetryInfo", info,
                      &details);
  grpc::Status status =
      internal::MakeStatus(StatusCode::UNAVAILABLE, "busy", details);

  internal::AddHistory(TwoAttempts(), &status);

  EXPECT_EQ(ClassifyError(status).retry_delay, absl::Seconds(7));
  EXPECT_EQ(ToAbslStatus(status).GetPayload(
                "type.googleapis.com/google.rpc.RetryInfo"),
            absl::Cord(absl::string_view(info.SerializeAsString())));
  EXPECT_THAT(CallHistoryOf(status), Optional(TwoAttempts()));
}

TEST(CallHistoryTest, ReplacesAnEarlierOneOfThisProcess) {
  grpc::Status status(StatusCode::ABORTED, "");
  internal::AddHistory(CallHistory(), &status);
  internal::AddHistory(TwoAttempts(), &status);

  EXPECT_THAT(CallHistoryOf(status), Optional(TwoAttempts()));
  EXPECT_EQ(internal::DetailsOf(status).size(), 1);
}

TEST(CallHistoryTest, LeavesDetailsAloneThatDoNotParse) {
  const std::string details = "\xff\xff not a message";
  grpc::Status status(StatusCode::ABORTED, "", details);

  internal::AddHistory(TwoAttempts(), &status);

  EXPECT_EQ(status.error_details(), details);
  EXPECT_EQ(CallHistoryOf(status), std::nullopt);
}

TEST(CallHistoryTest, OkHasNone) {
  grpc::Status status;
  internal::AddHistory(TwoAttempts(), &status);
  EXPECT_EQ(CallHistoryOf(status), std::nullopt);
  EXPECT_EQ(status.error_details(), "");
}

TEST(CallHistoryTest, ThatAServerPassesOnIsNoneOfThisCall) {
  grpc::Status status(StatusCode::ABORTED, "");
  internal::AddHistory(TwoAttempts(), &status);

  internal::NormalizeReceived(&status);

  EXPECT_EQ(CallHistoryOf(status), std::nullopt);
  EXPECT_EQ(internal::DetailsOf(status).size(), 1) << "nothing is lost";

  CallHistory own;
  own.stopped = StopReason::kDeadline;
  internal::AddHistory(own, &status);
  EXPECT_THAT(CallHistoryOf(status), Optional(own));
}

TEST(CallHistoryTest, SurvivesAbslStatus) {
  grpc::Status status(StatusCode::ABORTED, "");
  internal::AddHistory(TwoAttempts(), &status);

  EXPECT_THAT(CallHistoryOf(ToGrpcStatus(ToAbslStatus(status))),
              Optional(TwoAttempts()));
}

TEST(CallHistoryTest, ReasonThatThereIsNotIsNoHistory) {
  v1::CallHistory message;
  message.set_process(internal::ThisProcess());
  for (const char* stopped : {"", "exhausted", "WHATEVER"}) {
    message.set_stopped(stopped);
    v1::RpcStatus details;
    internal::AddDetail("type.googleapis.com/grpc_breaker.v1.CallHistory",
                        message, &details);
    EXPECT_EQ(
        CallHistoryOf(internal::MakeStatus(StatusCode::ABORTED, "", details)),
        std::nullopt);
  }
}

}  // namespace
}  // namespace grpc_breaker
