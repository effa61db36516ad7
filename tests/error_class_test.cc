#include "grpc_breaker/error_class.h"

#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "grpc_breaker/breaker_events.h"
#include "gtest/gtest.h"

namespace grpc_breaker {

void PrintTo(const ErrorClass& error, std::ostream* os) {
  *os << ToString(error.category) << ' ' << ToString(error.severity) << ' '
      << ToString(error.outcome) << (error.retryable ? " retryable" : "")
      << (error.never_sent ? " never sent" : "");
  if (error.retry_delay.has_value()) *os << " after " << *error.retry_delay;
}

namespace {

using Code = absl::StatusCode;

ErrorOrigin FromServer() {
  ErrorOrigin origin;
  origin.server_answered = true;
  return origin;
}

ErrorOrigin MadeHere() {
  ErrorOrigin origin;
  origin.server_answered = false;
  return origin;
}

// "PERMANENT LOW SUCCESS", with " retryable" and " never sent" as they apply.
std::string Row(Code code, const ErrorOrigin& origin = FromServer(),
                absl::string_view message = "") {
  return ::testing::PrintToString(ClassifyError(code, message, origin));
}

TEST(ErrorClassTest, EveryCodeThatAServerSendsFollowsTheStatusTable) {
  EXPECT_EQ(Row(Code::kOk), "NONE NONE SUCCESS");
  EXPECT_EQ(Row(Code::kInvalidArgument), "PERMANENT LOW SUCCESS");
  EXPECT_EQ(Row(Code::kNotFound), "PERMANENT LOW SUCCESS");
  EXPECT_EQ(Row(Code::kAlreadyExists), "PERMANENT LOW SUCCESS");
  EXPECT_EQ(Row(Code::kFailedPrecondition), "PERMANENT LOW SUCCESS");
  EXPECT_EQ(Row(Code::kOutOfRange), "PERMANENT LOW SUCCESS");
  EXPECT_EQ(Row(Code::kPermissionDenied), "PERMANENT MEDIUM SUCCESS");
  EXPECT_EQ(Row(Code::kUnauthenticated), "PERMANENT MEDIUM SUCCESS");
  EXPECT_EQ(Row(Code::kUnimplemented), "PERMANENT HIGH SUCCESS");
  EXPECT_EQ(Row(Code::kAborted), "TRANSIENT LOW SUCCESS");
  EXPECT_EQ(Row(Code::kDeadlineExceeded), "NETWORK MEDIUM FAILURE");
  EXPECT_EQ(Row(Code::kResourceExhausted),
            "RATE_LIMIT MEDIUM FAILURE retryable");
  EXPECT_EQ(Row(Code::kUnavailable), "TRANSIENT MEDIUM FAILURE retryable");
  EXPECT_EQ(Row(Code::kUnknown), "PERMANENT HIGH FAILURE");
  EXPECT_EQ(Row(Code::kInternal), "PERMANENT HIGH FAILURE");
  EXPECT_EQ(Row(Code::kDataLoss), "PERMANENT CRITICAL FAILURE");
}

TEST(ErrorClassTest, ACodeOutsideOfTheTableIsUnknown) {
  EXPECT_EQ(Row(static_cast<Code>(17)), Row(Code::kUnknown));
  EXPECT_EQ(Row(static_cast<Code>(-1)), Row(Code::kUnknown));
}

TEST(ErrorClassTest, TheCallersOwnCancellationSaysNothingAboutTheServer) {
  ErrorOrigin origin;
  origin.cancelled_by_caller = true;
  EXPECT_EQ(Row(Code::kCancelled, origin), "PERMANENT LOW IGNORED");
  EXPECT_EQ(Row(Code::kCancelled, {}), "PERMANENT LOW IGNORED");
  EXPECT_EQ(Row(Code::kCancelled, FromServer()), "PERMANENT LOW SUCCESS");
}

TEST(ErrorClassTest, NothingIsRetriedForACallerWhoHasCancelled) {
  ErrorOrigin origin = MadeHere();
  origin.cancelled_by_caller = true;
  EXPECT_EQ(Row(Code::kUnavailable, origin), "NETWORK MEDIUM FAILURE");
}

TEST(ErrorClassTest, ACodeThatThisProcessMadeIsNoProofOfAHealthyServer) {
  for (Code code : {Code::kInvalidArgument, Code::kUnauthenticated,
                    Code::kUnimplemented, Code::kAborted}) {
    EXPECT_EQ(ClassifyError(code, "", MadeHere()).outcome, Outcome::kIgnored);
  }
}

TEST(ErrorClassTest, OnlyTheAttemptsOwnTimeoutIsWorthARetry) {
  ErrorOrigin origin = MadeHere();
  EXPECT_FALSE(ClassifyError(Code::kDeadlineExceeded, "", origin).retryable);
  origin.attempt_timeout = true;
  EXPECT_TRUE(ClassifyError(Code::kDeadlineExceeded, "", origin).retryable);
}

TEST(ErrorClassTest, LocalExhaustionIsNotTheServersFault) {
  EXPECT_EQ(Row(Code::kResourceExhausted, MadeHere()), "RESOURCE HIGH IGNORED");
  for (absl::string_view message : {"No space left on device", "Out of memory",
                                    "disk full", "Too many open files"}) {
    EXPECT_EQ(Row(Code::kResourceExhausted, {}, message),
              "RESOURCE HIGH IGNORED");
    EXPECT_EQ(Row(Code::kResourceExhausted, FromServer(), message),
              "RATE_LIMIT MEDIUM FAILURE retryable");
  }
  EXPECT_EQ(Row(Code::kResourceExhausted, {}, "quota exceeded"),
            "RATE_LIMIT MEDIUM FAILURE retryable");
}

TEST(ErrorClassTest, AMessageThatIsTooLargeIsTheCallsFaultWhoeverSaysSo) {
  for (const ErrorOrigin& origin : {ErrorOrigin(), FromServer(), MadeHere()}) {
    EXPECT_EQ(Row(Code::kResourceExhausted, origin,
                  "Received message larger than max (10 vs. 4)"),
              "RESOURCE HIGH IGNORED");
  }
}

TEST(ErrorClassTest, EachImplementationHasItsOwnWordsForATooLargeMessage) {
  for (absl::string_view message : {
           "grpc: received message larger than max (5 vs. 4)",
           "grpc: trying to send message larger than max (5 vs. 4)",
           "grpc: received message after decompression larger than max 4",
           "grpc: message after decompression larger than max (5 vs. 4)",
           "Attempted to send message with a size larger than 4",
           "Received message that decompresses to a size larger than 4",
           "gRPC message exceeds maximum size 4: 5",
           "Decompressed gRPC message exceeds maximum size 4",
           "Sending message exceeds the maximum configured message size.",
           "Error, decoded message length too large: found 5 bytes, the limit "
           "is: 4 bytes",
           "Error decompressing: size limit, of 4 bytes, exceeded while "
           "decompressing message",
           "Error encoding: size limit, of 4 bytes, exceeded while encoding "
           "message",
           "Message has exceeded the configured maximum payload length (max: "
           "4, actual: 5)",
           "message size 5 is larger than configured max 4",
           "message size 5 is larger than configured readMaxBytes 4",
           "message is larger than configured readMaxBytes 4 after "
           "decompression",
           "message size 5 is larger than configured writeMaxBytes 4",
           "message size 5 exceeded sendMaxBytes 4",
       }) {
    EXPECT_EQ(Row(Code::kResourceExhausted, FromServer(), message),
              "RESOURCE HIGH IGNORED")
        << message;
  }
  for (absl::string_view message :
       {"message quota exceeded, slow down", "too many messages",
        "rate limit exceeded while sending messages",
        "the largest number of messages a minute is exceeded"}) {
    EXPECT_EQ(Row(Code::kResourceExhausted, FromServer(), message),
              "RATE_LIMIT MEDIUM FAILURE retryable")
        << message;
  }
}

TEST(ErrorClassTest, ARequestThatIsTooLargeForAProxyIsTheCallsFault) {
  for (const char* status : {"413", "431"}) {
    EXPECT_EQ(Row(Code::kUnknown, FromServer(),
                  absl::StrCat("Received http2 header with status: ", status)),
              "RESOURCE HIGH IGNORED");
  }
  for (const char* status : {"400", "4130", "500"}) {
    EXPECT_EQ(Row(Code::kUnknown, FromServer(),
                  absl::StrCat("Received http2 header with status: ", status)),
              "PERMANENT HIGH FAILURE");
  }
  EXPECT_EQ(Row(Code::kUnknown, FromServer(), "413"), "PERMANENT HIGH FAILURE");
}

TEST(ErrorClassTest, UnavailableIsNetworkWhereNoServerAnswered) {
  EXPECT_EQ(Row(Code::kUnavailable, MadeHere(), "whatever"),
            "NETWORK MEDIUM FAILURE retryable");
  EXPECT_EQ(Row(Code::kUnavailable, {}, "recvmsg:Connection reset by peer"),
            "NETWORK MEDIUM FAILURE retryable");
  EXPECT_EQ(Row(Code::kUnavailable, {}, "Socket closed"),
            "NETWORK MEDIUM FAILURE retryable");
  EXPECT_EQ(Row(Code::kUnavailable, {}, "shutting down for maintenance"),
            "TRANSIENT MEDIUM FAILURE retryable");
}

TEST(ErrorClassTest, OnlyAFailureToConnectProvesThatNothingWasSent) {
  const std::string text = "failed to connect to all addresses";
  EXPECT_EQ(Row(Code::kUnavailable, {}, text),
            "NETWORK MEDIUM FAILURE retryable never sent");
  EXPECT_EQ(Row(Code::kUnavailable, MadeHere(), text),
            "NETWORK MEDIUM FAILURE retryable never sent");
  // A proxy passes on what it met further down: it was sent at least to there.
  EXPECT_EQ(Row(Code::kUnavailable, FromServer(), text),
            "TRANSIENT MEDIUM FAILURE retryable");
  EXPECT_FALSE(
      ClassifyError(Code::kUnavailable, "Socket closed", {}).never_sent);
  EXPECT_FALSE(ClassifyError(Code::kInternal, text, {}).never_sent);
}

TEST(ErrorClassTest, RetryInfoGivesTheDelayAndMakesARateLimitRetryable) {
  ErrorOrigin origin = FromServer();
  origin.retry_info = absl::Seconds(3);
  origin.quota_failure = true;
  EXPECT_EQ(Row(Code::kResourceExhausted, origin),
            "RATE_LIMIT MEDIUM FAILURE retryable after 3s");
  EXPECT_EQ(Row(Code::kUnavailable, origin),
            "TRANSIENT MEDIUM FAILURE retryable after 3s");
  EXPECT_FALSE(ClassifyError(Code::kInternal, "", origin).retryable);
}

TEST(ErrorClassTest, ANegativeRetryDelayMeansAtOnce) {
  ErrorOrigin origin = FromServer();
  origin.retry_info = -absl::Seconds(3);
  EXPECT_EQ(ClassifyError(Code::kUnavailable, "", origin).retry_delay,
            absl::ZeroDuration());
}

TEST(ErrorClassTest, BadRequestForbidsARetryWhateverElseIsSaid) {
  ErrorOrigin origin = FromServer();
  origin.bad_request = true;
  origin.retry_info = absl::Seconds(3);
  EXPECT_FALSE(ClassifyError(Code::kUnavailable, "", origin).retryable);
  EXPECT_FALSE(ClassifyError(Code::kResourceExhausted, "", origin).retryable);
}

TEST(ErrorClassTest, AQuotaFailureWithoutRetryInfoForbidsARetry) {
  ErrorOrigin origin = FromServer();
  origin.quota_failure = true;
  EXPECT_FALSE(ClassifyError(Code::kResourceExhausted, "", origin).retryable);
  EXPECT_FALSE(ClassifyError(Code::kUnavailable, "", origin).retryable);
}

TEST(ErrorClassTest, ABreakersRejectionIsNeitherCountedNorWorthARetry) {
  ErrorOrigin origin;
  origin.rejected_by_breaker = true;
  EXPECT_EQ(Row(Code::kUnavailable, origin),
            "TRANSIENT HIGH IGNORED never sent");

  const absl::Status status = RejectionStatus("/p.S/M", Rejection());
  EXPECT_EQ(ClassifyError(status),
            ClassifyError(Code::kUnavailable, "", origin));
}

TEST(ShouldRetryTest, StopsWhenTheRetriesAreUsedUp) {
  const absl::Status status = absl::UnavailableError("down");
  EXPECT_TRUE(ShouldRetry(status, 0, 3));
  EXPECT_TRUE(ShouldRetry(status, 2, 3));
  EXPECT_FALSE(ShouldRetry(status, 3, 3));
  EXPECT_FALSE(ShouldRetry(status, 0, 0));
}

TEST(ShouldRetryTest, StopsAtOnceForWhatARetryCannotHelp) {
  EXPECT_FALSE(ShouldRetry(absl::InvalidArgumentError("x"), 0, 3));
  EXPECT_FALSE(ShouldRetry(absl::OkStatus(), 0, 3));
}

}  // namespace
}  // namespace grpc_breaker
