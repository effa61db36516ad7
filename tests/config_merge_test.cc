#include "grpc_breaker/config/config_merge.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "grpc_breaker/config/config_message.h"
#include "grpc_breaker/config/policy_changes.h"
#include "grpc_breaker/config/policy_message.h"
#include "grpc_breaker/config/v1/config.pb.h"
#include "grpc_breaker/policy.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

config::v1::Config Parse(const std::string& text) {
  config::v1::Config message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message))
      << text;
  return message;
}

std::vector<std::string> Texts(const FieldViolations& violations) {
  std::vector<std::string> texts;
  for (const FieldViolation& violation : violations) {
    texts.push_back(absl::StrCat(violation.field, ": ", violation.description));
  }
  return texts;
}

std::vector<std::string> MergeText(const std::string& text,
                                   Policies* policies) {
  const NamedFunctions functions;
  return Texts(Merge(Parse(text), &functions, policies));
}

TEST(ConfigMergeTest, AnEmptyConfigChangesNothing) {
  Policies policies;
  policies.default_policy.retry.max_retries = 7;
  policies.methods["/pkg.S/M"].retry.max_retries = 8;
  EXPECT_THAT(MergeText("", &policies), IsEmpty());
  EXPECT_EQ(policies.default_policy.retry.max_retries, 7);
  EXPECT_EQ(policies.PolicyFor("/pkg.S/M").retry.max_retries, 8);
  EXPECT_THAT(policies.services, IsEmpty());
}

TEST(ConfigMergeTest, TheMostSpecificPolicyThatSetsAFieldWins) {
  Policies policies;
  EXPECT_THAT(MergeText(R"(
    default_policy { retry { max_retries: 1 }
                     breaker { minimum_calls: 10 half_open_permits: 5 } }
    services { key: "/pkg.S/" value { breaker { minimum_calls: 20 }
                                      hedging { max_hedges: 1 } } }
    methods { key: "/pkg.S/M" value { hedging { max_hedges: 2 } } }
    methods { key: "/pkg.T/M" value { hedging { max_hedges: 3 } } })",
                        &policies),
              IsEmpty());
  const Policy& of_method = policies.PolicyFor("/pkg.S/M");
  EXPECT_EQ(of_method.retry.max_retries, 1);
  EXPECT_EQ(of_method.breaker.half_open_permits, 5);
  EXPECT_EQ(of_method.breaker.minimum_calls, 20);
  EXPECT_EQ(of_method.hedging.max_hedges, 2);
  const Policy& of_service = policies.PolicyFor("/pkg.S/Other");
  EXPECT_EQ(of_service.retry.max_retries, 1);
  EXPECT_EQ(of_service.breaker.minimum_calls, 20);
  EXPECT_EQ(of_service.hedging.max_hedges, 1);
  const Policy& without_service = policies.PolicyFor("/pkg.T/M");
  EXPECT_EQ(without_service.breaker.minimum_calls, 10);
  EXPECT_EQ(without_service.hedging.max_hedges, 3);
}

TEST(ConfigMergeTest, AFieldThatNoPolicySetsIsAsTheApplicationHasIt) {
  Policies policies;
  policies.default_policy.timeout = absl::Seconds(1);
  policies.services["/pkg.S/"].timeout = absl::Seconds(2);
  policies.methods["/pkg.S/M"].timeout = absl::Seconds(3);
  EXPECT_THAT(MergeText(R"(
    methods { key: "/pkg.S/M" value { retry { max_retries: 1 } } }
    methods { key: "/pkg.S/N" value { retry { max_retries: 1 } } }
    methods { key: "/pkg.T/M" value { retry { max_retries: 1 } } })",
                        &policies),
              IsEmpty());
  EXPECT_EQ(policies.PolicyFor("/pkg.S/M").timeout, absl::Seconds(3));
  EXPECT_EQ(policies.PolicyFor("/pkg.S/N").timeout, absl::Seconds(2));
  EXPECT_EQ(policies.PolicyFor("/pkg.T/M").timeout, absl::Seconds(1));
}

TEST(ConfigMergeTest, WhatIsSetByDefaultHoldsForPoliciesOfTheApplication) {
  Policies policies;
  policies.services["/pkg.S/"].retry.max_retries = 7;
  policies.methods["/pkg.S/M"].retry.max_retries = 8;
  policies.methods["/pkg.S/M"].timeout = absl::Seconds(3);
  EXPECT_THAT(MergeText(R"(
    default_policy { retry { max_retries: 1 } }
    services { key: "/pkg.S/" value { breaker { minimum_calls: 2 } } })",
                        &policies),
              IsEmpty());
  EXPECT_EQ(policies.PolicyFor("/pkg.S/X").retry.max_retries, 1);
  EXPECT_EQ(policies.PolicyFor("/pkg.S/M").retry.max_retries, 1);
  EXPECT_EQ(policies.PolicyFor("/pkg.S/M").breaker.minimum_calls, 2);
  EXPECT_EQ(policies.PolicyFor("/pkg.S/M").timeout, absl::Seconds(3));
}

TEST(ConfigMergeTest, ComplainsOfNamesThatAreNone) {
  Policies policies;
  EXPECT_THAT(MergeText(R"(services { key: "pkg.S" value {} }
                           methods { key: "/pkg.S/" value {} })",
                        &policies),
              ElementsAre("services[pkg.S]: must have the form "
                          "/package.Service/",
                          "methods[/pkg.S/]: must have the form "
                          "/package.Service/Method"));
}

TEST(ConfigMergeTest, ComplainsOfMethodsThatALinkedServiceLacks) {
  // Links it in.
  static_cast<void>(admin::v1::GetBreakerRequest::default_instance());
  const std::string text = R"(
    methods { key: "/grpc_breaker.admin.v1.CircuitBreakerAdmin/GetBreker"
              value {} }
    methods { key: "/not.linked.Service/GetBreker" value {} })";
  Policies policies;
  EXPECT_THAT(
      MergeText(text, &policies),
      ElementsAre("methods[/grpc_breaker.admin.v1.CircuitBreakerAdmin/"
                  "GetBreker]: must be a method that "
                  "grpc_breaker.admin.v1.CircuitBreakerAdmin has; the nearest "
                  "is GetBreaker"));
  Policies lenient;
  EXPECT_THAT(MergeText(text + "strict_methods: false", &lenient), IsEmpty());
}

TEST(ConfigMergeTest, TellsWhatIsWrongOnceHoweverManyInheritIt) {
  Policies policies;
  policies.methods["/pkg.S/M"];
  EXPECT_THAT(
      MergeText(R"(
        default_policy { retry { max_retries: -1 } fallback { name: "x" } }
        services { key: "/pkg.S/" value { retry { max_retries: -2 } } }
        methods { key: "/pkg.S/N" value {} })",
                &policies),
      ElementsAre("default_policy.fallback.name: must be a fallback of the "
                  "application, got \"x\"",
                  "default_policy.retry.max_retries: must be from 0 to 100, "
                  "got -1",
                  "services[/pkg.S/].retry.max_retries: must be from 0 to 100, "
                  "got -2"));
}

TEST(ConfigMergeTest, SaysInWhichPolicyAValueIsWrong) {
  Policies policies;
  policies.methods["/pkg.S/M"].retry.max_delay = absl::Seconds(2);
  EXPECT_THAT(
      MergeText("default_policy { retry { base_delay { seconds: 3 } } }",
                &policies),
      ElementsAre("default_policy.retry.max_delay: must be at least "
                  "retry.base_delay (3s), got 2s, in the policy of /pkg.S/M"));
}

TEST(ConfigMergeTest, SaysWhetherMethodsMustBeThere) {
  Policies policies;
  policies.strict_methods = false;
  EXPECT_THAT(MergeText("", &policies), IsEmpty());
  EXPECT_FALSE(policies.strict_methods);
  EXPECT_THAT(MergeText("strict_methods: true", &policies), IsEmpty());
  EXPECT_TRUE(policies.strict_methods);
}

// Each field of the message changes the options.
TEST(ConfigMergeTest, TakesTheOptionsOfTheChannel) {
  Options options;
  EXPECT_THAT(
      Texts(MergeChannelOptions(Parse("max_methods: 5 "
                                      "probe_when_connected: false "
                                      "adopt_service_config: true "
                                      "retry_budget { max_tokens: 10 }"),
                                &options)),
      IsEmpty());
  EXPECT_EQ(options.max_methods, 5);
  EXPECT_FALSE(options.probe_when_connected);
  EXPECT_TRUE(options.adopt_service_config);
  EXPECT_EQ(options.retry_budget.max_tokens, 10);
  EXPECT_EQ(options.retry_budget.token_ratio, 0.1);

  EXPECT_THAT(Texts(MergeChannelOptions({}, &options)), IsEmpty());
  EXPECT_EQ(options.max_methods, 5);
  EXPECT_FALSE(options.probe_when_connected);
  EXPECT_TRUE(options.adopt_service_config);
  EXPECT_EQ(options.retry_budget.max_tokens, 10);
}

// Policies as an application may have them.
Policies SomePolicies() {
  Policies policies;
  policies.strict_methods = true;
  policies.default_policy.retry.max_retries = 7;
  policies.default_policy.timeout = absl::Seconds(5);
  policies.default_policy.fallback = Fallback::Fixed({});
  policies.default_policy.classification[grpc::StatusCode::ABORTED].retryable =
      true;
  Policy of_service;  // Without the timeout, fallback and override.
  of_service.breaker.ramp = {0.5};
  policies.services["/pkg.S/"] = of_service;
  policies.services["/pkg.T/"] = policies.default_policy;
  policies.methods["/pkg.S/M"].hedging.max_hedges = 1;
  policies.methods["/pkg.S/N"] = of_service;
  policies.methods["/pkg.U/M"].timeout = absl::Seconds(1);
  return policies;
}

std::string TextOf(const config::v1::Config& message) {
  std::string text;
  EXPECT_TRUE(google::protobuf::TextFormat::PrintToString(message, &text));
  return text;
}

TEST(ConfigMessageTest, MakesTheSamePoliciesOfNone) {
  const Policies expected = SomePolicies();
  Policies policies;
  EXPECT_THAT(Texts(Merge(ToMessage(expected), nullptr, &policies)), IsEmpty());
  EXPECT_EQ(TextOf(ToMessage(policies)), TextOf(ToMessage(expected)));
  for (const std::string name : {"/pkg.S/M", "/pkg.S/N", "/pkg.S/Other",
                                 "/pkg.T/M", "/pkg.U/M", "/pkg.U/Other"}) {
    EXPECT_EQ(ToMessage(policies.PolicyFor(name)).DebugString(),
              ToMessage(expected.PolicyFor(name)).DebugString())
        << name;
  }
  EXPECT_TRUE(policies.strict_methods);
}

TEST(ConfigMessageTest, SaysOfOtherPoliciesWhatDiffersAlone) {
  const config::v1::Config message = ToMessage(SomePolicies());
  EXPECT_TRUE(message.default_policy().retry().has_base_delay());
  EXPECT_EQ(message.services().at("/pkg.T/").ByteSizeLong(), 0u);
  EXPECT_EQ(message.methods().at("/pkg.S/N").ByteSizeLong(), 0u);
  EXPECT_FALSE(message.methods().at("/pkg.S/M").has_retry());
}

// "field: from -> to" of each.
std::vector<std::string> ChangeTexts(const Policies& from, const Policies& to) {
  std::vector<std::string> texts;
  for (const FieldChange& change : Changes(from, to)) {
    texts.push_back(
        absl::StrCat(change.field, ": ", change.from, " -> ", change.to));
  }
  return texts;
}

TEST(PolicyChangesTest, AreNoneWhereNothingHasChanged) {
  EXPECT_THAT(ChangeTexts(SomePolicies(), SomePolicies()), IsEmpty());
}

TEST(PolicyChangesTest, AreToldByFieldAsAFileHasThem) {
  Policies from;
  from.default_policy.fallback = Fallback::Fixed({});
  from.default_policy.classification[grpc::StatusCode::ABORTED].retryable =
      true;
  Policies to;
  to.default_policy.timeout = absl::Milliseconds(1500);
  to.default_policy.retry.jitter = Jitter::kNone;
  to.default_policy.breaker.ramp = {0.5, 0.25};
  EXPECT_THAT(
      ChangeTexts(from, to),
      ElementsAre("default_policy.retry.jitter: PLUS_MINUS_HALF -> NONE",
                  "default_policy.breaker.ramp: unset -> [0.5, 0.25]",
                  "default_policy.classification: [{code: ABORTED, retryable: "
                  "true}] -> unset",
                  "default_policy.timeout: unset -> 1.5s",
                  "default_policy.fallback: {on_exhaustion: true, "
                  "on_not_retryable: true, on_rejection: true} -> unset"));
}

TEST(PolicyChangesTest, AreThoseOfWhatAMethodGetsWhereverItHasItFrom) {
  Policies from;
  from.services["/pkg.S/"].retry.max_retries = 1;
  from.methods["/pkg.T/M"].retry.max_retries = 2;
  Policies to;
  to.default_policy.retry.max_retries = 3;
  to.services["/pkg.S/"].retry.max_retries = 1;
  to.methods["/pkg.S/M"].retry.max_retries = 4;
  from.default_policy.retry.max_retries = 3;
  EXPECT_THAT(ChangeTexts(from, to),
              ElementsAre("methods[/pkg.S/M].retry.max_retries: 1 -> 4",
                          "methods[/pkg.T/M].retry.max_retries: 2 -> 3"));
}

TEST(ConfigMergeTest, ComplainsOfOptionsOfTheChannelThatAreWrong) {
  Options options;
  EXPECT_THAT(
      Texts(MergeChannelOptions(
          Parse("max_methods: 0 retry_budget { ratio: 2 window { nanos: 1 } }"),
          &options)),
      ElementsAre("retry_budget.ratio: must be from 0 to 1, got 2",
                  "retry_budget.window: must be from 100ms to 1h, got 1ns",
                  "max_methods: must be in [1, 1000000], got 0"));
}

}  // namespace
}  // namespace grpc_breaker::internal
