#ifndef GRPC_BREAKER_TESTS_CHANNELS_FIXTURE_H_
#define GRPC_BREAKER_TESTS_CHANNELS_FIXTURE_H_

// Channels in a directory of the test's own, whose breakers open at their first
// failure, on the clock of an environment such as ManualEnvironment.

#include <memory>
#include <string>
#include <utility>

#include "grpc_breaker/directory.h"
#include "grpc_breaker/method.h"
#include "grpc_breaker/policy.h"
#include "grpc_breaker/registry.h"
#include "gtest/gtest.h"
#include "tests/fragile_channel.h"

namespace grpc_breaker {

template <typename TestEnvironment>
class ChannelsFixture : public ::testing::Test {
 protected:
  std::shared_ptr<Registry> MakeChannel(const std::string& name,
                                        Options options = {}) {
    options.environment = &environment_;
    return MakeFragileChannel(name, &directory_, std::move(options));
  }

  void Record(Method& method, Outcome outcome) {
    RecordOutcome(method, outcome, environment_);
  }
  void Open(Method& method) { Record(method, Outcome::kFailure); }

  TestEnvironment environment_;
  Directory directory_;
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_TESTS_CHANNELS_FIXTURE_H_
