#ifndef GRPC_BREAKER_TESTS_E2E_FIXTURE_H_
#define GRPC_BREAKER_TESTS_E2E_FIXTURE_H_

// What most end-to-end tests need: a server, a clock that the test moves, and
// options under which calls of every method may be repeated.
//
// Backoffs run on the manual clock; deadlines and attempt time-outs are gRPC's
// own and run on the real one, so tests choose them either far away or as the
// very thing that they wait for.

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "grpc_breaker/breaker_events.h"
#include "grpc_breaker/call_history.h"
#include "grpc_breaker/channel.h"
#include "grpc_breaker/grpc_status.h"
#include "grpc_breaker/policy.h"
#include "grpc_breaker/registry.h"
#include "grpc_breaker/registry/grpc_compat.h"
#include "grpc_breaker/registry/status_details.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"
#include "tests/e2e/test_server.h"
#include "tests/e2e/unary_flavours.h"
#include "tests/e2e/wait.h"

// TEST, TEST_F and TEST_P for what the library does by attempts of its own. A
// build without access to private members cannot make any: it compiles such a
// test and leaves it out, so that a suite may have none. native_test.cc says
// what calls do instead.
#if GRPC_BREAKER_HAS_PRIVATE_ACCESS
#define ATTEMPTS_TEST TEST
#define ATTEMPTS_TEST_F TEST_F
#define ATTEMPTS_TEST_P TEST_P
#else
#define ATTEMPTS_TEST(suite, name) ATTEMPTS_TEST_F(::testing::Test, name)
#define ATTEMPTS_TEST_F(fixture, name)         \
  class name final : public fixture {          \
    [[maybe_unused]] void TestBody() override; \
  };                                           \
  void name::TestBody()
#define ATTEMPTS_TEST_P ATTEMPTS_TEST_F
#endif

namespace grpc_breaker::e2e {

// "UNAVAILABLE;0,OK;1000 SUCCEEDED", or "none".
inline std::string HistoryText(const std::optional<CallHistory>& history) {
  if (!history.has_value()) return "none";
  return absl::StrCat(internal::AttemptsText(*history), " ",
                      ToString(history->stopped));
}

// For channels to servers that come and go: `first` at first, and `longest` as
// it grows.
inline grpc::ChannelArguments ReconnectsAfter(absl::Duration first,
                                              absl::Duration longest) {
  const auto milliseconds = [](absl::Duration duration) {
    return static_cast<int>(absl::ToInt64Milliseconds(duration));
  };
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, milliseconds(first));
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, milliseconds(first));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, milliseconds(longest));
  return arguments;
}
inline grpc::ChannelArguments ReconnectsAfter(absl::Duration always) {
  return ReconnectsAfter(always, always);
}

// That all calls are over: every permit is back, and no timer left.
inline void ExpectAtRest(const Directory& directory,
                         const ManualEnvironment& environment) {
  for (const std::shared_ptr<Registry>& registry : directory.Registries()) {
    for (const Method* method : registry->Methods()) {
      EXPECT_EQ(method->breaker().Snapshot().permits_in_use, 0)
          << method->name();
    }
  }
  EXPECT_EQ(environment.pending_timers(), 0u);
}

// What `function` returns, whatever backoffs it takes; they are brought to
// their end, and added to `backoffs` unless that is null.
template <typename Function>
auto ThroughBackoffs(ManualEnvironment& environment, Function function,
                     std::vector<absl::Duration>* backoffs = nullptr) {
  Slot<decltype(function())> result;
  std::thread thread([&] { result.Put(function()); });
  WaitUntil(
      [&] {
        const absl::Duration before = environment.elapsed();
        if (environment.AdvanceToNextTimer() && backoffs != nullptr) {
          backoffs->push_back(environment.elapsed() - before);
        }
        return result.has_value();
      },
      "a call with backoffs");
  thread.join();
  return result.Take("a call with backoffs");
}

using FactoryList = std::vector<
    std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>>;

class E2eTest : public ::testing::Test {
 protected:
  E2eTest() {
    options_.environment = &env_;
    options_.directory = &directory_;
    Policy& policy = options_.services["/grpc_breaker.e2e.TestService/"];
    policy.idempotency = Idempotency::kRepeatable;
    policy.retry.max_retries = 3;
    policy.retry.base_delay = absl::Seconds(10);
    policy.retry.jitter = Jitter::kNone;
    policy.breaker.window = absl::Hours(1);
    policy.breaker.open_duration = absl::Seconds(60);
  }

  Policy& policy() {
    return options_.services["/grpc_breaker.e2e.TestService/"];
  }

  // Lets unary calls under `policy` go this way, of those that their flavour
  // has.
  static void GoBy(const UnaryWay& way, Policy& policy) {
    // By far too long to matter, but the library has to make all attempts.
    if (way.hijacked) policy.attempt_timeout = absl::Hours(100);
  }

  // With options_ as they are now.
  std::shared_ptr<grpc::Channel> MakeChannel(
      const grpc::ChannelArguments& arguments = grpc::ChannelArguments()) {
    return MakeChannelTo(server_.target(), arguments);
  }
  std::shared_ptr<grpc::Channel> MakeChannelTo(
      const std::string& target,
      const grpc::ChannelArguments& arguments = grpc::ChannelArguments()) {
    auto channel = CreateChannel(target, grpc::InsecureChannelCredentials(),
                                 options_, arguments);
    EXPECT_TRUE(channel.ok()) << channel.status();
    return channel.ok() ? *channel : BareChannel();
  }

  std::shared_ptr<grpc::Channel> BareChannel() {
    return grpc::CreateChannel(server_.target(),
                               grpc::InsecureChannelCredentials());
  }

  // With options_ as they are now, and interceptors around ours.
  std::shared_ptr<grpc::Channel> MakeChannelBetween(
      FactoryList before, FactoryList after,
      grpc::ChannelArguments arguments = grpc::ChannelArguments()) {
    auto ours = MakeInterceptorFactory(options_);
    EXPECT_TRUE(ours.ok()) << ours.status();
    EXPECT_TRUE(DisableConfiguredRetries(&arguments).ok());
    before.push_back(*std::move(ours));
    for (auto& factory : after) before.push_back(std::move(factory));
    return grpc::experimental::CreateCustomChannelWithInterceptors(
        server_.target(), grpc::InsecureChannelCredentials(), arguments,
        std::move(before));
  }

  // Waits until a call is in its backoff, then lets the clock reach its end.
  // How long the backoff was.
  absl::Duration FinishBackoff() {
    WaitUntil([this] { return env_.pending_timers() > 0; }, "a backoff");
    const absl::Duration before = env_.elapsed();
    env_.AdvanceToNextTimer();
    return env_.elapsed() - before;
  }

  // What `function` returns, whatever backoffs it takes; they are brought to
  // their end, and told of in backoffs_.
  template <typename Function>
  auto ThroughBackoffs(Function function) {
    backoffs_.clear();
    return e2e::ThroughBackoffs(env_, std::move(function), &backoffs_);
  }

  BreakerSnapshot Breaker(const std::string& method) {
    for (const std::shared_ptr<Registry>& registry : directory_.Registries()) {
      if (const Method* entry = registry->Find(method)) {
        return entry->breaker().Snapshot(env_.Now());
      }
    }
    return BreakerSnapshot();
  }

  // What the last failed attempt was taken for: "NETWORK MEDIUM FAILURE", with
  // " retryable" and " never sent" as they apply; "" if none failed.
  std::string LastClass(const std::string& method) {
    for (const std::shared_ptr<Registry>& registry : directory_.Registries()) {
      const Method* entry = registry->Find(method);
      if (entry == nullptr || !entry->last_error().has_value()) continue;
      const ErrorClass error = entry->last_error()->error_class;
      return absl::StrCat(
          ToString(error.category), " ", ToString(error.severity), " ",
          ToString(error.outcome), error.retryable ? " retryable" : "",
          error.never_sent ? " never sent" : "");
    }
    return "";
  }

  std::vector<absl::Duration> backoffs_;

  // Destroyed last to first: calls end before the clock that they use.
  ManualEnvironment env_;
  Directory directory_;
  Options options_;
  TestServer server_;
};

}  // namespace grpc_breaker::e2e

#endif  // GRPC_BREAKER_TESTS_E2E_FIXTURE_H_
