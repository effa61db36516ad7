#include "grpc_breaker/rpc/deadline.h"

#include <chrono>

#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

gpr_timespec Span(int64_t seconds) {
  return gpr_time_from_seconds(seconds, GPR_TIMESPAN);
}

TEST(DeadlineTest, OfAContextWithoutOneIsInfinite) {
  ManualEnvironment environment;
  const Deadline deadline = Deadline::Of(grpc::ClientContext());
  EXPECT_TRUE(deadline.infinite());
  EXPECT_FALSE(deadline.passed());
  EXPECT_EQ(deadline.On(environment), MonotonicTime::max());
}

// A clock that stands still is no matter: what counts is what is left.
TEST(DeadlineTest, OfAnyClockIsTheSameMoment) {
  ManualEnvironment environment;
  for (const gpr_clock_type clock : {GPR_CLOCK_REALTIME, GPR_CLOCK_MONOTONIC}) {
    grpc::ClientContext context;
    context.set_deadline(gpr_time_add(gpr_now(clock), Span(3600)));
    const Deadline deadline = Deadline::Of(context);
    EXPECT_FALSE(deadline.infinite());
    EXPECT_FALSE(deadline.passed());
    const auto left = deadline.On(environment) - environment.Now();
    EXPECT_LE(left, std::chrono::seconds(3600));
    EXPECT_GT(left, std::chrono::seconds(3000));
  }
  grpc::ClientContext context;
  context.set_deadline(Span(3600));
  EXPECT_GT(Deadline::Of(context).On(environment) - environment.Now(),
            std::chrono::seconds(3000));
}

TEST(DeadlineTest, InThePastHasPassed) {
  ManualEnvironment environment;
  for (const gpr_timespec time :
       {gpr_inf_past(GPR_CLOCK_REALTIME), gpr_inf_past(GPR_CLOCK_MONOTONIC),
        gpr_time_sub(gpr_now(GPR_CLOCK_REALTIME), Span(1)), Span(-1),
        gpr_timespec{0, 0, GPR_CLOCK_REALTIME}}) {
    grpc::ClientContext context;
    context.set_deadline(time);
    EXPECT_TRUE(Deadline::Of(context).passed()) << time.tv_sec;
    EXPECT_LT(Deadline::Of(context).On(environment), environment.Now());
  }
}

TEST(DeadlineTest, InThreeHundredYearsDoesNotOverflow) {
  ManualEnvironment environment;
  grpc::ClientContext context;
  context.set_deadline(gpr_timespec{253'402'300'800, 0, GPR_CLOCK_REALTIME});
  const Deadline deadline = Deadline::Of(context);
  EXPECT_FALSE(deadline.passed());
  EXPECT_EQ(deadline.On(environment), MonotonicTime::max());
}

TEST(DeadlineTest, AfterADurationIsThatFarAway) {
  ManualEnvironment environment;
  const auto left =
      Deadline::After(absl::Milliseconds(3600500)).On(environment) -
      environment.Now();
  EXPECT_LE(left, std::chrono::milliseconds(3600500));
  EXPECT_GT(left, std::chrono::seconds(3000));
  EXPECT_TRUE(Deadline::After(absl::ZeroDuration()).passed());
}

}  // namespace
}  // namespace grpc_breaker::internal
