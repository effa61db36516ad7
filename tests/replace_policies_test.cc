// Registry::ReplacePolicies: other policies for all methods of a channel that
// is in use.

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpc_breaker/registry.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"
#include "tests/environments.h"

namespace grpc_breaker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ReplacePoliciesTest : public ::testing::Test {
 protected:
  ReplacePoliciesTest() {
    options_.directory = &directory_;
    options_.environment = &environment_;
  }

  std::shared_ptr<Registry> Make() {
    absl::StatusOr<std::shared_ptr<Registry>> registry =
        Registry::Create(options_);
    EXPECT_TRUE(registry.ok()) << registry.status();
    return registry.ok() ? *registry : nullptr;
  }

  // Where all that differs from the defaults is one number.
  static Policies WithFailures(int consecutive_failures) {
    Policies policies;
    policies.default_policy.breaker.consecutive_failures = consecutive_failures;
    return policies;
  }

  void Fail(Method& method) {
    method.breaker()
        .TryAcquire(environment_.Now())
        .Record(Outcome::kFailure, environment_.Now());
  }
  BreakerSnapshot Snapshot(const Method& method) {
    return method.breaker().Snapshot(environment_.Now());
  }

  ManualEnvironment environment_;
  Directory directory_;
  Options options_;
};

TEST_F(ReplacePoliciesTest, MethodsThatWereSeenGetTheNewOnes) {
  auto registry = Make();
  Method& by_default = registry->FindOrCreate("/pkg.T/M");
  Method& by_service = registry->FindOrCreate("/pkg.S/M");
  Method& by_name = registry->FindOrCreate("/pkg.S/N");
  Policies policies;
  policies.default_policy.retry.max_retries = 1;
  policies.services["/pkg.S/"].retry.max_retries = 5;
  policies.services["/pkg.S/"].idempotency = Idempotency::kRepeatable;
  policies.methods["/pkg.S/N"].retry.max_retries = 6;

  ASSERT_TRUE(registry->ReplacePolicies(policies).ok());

  EXPECT_EQ(by_default.policy()->retry.max_retries, 1);
  EXPECT_EQ(by_service.policy()->retry.max_retries, 5);
  EXPECT_TRUE(by_service.repeatable());
  EXPECT_EQ(by_name.policy()->retry.max_retries, 6);
  EXPECT_FALSE(by_name.repeatable());
}

TEST_F(ReplacePoliciesTest, MethodsThatComeLaterGetTheNewOnes) {
  auto registry = Make();
  ASSERT_TRUE(registry->ReplacePolicies(WithFailures(7)).ok());
  const Method& method = registry->FindOrCreate("/pkg.S/M");
  EXPECT_EQ(method.policy()->breaker.consecutive_failures, 7);
  EXPECT_EQ(method.breaker().options().consecutive_failures, 7);
  EXPECT_EQ(
      registry->FindOrCreate("bad").breaker().options().consecutive_failures,
      7);
}

TEST_F(ReplacePoliciesTest, CallUnderWayKeepsThePolicyThatItHas) {
  auto registry = Make();
  const std::shared_ptr<const Policy> held =
      registry->FindOrCreate("/pkg.S/M").policy();
  ASSERT_TRUE(registry->ReplacePolicies(WithFailures(7)).ok());
  registry = nullptr;
  EXPECT_EQ(held->breaker.consecutive_failures, 5);
}

TEST_F(ReplacePoliciesTest, BreakersGoByTheNewOptionsAndKeepTheirCounts) {
  auto registry = Make();
  Method& method = registry->FindOrCreate("/pkg.S/M");
  Fail(method);
  Fail(method);
  ASSERT_TRUE(registry->ReplacePolicies(WithFailures(3)).ok());
  EXPECT_EQ(Snapshot(method).counts.failures, 2);
  Fail(method);
  EXPECT_EQ(Snapshot(method).state, BreakerState::kOpen)
      << "the third in a row";
}

TEST_F(ReplacePoliciesTest, BreakerThatIsHeldByHandStaysSo) {
  auto registry = Make();
  Method& method = registry->FindOrCreate("/pkg.S/M");
  ManualState manual;
  manual.state = BreakerState::kForcedOpen;
  ASSERT_TRUE(method.breaker().SetManualState(manual, environment_.Now()).ok());
  ASSERT_TRUE(registry->ReplacePolicies(WithFailures(7)).ok());
  EXPECT_EQ(Snapshot(method).state, BreakerState::kForcedOpen);
}

TEST_F(ReplacePoliciesTest, PoliciesThatAreNotValidChangeNothing) {
  auto registry = Make();
  Method& method = registry->FindOrCreate("/pkg.S/M");
  Policies policies = WithFailures(7);
  policies.methods["/pkg.S/N"].retry.max_retries = -1;

  EXPECT_EQ(std::string(registry->ReplacePolicies(policies).message()),
            "methods[/pkg.S/N].retry.max_retries: must be from 0 to 100, got "
            "-1");

  EXPECT_EQ(method.policy()->breaker.consecutive_failures, 5);
  EXPECT_EQ(registry->Find("/pkg.S/N"), nullptr);
}

// Hears which methods there are.
class Added : public DirectoryListener {
 public:
  void OnMethodAdded(const Registry&, const Method& method) override {
    names.push_back(method.name());
  }
  std::vector<std::string> names;
};

TEST_F(ReplacePoliciesTest, MethodsThatTheyNameAreThereAtOnce) {
  auto registry = Make();
  registry->FindOrCreate("/pkg.S/M");
  Added added;
  const auto subscription = directory_.Subscribe(added);
  Policies policies;
  policies.methods["/pkg.S/M"];
  policies.methods["/pkg.S/N"];
  ASSERT_TRUE(registry->ReplacePolicies(policies).ok());
  EXPECT_NE(registry->Find("/pkg.S/N"), nullptr);
  EXPECT_THAT(added.names, ElementsAre("/pkg.S/N"));
}

TEST_F(ReplacePoliciesTest, MoreMethodsThanThereIsRoomForChangeNothing) {
  options_.max_methods = 2;
  auto registry = Make();
  Method& a = registry->FindOrCreate("/pkg.S/A");
  Policies policies = WithFailures(7);
  policies.methods["/pkg.S/A"];
  policies.methods["/pkg.S/B"];
  EXPECT_TRUE(registry->ReplacePolicies(policies).ok());

  policies = WithFailures(8);
  policies.methods["/pkg.S/C"];
  policies.services["/grpc.health.v1.Health/"];
  const absl::Status status = registry->ReplacePolicies(policies);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(std::string(status.message()),
            "max_methods: must be at least 3, those called so far and those "
            "named, got 2");
  EXPECT_EQ(a.policy()->breaker.consecutive_failures, 5) << "its own of before";
  EXPECT_EQ(registry->Find("/pkg.S/C"), nullptr);
  EXPECT_TRUE(registry->Exempts("/grpc.health.v1.Health/Check"));
}

class Warned : public BreakerListener {
 public:
  void OnPolicyWarning(const PolicyWarning& warning) override {
    fields.push_back(warning.field);
  }
  std::vector<std::string> fields;
};

TEST_F(ReplacePoliciesTest, ListenersAreToldOfTheirWarnings) {
  auto warned = std::make_shared<Warned>();
  options_.listeners = {warned};
  options_.default_policy.retry.max_retries = 0;
  auto registry = Make();
  EXPECT_THAT(warned->fields, IsEmpty());
  Policies policies;
  policies.default_policy.retry.max_retries = 0;
  policies.methods["/pkg.S/M"];
  ASSERT_TRUE(registry->ReplacePolicies(policies).ok());
  EXPECT_THAT(warned->fields,
              ElementsAre("methods[/pkg.S/M].retry.max_retries"));
}

TEST_F(ReplacePoliciesTest, TheyMayExemptAMethodOrNot) {
  auto registry = Make();
  const std::string health = "/grpc.health.v1.Health/Check";
  EXPECT_TRUE(registry->Exempts(health));
  Policies policies;
  policies.services["/grpc.health.v1.Health/"];
  ASSERT_TRUE(registry->ReplacePolicies(policies).ok());
  EXPECT_FALSE(registry->Exempts(health));
  ASSERT_TRUE(registry->ReplacePolicies(Policies()).ok());
  EXPECT_TRUE(registry->Exempts(health));
}

// Does something whenever a breaker looks at the clock, as when it is made.
class InterruptingEnvironment : public DelegatingEnvironment {
 public:
  MonotonicTime Now() override {
    if (auto interrupt = std::exchange(interrupt_, nullptr)) interrupt();
    return DelegatingEnvironment::Now();
  }
  void InterruptNext(std::function<void()> interrupt) {
    interrupt_ = std::move(interrupt);
  }

 private:
  std::function<void()> interrupt_;
};

TEST_F(ReplacePoliciesTest, MethodThatIsJustBeingMadeGetsTheNewOnesAsWell) {
  InterruptingEnvironment environment;
  options_.environment = &environment;
  auto registry = Make();
  bool replaced = false;
  environment.InterruptNext(
      [&] { replaced = registry->ReplacePolicies(WithFailures(7)).ok(); });
  const Method& method = registry->FindOrCreate("/pkg.S/M");
  EXPECT_TRUE(replaced);
  EXPECT_EQ(method.policy()->breaker.consecutive_failures, 7);
  EXPECT_EQ(method.breaker().options().consecutive_failures, 7);
}

// Whoever comes last wins everywhere: no method is left with what another
// thread has set.
TEST_F(ReplacePoliciesTest, ThreadsThatReplaceAtOnceLeaveAllMethodsWithOne) {
  auto registry = Make();
  std::atomic<bool> done{false};
  std::thread caller([&] {
    for (int i = 0; i < 500; ++i) {
      registry->FindOrCreate(absl::StrCat("/pkg.S/M", i));
    }
    done = true;
  });
  std::vector<std::thread> replacers;
  for (int t = 1; t <= 3; ++t) {
    replacers.emplace_back([&, t] {
      for (int i = 0; !done || i < 20; ++i) {
        EXPECT_TRUE(registry->ReplacePolicies(WithFailures(10 * t)).ok());
      }
    });
  }
  caller.join();
  for (std::thread& replacer : replacers) replacer.join();

  const int last =
      registry->FindOrCreate("bad").policy()->breaker.consecutive_failures;
  ASSERT_EQ(registry->Methods().size(), 501u);
  for (const Method* method : registry->Methods()) {
    EXPECT_EQ(method->policy()->breaker.consecutive_failures, last)
        << method->name();
    EXPECT_EQ(method->breaker().options().consecutive_failures, last)
        << method->name();
  }
}

}  // namespace
}  // namespace grpc_breaker
