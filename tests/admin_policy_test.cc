// UpdatePolicy of the admin service, and what a registry makes of it.

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "grpc_breaker/admin_service.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/admin_fixture.h"

namespace grpc_breaker {
namespace {

using admin::v1::UpdatePolicyRequest;
using admin::v1::UpdatePolicyResponse;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

class AdminPolicyTest : public AdminFixture {
 protected:
  AdminPolicyTest() {
    AdminServiceOptions options;
    options.environment = &environment_;
    options.authorizer = [this](const AdminRequest& /*request*/) {
      return allowed_ ? AdminDecision::Allow("alice")
                      : AdminDecision::Deny("ask ops");
    };
    options.listeners.push_back(auditor_);
    Serve(std::move(options));
  }

  // In text format.
  static UpdatePolicyRequest Parse(const std::string& text) {
    UpdatePolicyRequest request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request))
        << text;
    return request;
  }

  grpc::Status Update(const std::string& request,
                      UpdatePolicyResponse* response = nullptr) {
    grpc::ClientContext context;
    GiveUpLater(&context);
    UpdatePolicyResponse unread;
    return stub_->UpdatePolicy(&context, Parse(request),
                               response != nullptr ? response : &unread);
  }

  // What is wrong with it; the code is INVALID_ARGUMENT.
  std::string Complaint(const std::string& request) {
    const grpc::Status status = Update(request);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT)
        << status.error_message();
    EXPECT_THAT(status.error_details(), HasSubstr("google.rpc.BadRequest"));
    return status.error_message();
  }

  // "field: from -> to" of each change of each method.
  static std::vector<std::string> Changes(
      const UpdatePolicyResponse& response) {
    std::vector<std::string> texts;
    for (const auto& policy : response.policies()) {
      for (const auto& change : policy.changes()) {
        texts.push_back(absl::StrCat(policy.method(), " ", change.field(), ": ",
                                     change.from(), " -> ", change.to()));
      }
    }
    return texts;
  }

  static int Retries(Registry& registry, const std::string& method) {
    return registry.FindOrCreate(method).policy()->retry.max_retries;
  }

  std::atomic<bool> allowed_{true};  // Read by the server.
  const std::shared_ptr<Auditor> auditor_ = std::make_shared<Auditor>();
};

TEST_F(AdminPolicyTest, WhatIsSetIsChangedAndNothingElse) {
  Options options;
  options.default_policy.timeout = absl::Seconds(3);
  const auto channel = MakeChannel("a", options);
  channel->FindOrCreate("/p.S/M");
  channel->FindOrCreate("/p.S/N");
  UpdatePolicyResponse response;
  const grpc::Status status = Update(
      R"(target { method: "/p.S/M" }
         policy { retry { max_retries: 7 } breaker { minimum_calls: 5 } }
         reason: "too many")",
      &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.count(), 1);
  EXPECT_THAT(Changes(response),
              ElementsAre("/p.S/M retry.max_retries: 3 -> 7",
                          "/p.S/M breaker.minimum_calls: 20 -> 5"));
  EXPECT_EQ(response.policies(0).channel(), "a");
  EXPECT_EQ(Retries(*channel, "/p.S/M"), 7);
  EXPECT_EQ(channel->FindOrCreate("/p.S/M").policy()->timeout,
            absl::Seconds(3));
  EXPECT_EQ(channel->FindOrCreate("/p.S/M").breaker().options().minimum_calls,
            5);
  EXPECT_EQ(Retries(*channel, "/p.S/N"), 3);
  EXPECT_EQ(channel->policies()->PolicyFor("/p.S/M").retry.max_retries, 7);
}

TEST_F(AdminPolicyTest, AMaskSaysWhichFieldsAreChanged) {
  Options options;
  options.default_policy.timeout = absl::Seconds(3);
  options.default_policy.retry.max_retries = 9;
  options.default_policy.retry.jitter = Jitter::kNone;
  const auto channel = MakeChannel("a", options);
  channel->FindOrCreate("/p.S/M");
  UpdatePolicyResponse response;
  const grpc::Status status = Update(
      R"(target { method: "/p.S/M" }
         policy { retry { max_retries: 7 } breaker { minimum_calls: 5 } }
         update_mask { paths: "retry" paths: "timeout" })",
      &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  // What is in the mask and not set is as the library has it by default.
  EXPECT_THAT(Changes(response),
              ElementsAre("/p.S/M retry.max_retries: 9 -> 7",
                          "/p.S/M retry.jitter: NONE -> PLUS_MINUS_HALF",
                          "/p.S/M timeout: 3s -> unset"));
}

TEST_F(AdminPolicyTest, ADryRunTellsWhatWouldBeAndChangesNothing) {
  const auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/p.S/M");
  Policies policies;
  policies.default_policy.breaker.consecutive_failures = 0;
  policies.default_policy.breaker.failure_rate = 0.9;
  policies.default_policy.breaker.minimum_calls = 4;
  ASSERT_TRUE(channel->ReplacePolicies(policies).ok());
  for (const Outcome outcome : {Outcome::kFailure, Outcome::kFailure,
                                Outcome::kSuccess, Outcome::kSuccess}) {
    Record(method, outcome);
  }
  const std::string target = R"(target { method: "/p.S/M" } dry_run: true )";
  UpdatePolicyResponse response;
  ASSERT_TRUE(
      Update(target + "policy { breaker { failure_rate: 0.5 } }", &response)
          .ok());
  EXPECT_EQ(response.count(), 1);
  EXPECT_THAT(Changes(response),
              ElementsAre("/p.S/M breaker.failure_rate: 0.9 -> 0.5"));
  EXPECT_EQ(response.policies(0).would_have_opened(), "FAILURE_RATE");
  ASSERT_TRUE(
      Update(target + "policy { breaker { failure_rate: 0.6 } }", &response)
          .ok());
  EXPECT_EQ(response.policies(0).would_have_opened(), "");
  ASSERT_TRUE(
      Update(target + "policy { breaker { failure_rate: 0.5 enabled: false } }",
             &response)
          .ok());
  EXPECT_EQ(response.policies(0).would_have_opened(), "");
  EXPECT_EQ(method.policy()->breaker.failure_rate, 0.9);
  EXPECT_EQ(channel->policy_updates("/p.S/M"), 0u);
  EXPECT_THAT(auditor_->audits(), IsEmpty());
}

// Though another window begins empty.
TEST_F(AdminPolicyTest, AnUpdateAnswersWhatItsDryRunDid) {
  const auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/p.S/M");
  Policies policies;
  policies.default_policy.breaker.consecutive_failures = 10;
  ASSERT_TRUE(channel->ReplacePolicies(policies).ok());
  for (int i = 0; i < 3; ++i) Record(method, Outcome::kFailure);
  const std::string request = R"(target { method: "/p.S/M" } policy {
      breaker { failure_rate: 0.5 minimum_calls: 3 window { seconds: 30 } } })";
  UpdatePolicyResponse asked;
  ASSERT_TRUE(Update(request + "dry_run: true", &asked).ok());
  EXPECT_EQ(asked.policies(0).would_have_opened(), "FAILURE_RATE");
  UpdatePolicyResponse done;
  ASSERT_TRUE(Update(request, &done).ok());
  EXPECT_EQ(done.DebugString(), asked.DebugString());
}

TEST_F(AdminPolicyTest, AnUpdateIsInTheHistoryOfItsBreakerAndSoIsItsEnd) {
  const auto channel = MakeChannel("a");
  const Method& method = channel->FindOrCreate("/p.S/M");
  channel->FindOrCreate("/p.S/N");
  ASSERT_TRUE(Update(R"(target { method: "/p.S/M" } ttl { seconds: 9 }
                        policy { retry { max_retries: 7 } } dry_run: true)")
                  .ok());
  ASSERT_TRUE(Update(R"(target { method: "/p.S/M" } ttl { seconds: 9 }
                        policy { retry { max_retries: 7 } } reason: "calm")")
                  .ok());
  environment_.Advance(absl::Seconds(9));
  const std::vector<BreakerTransition> history = method.breaker().History();
  ASSERT_EQ(history.size(), 2u);
  EXPECT_EQ(history[0].cause, "policy updated by alice: calm");
  EXPECT_EQ(history[0].from, BreakerState::kClosed);
  EXPECT_EQ(history[0].to, BreakerState::kClosed);
  EXPECT_EQ(history[1].cause, "policy update expired");
  EXPECT_EQ(history[1].at - history[0].at, std::chrono::seconds(9));
  EXPECT_THAT(channel->FindOrCreate("/p.S/N").breaker().History(), IsEmpty());
}

TEST_F(AdminPolicyTest, ADryRunCountsFailuresInARow) {
  Options options;
  const auto channel = MakeChannel("a", options);
  Method& method = channel->FindOrCreate("/p.S/M");
  Policies policies;
  policies.default_policy.breaker.consecutive_failures = 10;
  ASSERT_TRUE(channel->ReplacePolicies(policies).ok());
  for (int i = 0; i < 3; ++i) Record(method, Outcome::kFailure);
  UpdatePolicyResponse response;
  ASSERT_TRUE(Update(R"(target { method: "/p.S/M" } dry_run: true
                        policy { breaker { consecutive_failures: 3 } })",
                     &response)
                  .ok());
  EXPECT_EQ(response.policies(0).would_have_opened(), "CONSECUTIVE_FAILURES");
}

TEST_F(AdminPolicyTest, UpdatesAddUpAndEndWhenTheirTimeIsOver) {
  const auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/p.S/M");
  ASSERT_TRUE(Update(R"(target { method: "/p.S/M" } ttl { seconds: 60 }
                        policy { retry { max_retries: 7 } })")
                  .ok());
  ASSERT_TRUE(Update(R"(target { method: "/p.S/M" } ttl { seconds: 30 }
                        policy { timeout { seconds: 2 } })")
                  .ok());
  EXPECT_EQ(method.policy()->retry.max_retries, 7);
  EXPECT_EQ(method.policy()->timeout, absl::Seconds(2));
  EXPECT_EQ(channel->policy_updates("/p.S/M"), 2u);
  environment_.Advance(absl::Seconds(30));
  EXPECT_EQ(method.policy()->retry.max_retries, 7);
  EXPECT_FALSE(method.policy()->timeout.has_value());
  environment_.Advance(absl::Seconds(30));
  EXPECT_EQ(method.policy()->retry.max_retries, 3);
  EXPECT_EQ(channel->policy_updates("/p.S/M"), 0u);
}

TEST_F(AdminPolicyTest, UpdatesStayWhenOtherPoliciesCome) {
  const auto channel = MakeChannel("a");
  ASSERT_TRUE(
      Update(R"(target { method_prefix: "/" } policy {})").error_code() ==
      grpc::StatusCode::INVALID_ARGUMENT);
  Method& method = channel->FindOrCreate("/p.S/M");
  ASSERT_TRUE(Update(R"(target { method: "/p.S/M" }
                        policy { retry { max_retries: 7 } })")
                  .ok());
  Policies policies;
  policies.services["/p.S/"].timeout = absl::Seconds(4);
  ASSERT_TRUE(channel->ReplacePolicies(policies).ok());
  EXPECT_EQ(method.policy()->retry.max_retries, 7);
  EXPECT_EQ(method.policy()->timeout, absl::Seconds(4));
  // Neither is any policy put into force that would not be valid with them.
  ASSERT_TRUE(Update(R"(target { method: "/p.S/M" }
                        policy { retry { max_delay { seconds: 5 } } })")
                  .ok());
  policies.services["/p.S/"].retry.base_delay = absl::Seconds(6);
  const absl::Status status = channel->ReplacePolicies(policies);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("max_delay"));
  EXPECT_EQ(method.policy()->retry.max_retries, 7);
}

// As policies that name a method do which nobody says may be repeated.
TEST_F(AdminPolicyTest, AnUpdateIsNoPolicyToWarnOf) {
  class Warned : public BreakerListener {
   public:
    void OnPolicyWarning(const PolicyWarning& warning) override {
      // Without private members of gRPC one comes of the policy by default.
      EXPECT_THAT(warning.field, StartsWith("default_policy."));
    }
  };
  Options options;
  options.listeners.push_back(std::make_shared<Warned>());
  const auto channel = MakeChannel("a", options);
  channel->FindOrCreate("/p.S/M");
  EXPECT_TRUE(Update(R"(target { method: "/p.S/M" } ttl { seconds: 1 }
                        policy { timeout { seconds: 2 } })")
                  .ok());
  environment_.Advance(absl::Seconds(1));
  EXPECT_EQ(channel->policy_updates("/p.S/M"), 0u);
}

TEST_F(AdminPolicyTest, UpdatesAreTakenBack) {
  const auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/p.S/M");
  const std::string target = R"(target { method: "/p.S/M" } )";
  ASSERT_TRUE(
      Update(target + "policy { retry { max_retries: 7 } } ttl { seconds: 9 }")
          .ok());
  UpdatePolicyResponse response;
  ASSERT_TRUE(Update(target + "revert: true dry_run: true", &response).ok());
  EXPECT_THAT(Changes(response),
              ElementsAre("/p.S/M retry.max_retries: 7 -> 3"));
  EXPECT_EQ(method.policy()->retry.max_retries, 7);
  ASSERT_TRUE(
      Update(target + "revert: true policy { timeout { seconds: 2 } }").ok());
  EXPECT_EQ(method.policy()->retry.max_retries, 3);
  EXPECT_EQ(method.policy()->timeout, absl::Seconds(2));
  EXPECT_EQ(environment_.pending_timers(), 0);
  ASSERT_TRUE(Update(target + "revert: true").ok());
  EXPECT_FALSE(method.policy()->timeout.has_value());
  EXPECT_EQ(channel->policy_updates("/p.S/M"), 0u);
}

// The second is valid over the first alone.
TEST_F(AdminPolicyTest, AnUpdateEndsWithTheOneThatItNeeds) {
  const auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/p.S/M");
  ASSERT_TRUE(Update(R"(target { method: "/p.S/M" } ttl { seconds: 9 }
                        policy { retry { max_delay { seconds: 500 } } })")
                  .ok());
  ASSERT_TRUE(Update(R"(target { method: "/p.S/M" }
                        policy { retry { base_delay { seconds: 400 } } })")
                  .ok());
  environment_.Advance(absl::Seconds(9));
  EXPECT_EQ(method.policy()->retry.base_delay, RetryOptions().base_delay);
  EXPECT_EQ(channel->policy_updates("/p.S/M"), 0u);
}

TEST_F(AdminPolicyTest, AnUpdateThatEndsTakesOnlyThoseWithItThatNeedIt) {
  const auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/p.S/M");
  const std::string target = R"(target { method: "/p.S/M" } )";
  ASSERT_TRUE(Update(target + R"(policy { timeout { seconds: 1 } })").ok());
  ASSERT_TRUE(Update(target + R"(ttl { seconds: 9 }
                        policy { retry { max_delay { seconds: 500 } } })")
                  .ok());
  ASSERT_TRUE(Update(target + R"(ttl { seconds: 20 } policy {
                        retry { base_delay { seconds: 400 } } })")
                  .ok());
  ASSERT_TRUE(Update(target + R"(policy { retry { max_retries: 7 } })").ok());
  environment_.Advance(absl::Seconds(9));
  EXPECT_EQ(method.policy()->retry.base_delay, RetryOptions().base_delay);
  EXPECT_EQ(method.policy()->retry.max_retries, 7);
  EXPECT_EQ(method.policy()->timeout, absl::Seconds(1));
  EXPECT_EQ(channel->policy_updates("/p.S/M"), 2u);
  EXPECT_EQ(environment_.pending_timers(), 0);
  EXPECT_EQ(method.breaker().History().back().cause,
            "policy update expired, with 1 that needed it");
}

TEST_F(AdminPolicyTest, AMethodHasAHundredUpdatesAtMost) {
  const auto channel = MakeChannel("a");
  channel->FindOrCreate("/p.S/M");
  const std::string request =
      R"(target { method: "/p.S/M" } policy { retry { max_retries: 7 } })";
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(Update(request).ok());
  EXPECT_EQ(Update(request).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(channel->policy_updates("/p.S/M"), 100u);
  EXPECT_TRUE(Update(request + " revert: true").ok());
}

TEST_F(AdminPolicyTest, AllMethodsAreChangedOrNone) {
  Options options;
  options.methods["/p.S/A"].fallback = Fallback::Fixed({});
  options.methods["/p.S/B"].retry.max_retries = 3;
  const auto channel = MakeChannel("a", options);
  // There is no fallback of B's to say so of.
  const grpc::Status status = Update(
      R"(target { method_prefix: "/p.S/" }
         policy { fallback { on_rejection: false } retry { max_retries: 7 } })");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(),
            "policy.fallback: must have a name, there is none to inherit, for "
            "/p.S/B of a");
  EXPECT_EQ(Retries(*channel, "/p.S/A"), 3);
  EXPECT_TRUE(channel->FindOrCreate("/p.S/A").policy()->fallback.on_rejection);
  ASSERT_TRUE(Update(R"(target { method_prefix: "/p.S/" }
                        policy { retry { max_retries: 7 } })")
                  .ok());
  EXPECT_EQ(Retries(*channel, "/p.S/A"), 7);
  EXPECT_EQ(Retries(*channel, "/p.S/B"), 7);
}

TEST_F(AdminPolicyTest, AWrongRequestIsToldByItsFields) {
  const auto channel = MakeChannel("a");
  channel->FindOrCreate("/p.S/M");
  const std::string target = R"(target { method: "/p.S/M" } )";
  EXPECT_THAT(Complaint(target + "policy { retry { max_retries: 101 } }"),
              HasSubstr("policy.retry.max_retries: must be from 0 to 100"));
  EXPECT_THAT(Complaint(target + R"(policy { fallback { name: "x" } })"),
              HasSubstr("policy.fallback.name: must not be set"));
  EXPECT_THAT(Complaint(target + R"(policy { on_attempt: "x" })"),
              HasSubstr("policy.on_attempt: must not be set"));
  EXPECT_THAT(Complaint(target + R"(policy { reset: "retry.max_retrys" })"),
              HasSubstr("policy.reset[0]: "));
  EXPECT_THAT(
      Complaint(target + R"(update_mask { paths: "retry.max_retrys" })"),
      HasSubstr("update_mask.paths[0]: "));
  EXPECT_THAT(Complaint(target), HasSubstr("policy: must be set"));
  EXPECT_THAT(Complaint(target + "revert: true ttl { seconds: -1 }"),
              HasSubstr("ttl: "));
  EXPECT_THAT(Complaint("revert: true"), HasSubstr("target"));
  EXPECT_EQ(channel->policy_updates("/p.S/M"), 0u);
}

// Else it would not fit into the metadata that tell it.
TEST_F(AdminPolicyTest, AHugeWrongRequestIsToldByItsBeginning) {
  const auto channel = MakeChannel("a");
  channel->FindOrCreate("/p.S/M");
  const std::string target = R"(target { method: "/p.S/M" } )";
  const std::string path(100'000, 'x');
  EXPECT_THAT(Complaint(target + "update_mask { paths: \"" + path + "\" }"),
              StartsWith("update_mask.paths[0]: must be a field, got \"xxx"));
  EXPECT_THAT(
      Complaint(target + "update_mask { paths: \"retry." + path + "\" }"),
      StartsWith("update_mask.paths[0]: must be a field, got \"xxx"));
  EXPECT_THAT(
      Complaint(target + "update_mask { paths: \"timeout." + path + "\" }"),
      StartsWith("update_mask.paths[0]: must be a field, got \"timeout.xxx"));
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "reset: \"y\" ";
  const std::string complaint = Complaint(target + "policy { " + many + "}");
  EXPECT_THAT(complaint, StartsWith("policy.reset[0]: must be a field"));
  EXPECT_THAT(complaint, MatchesRegex(".*; and 9[0-9][0-9] more"));
}

TEST_F(AdminPolicyTest, OtherMethodsHaveThePolicyThatTheyHave) {
  const auto channel = MakeChannel("a");
  channel->FindOrCreate("malformed");
  const grpc::Status status = Update(
      R"(target { method: "_other" } policy { retry { max_retries: 7 } })");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(), HasSubstr("_other"));
}

TEST_F(AdminPolicyTest, AnUpdateIsAuditedAndRefusedToThoseWhoMayNot) {
  const auto channel = MakeChannel("a");
  channel->FindOrCreate("/p.S/M");
  const std::string request =
      R"(target { method: "/p.S/M" } policy { retry { max_retries: 7 } }
         reason: "calm down")";
  ASSERT_TRUE(Update(request).ok());
  allowed_ = false;
  EXPECT_EQ(Update(request).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(channel->policy_updates("/p.S/M"), 1u);
  ASSERT_EQ(auditor_->audits().size(), 2u);
  EXPECT_EQ(auditor_->audits()[0].rpc, "UpdatePolicy");
  EXPECT_EQ(auditor_->audits()[0].actor, "alice");
  EXPECT_EQ(auditor_->audits()[0].reason, "calm down");
  EXPECT_EQ(auditor_->audits()[0].changed, 1);
  EXPECT_THAT(auditor_->audits()[0].policy_changes,
              ElementsAre("retry.max_retries: 3 -> 7"));
  EXPECT_THAT(auditor_->audits()[1].policy_changes, IsEmpty());
  grpc::ClientContext context;
  GiveUpLater(&context);
  admin::v1::ListEventsResponse events;
  ASSERT_TRUE(stub_->ListEvents(&context, {}, &events).ok());
  ASSERT_EQ(events.events_size(), 2);
  EXPECT_THAT(events.events(0).audit().policy_changes(),
              ElementsAre("retry.max_retries: 3 -> 7"));
  EXPECT_EQ(auditor_->audits()[1].status.code(),
            absl::StatusCode::kPermissionDenied);
}

TEST_F(AdminPolicyTest, AnAuditTellsOfSixteenFieldsAtMost) {
  const auto channel = MakeChannel("a");
  channel->FindOrCreate("/p.S/M");
  UpdatePolicyResponse response;
  const grpc::Status status = Update(
      R"(target { method: "/p.S/M" } policy {
           timeout { seconds: 2 }
           retry { max_retries: 7 base_delay { seconds: 2 }
                   max_delay { seconds: 99 } jitter: JITTER_FULL }
           breaker { consecutive_failures: 99 last_calls: 50
                     last_calls_failures: 40 failure_rate: 0.9 slow_rate: 0.8
                     slow_call { seconds: 9 } window { seconds: 99 }
                     minimum_calls: 77 critical_weight: 3 throttle_k: 2.5
                     max_concurrent_calls: 99 open_duration { seconds: 99 }
                     open_jitter: 0.3 } })",
      &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_GT(response.policies(0).changes_size(), 16);
  EXPECT_EQ(auditor_->audits()[0].policy_changes.size(), 16u);
}

TEST_F(AdminPolicyTest, ABreakerIsShownWithTheNumberOfItsUpdates) {
  const auto channel = MakeChannel("a");
  channel->FindOrCreate("/p.S/M");
  ASSERT_TRUE(Update(R"(target { method: "/p.S/M" }
                        policy { retry { max_retries: 7 } })")
                  .ok());
  grpc::ClientContext context;
  GiveUpLater(&context);
  admin::v1::GetBreakerRequest request;
  request.set_method("/p.S/M");
  admin::v1::Breaker breaker;
  ASSERT_TRUE(stub_->GetBreaker(&context, request, &breaker).ok());
  EXPECT_EQ(breaker.policy_updates(), 1);
  EXPECT_EQ(breaker.policy().retry().max_retries(), 7);
}

TEST_F(AdminPolicyTest, AnUpdateOutlivesNoChannel) {
  auto channel = MakeChannel("a");
  channel->FindOrCreate("/p.S/M");
  ASSERT_TRUE(Update(R"(target { method: "/p.S/M" } ttl { seconds: 9 }
                        policy { retry { max_retries: 7 } })")
                  .ok());
  EXPECT_EQ(environment_.pending_timers(), 1);
  const std::weak_ptr<Registry> weak = channel;
  channel.reset();
  EXPECT_TRUE(weak.expired());
  environment_.Advance(absl::Seconds(9));
  EXPECT_EQ(environment_.pending_timers(), 0);
}

}  // namespace
}  // namespace grpc_breaker
