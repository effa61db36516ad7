#include "grpc_breaker/breaker_options.h"

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

TEST(BreakerOptionsTest, TheDefaultsAreValid) {
  EXPECT_TRUE(BreakerOptions().Validate().ok());
}

struct BadValue {
  std::string message;
  std::function<void(BreakerOptions&)> set;
};

class BadBreakerOptionsTest : public ::testing::TestWithParam<BadValue> {};

TEST_P(BadBreakerOptionsTest, AreNamedWithTheirValue) {
  BreakerOptions options;
  GetParam().set(options);
  const absl::Status status = options.Validate();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), GetParam().message);
}

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

INSTANTIATE_TEST_SUITE_P(
    EachField, BadBreakerOptionsTest,
    ::testing::ValuesIn(std::vector<BadValue>{
        {"breaker.consecutive_failures: must be from 0 to 1000000, got -1",
         [](BreakerOptions& o) { o.consecutive_failures = -1; }},
        {"breaker.last_calls: must be from 0 to 4096, got 4097",
         [](BreakerOptions& o) { o.last_calls = 4097; }},
        {"breaker.last_calls_failures: must be from 1 to 3, got 4",
         [](BreakerOptions& o) {
           o.last_calls = 3;
           o.last_calls_failures = 4;
         }},
        {"breaker.failure_rate: must be from 0 to 1, got 1.5",
         [](BreakerOptions& o) { o.failure_rate = 1.5; }},
        {"breaker.failure_rate: must be from 0 to 1, got nan",
         [](BreakerOptions& o) { o.failure_rate = kNan; }},
        {"breaker.slow_rate: must be from 0 to 1, got -0.1",
         [](BreakerOptions& o) { o.slow_rate = -0.1; }},
        {"breaker.slow_call: must be at least 1ns, got 0",
         [](BreakerOptions& o) { o.slow_call = absl::ZeroDuration(); }},
        {"breaker.window: must be from 100ms to 1h, got 99ms",
         [](BreakerOptions& o) { o.window = absl::Milliseconds(99); }},
        {"breaker.minimum_calls: must be from 1 to 1000000, got 0",
         [](BreakerOptions& o) { o.minimum_calls = 0; }},
        {"breaker.critical_weight: must be from 1 to 1000, got 0",
         [](BreakerOptions& o) { o.critical_weight = 0; }},
        {"breaker.throttle_k: must be 0 or from 1 to 1000, got 0.5",
         [](BreakerOptions& o) { o.throttle_k = 0.5; }},
        {"breaker.max_concurrent_calls: must be from 0 to 1000000, got -1",
         [](BreakerOptions& o) { o.max_concurrent_calls = -1; }},
        {"breaker.open_duration: must be from 1ms to 24h, got -1s",
         [](BreakerOptions& o) { o.open_duration = absl::Seconds(-1); }},
        {"breaker.open_multiplier: must be from 1 to 100, got 0",
         [](BreakerOptions& o) { o.open_multiplier = 0; }},
        {"breaker.max_open_duration: must be from 1ms to 24h, got 25h",
         [](BreakerOptions& o) { o.max_open_duration = absl::Hours(25); }},
        {"breaker.open_jitter: must be from 0 to 1, got 2",
         [](BreakerOptions& o) { o.open_jitter = 2; }},
        {"breaker.half_open_permits: must be from 1 to 1000, got 0",
         [](BreakerOptions& o) { o.half_open_permits = 0; }},
        {"breaker.half_open_successes: must be from 1 to 1000, got 1001",
         [](BreakerOptions& o) { o.half_open_successes = 1001; }},
        {"breaker.half_open_failure_rate: must be from 0 to 1, got 7",
         [](BreakerOptions& o) { o.half_open_failure_rate = 7; }},
        {"breaker.half_open_max_wait: must be at least 1ms, got 0",
         [](BreakerOptions& o) {
           o.half_open_max_wait = absl::ZeroDuration();
         }},
        {"breaker.permit_lease: must be from 1ms to 24h, got inf",
         [](BreakerOptions& o) { o.permit_lease = absl::InfiniteDuration(); }},
        {"breaker.ramp: must be shares greater than 0 and at most 1, got 0",
         [](BreakerOptions& o) {
           o.ramp = {0.5, 0};
         }},
        {"breaker.ramp: must be at most 16 steps, got 17",
         [](BreakerOptions& o) { o.ramp.assign(17, 0.5); }},
        {"breaker.ramp_step: must be from 1ms to 24h, got 0",
         [](BreakerOptions& o) { o.ramp_step = absl::ZeroDuration(); }},
        {"breaker.rejection_event_interval: must be from 1ns to 24h, got 0",
         [](BreakerOptions& o) {
           o.rejection_event_interval = absl::ZeroDuration();
         }},
    }));

}  // namespace
}  // namespace grpc_breaker
