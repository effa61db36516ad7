#include "grpc_breaker/config/policy_merge.h"

#include <functional>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "grpc_breaker/config/policy_difference.h"
#include "grpc_breaker/config/policy_message.h"
#include "grpc_breaker/config/v1/policy.pb.h"
#include "grpc_breaker/registry/policy_fields.h"
#include "gtest/gtest.h"
#include "tests/change_option.h"

namespace grpc_breaker::internal {

void PrintTo(const FieldViolation& violation, std::ostream* os) {
  *os << violation.field << ": " << violation.description;
}

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

template <typename Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message))
      << text;
  return message;
}

// "field: description" of all that is wrong.
std::vector<std::string> Violations(const FieldViolations& violations) {
  std::vector<std::string> texts;
  for (const FieldViolation& violation : violations) {
    texts.push_back(absl::StrCat(violation.field, ": ", violation.description));
  }
  return texts;
}

std::vector<std::string> MergeText(const std::string& text, Policy* policy,
                                   const NamedFunctions& functions = {}) {
  return Violations(Merge(Parse<config::v1::Policy>(text), &functions, policy));
}

std::string TextOf(const Policy& policy) {
  std::string text;
  EXPECT_TRUE(
      google::protobuf::TextFormat::PrintToString(ToMessage(policy), &text));
  return text;
}

// A policy, each field of which is not as it is by default.
Policy Unusual() {
  Policy policy;
  ForEachField(policy.retry, [](const auto& field) { Change(field.value); });
  ForEachField(policy.hedging, [](const auto& field) { Change(field.value); });
  ForEachField(policy.stream_retry,
               [](const auto& field) { Change(field.value); });
  ForEachField(policy.breaker, [](const auto& field) { Change(field.value); });
  policy.breaker.last_calls_failures = policy.breaker.last_calls = 2;
  policy.breaker.throttle_k = 2;
  for (const auto code :
       {grpc::StatusCode::ABORTED, grpc::StatusCode::NOT_FOUND}) {
    ForEachField(policy.classification[code],
                 [](const auto& field) { Change(field.value); });
  }
  policy.idempotency = Idempotency::kRepeatable;
  policy.timeout = absl::Seconds(7);
  policy.attempt_timeout = absl::Milliseconds(70);
  ForEachField(policy.fallback, [](const auto& field) { Change(field.value); });
  Change(policy.on_final_failure);
  Change(policy.on_attempt);
  Change(policy.wait_when_rejected);
  Change(policy.commit_at_initial_metadata);
  Change(policy.wait_for_ready);
  policy.authority = "unusual.example";
  return policy;
}

// --- Everything that can be said of a policy arrives ---

// Makes `policy` the other one by what differs, as a message has it; only
// functions, which no message has, are brought along.
std::vector<std::string> Become(const Policy& other, Policy* policy) {
  const config::v1::Policy difference =
      Difference(ToMessage(*policy), ToMessage(other));
  policy->fallback.function = other.fallback.function;
  policy->on_final_failure = other.on_final_failure;
  policy->on_attempt = other.on_attempt;
  NamedFunctions functions;
  return Violations(Merge(difference, &functions, policy));
}

template <typename Options>
void ExpectEachFieldToArrive(Options Policy::*part) {
  for (const Policy& base : {Policy(), Unusual()}) {
    Policy changed = base;
    ForEachField(changed.*part, [&](const auto& field) {
      auto& value = field.value;
      const auto kept = value;
      Change(value);
      Policy there = base;
      Become(changed, &there);
      EXPECT_EQ(TextOf(there), TextOf(changed)) << field.name;
      Policy back = changed;
      Become(base, &back);
      EXPECT_EQ(TextOf(back), TextOf(base)) << field.name;
      value = kept;
    });
  }
}

TEST(PolicyMergeTest, EachFieldOfEachPartArrives) {
  ExpectEachFieldToArrive(&Policy::retry);
  ExpectEachFieldToArrive(&Policy::hedging);
  ExpectEachFieldToArrive(&Policy::stream_retry);
  ExpectEachFieldToArrive(&Policy::breaker);
  ExpectEachFieldToArrive(&Policy::fallback);
}

TEST(PolicyMergeTest, EachFieldOfAPolicyArrives) {
  for (const Policy& base : {Policy(), Unusual()}) {
    Policy changed = base;
    ForEachField(changed, [&](const auto& field) {
      const auto kept = field.value;
      Change(field.value);
      Policy there = base;
      Become(changed, &there);
      EXPECT_EQ(TextOf(there), TextOf(changed)) << field.name;
      field.value = kept;
    });
  }
}

TEST(PolicyMergeTest, EachFieldOfAnOverrideArrives) {
  Policy changed;
  ClassOverride& override = changed.classification[grpc::StatusCode::ABORTED];
  ForEachField(override, [&](const auto& field) {
    const auto kept = field.value;
    Change(field.value);
    Policy there;
    Become(changed, &there);
    EXPECT_EQ(TextOf(there), TextOf(changed)) << field.name;
    field.value = kept;
  });
}

TEST(PolicyMergeTest, AWholePolicyBecomesAnother) {
  const Policy policies[] = {Policy(), Unusual()};
  for (const Policy& from : policies) {
    for (const Policy& to : policies) {
      Policy policy = from;
      EXPECT_THAT(Become(to, &policy), IsEmpty());
      EXPECT_EQ(TextOf(policy), TextOf(to));
    }
  }
}

TEST(PolicyMergeTest, EachEnumeratorArrives) {
  const auto expect = [](const Policy& policy) {
    Policy there;
    Become(policy, &there);
    EXPECT_EQ(TextOf(there), TextOf(policy));
  };
  Policy policy;
  for (int i = 0; i <= static_cast<int>(Jitter::kGrpcA6); ++i) {
    policy.retry.jitter = static_cast<Jitter>(i);
    expect(policy);
  }
  ClassOverride& override = policy.classification[grpc::StatusCode::ABORTED];
  for (int i = 1; i <= static_cast<int>(ErrorCategory::kPermanent); ++i) {
    override.category = static_cast<ErrorCategory>(i);
    expect(policy);
  }
  for (int i = 0; i <= static_cast<int>(ErrorSeverity::kCritical); ++i) {
    override.severity = static_cast<ErrorSeverity>(i);
    expect(policy);
  }
  for (int i = 0; i <= static_cast<int>(Outcome::kIgnored); ++i) {
    override.outcome = static_cast<Outcome>(i);
    expect(policy);
  }
}

TEST(PolicyMergeTest, EachFieldOfARetryBudgetArrives) {
  RetryBudgetOptions changed;
  changed.max_tokens = 10;
  changed.ratio = 0.5;
  ForEachField(changed, [&](const auto& field) {
    Change(field.value);
    RetryBudgetOptions there;
    EXPECT_THAT(Violations(Merge(ToMessage(changed), &there)), IsEmpty());
    EXPECT_TRUE(there == changed) << field.name;
  });
}

// --- What is not set stays ---

TEST(PolicyMergeTest, AnEmptyMessageChangesNothing) {
  Policy policy = Unusual();
  EXPECT_THAT(MergeText("", &policy), IsEmpty());
  EXPECT_EQ(TextOf(policy), TextOf(Unusual()));
}

TEST(PolicyMergeTest, OnlyWhatIsSetChanges) {
  Policy policy = Unusual();
  EXPECT_THAT(
      MergeText("retry { max_retries: 0 } breaker { enabled: true }", &policy),
      IsEmpty());
  Policy expected = Unusual();
  expected.retry.max_retries = 0;
  expected.breaker.enabled = true;
  EXPECT_EQ(TextOf(policy), TextOf(expected));
}

TEST(PolicyMergeTest, ZeroAndFalseAndAnEmptyTextAreValues) {
  Policy policy = Unusual();
  EXPECT_THAT(MergeText("breaker { consecutive_failures: 0 enabled: false } "
                        "wait_for_ready: false authority: \"\"",
                        &policy),
              IsEmpty());
  EXPECT_EQ(policy.breaker.consecutive_failures, 0);
  EXPECT_FALSE(policy.breaker.enabled);
  EXPECT_EQ(policy.wait_for_ready, false);
  EXPECT_EQ(policy.authority, "");
}

TEST(PolicyMergeTest, AnOverrideChangesWhatThereIsForItsCode) {
  Policy policy;
  policy.classification[grpc::StatusCode::ABORTED].retryable = true;
  policy.classification[grpc::StatusCode::NOT_FOUND].retryable = true;
  EXPECT_THAT(MergeText("classification { code: STATUS_CODE_ABORTED "
                        "                 severity: ERROR_SEVERITY_HIGH } "
                        "classification { code: STATUS_CODE_UNKNOWN "
                        "                 retryable: false }",
                        &policy),
              IsEmpty());
  ASSERT_EQ(policy.classification.size(), 3u);
  const ClassOverride& aborted =
      policy.classification.at(grpc::StatusCode::ABORTED);
  EXPECT_EQ(aborted.retryable, true);
  EXPECT_EQ(aborted.severity, ErrorSeverity::kHigh);
  EXPECT_EQ(policy.classification.at(grpc::StatusCode::UNKNOWN).retryable,
            false);
}

TEST(PolicyMergeTest, TheLongestDurationIsEndless) {
  Policy policy;
  policy.breaker.slow_call = absl::Seconds(1);
  EXPECT_THAT(
      MergeText("breaker { slow_call { seconds: 315576000000 } }", &policy),
      IsEmpty());
  EXPECT_EQ(policy.breaker.slow_call, absl::InfiniteDuration());
}

// --- Fields as they are by default ---

TEST(PolicyMergeTest, ResetsFieldsToWhatTheLibraryHas) {
  Policy policy = Unusual();
  EXPECT_THAT(
      MergeText("reset: 'timeout' reset: 'breaker.ramp' reset: 'retry' "
                "reset: 'classification' reset: 'on_attempt' "
                "reset: 'fallback.on_rejection' reset: 'wait_for_ready'",
                &policy),
      IsEmpty());
  Policy expected = Unusual();
  expected.timeout.reset();
  expected.breaker.ramp.clear();
  expected.retry = RetryOptions();
  expected.classification.clear();
  expected.on_attempt = nullptr;
  expected.fallback.on_rejection = true;
  expected.wait_for_ready.reset();
  EXPECT_EQ(TextOf(policy), TextOf(expected));
}

TEST(PolicyMergeTest, ResetsBeforeItSets) {
  Policy policy = Unusual();
  EXPECT_THAT(MergeText("reset: 'retry' retry { max_retries: 9 }", &policy),
              IsEmpty());
  EXPECT_EQ(policy.retry.max_retries, 9);
  EXPECT_EQ(policy.retry.max_delay, RetryOptions().max_delay);
}

TEST(PolicyMergeTest, NamesTheNearestFieldWhereThereIsNoneToReset) {
  Policy policy;
  EXPECT_THAT(
      MergeText("reset: 'timeouts' reset: 'breaker.ram' reset: 'timeout.s' "
                "reset: '' reset: 'retry.'",
                &policy),
      ElementsAre(
          "reset[0]: must be a field, got \"timeouts\"; the nearest is timeout",
          "reset[1]: must be a field, got \"ram\"; the nearest is ramp",
          "reset[2]: must be a field, got \"timeout.s\"; timeout has none",
          "reset[3]: must be a field, got \"\"; the nearest is retry",
          "reset[4]: must be a field, got \"\"; the nearest is jitter"));
}

// --- Functions by name ---

TEST(PolicyMergeTest, TakesFunctionsByName) {
  NamedFunctions functions;
  functions.fallbacks["cached"] = Fallback::Fixed(grpc::Status::OK, "cached");
  functions.fallbacks["cached"].on_rejection = false;
  std::string called;
  functions.final_failure_hooks["undo"] = [&](const FailedCall&) {
    called += "undo ";
  };
  functions.attempt_hooks["count"] = [&](const FinishedAttempt&) {
    called += "count ";
  };
  Policy policy;
  EXPECT_THAT(MergeText("fallback { name: 'cached' on_not_retryable: false } "
                        "on_final_failure: 'undo' on_attempt: 'count'",
                        &policy, functions),
              IsEmpty());
  EXPECT_EQ(policy.fallback.function({}).reply, "cached");
  EXPECT_TRUE(policy.fallback.on_exhaustion);
  EXPECT_FALSE(policy.fallback.on_not_retryable) << "as the message says";
  EXPECT_FALSE(policy.fallback.on_rejection) << "as the application says";
  policy.on_final_failure({});
  policy.on_attempt({});
  EXPECT_EQ(called, "undo count ");
}

TEST(PolicyMergeTest, ChangesWhenAFallbackRunsThatIsThere) {
  Policy policy;
  policy.fallback = Fallback::Fixed(grpc::Status::OK, "own");
  EXPECT_THAT(MergeText("fallback { on_rejection: false }", &policy),
              IsEmpty());
  EXPECT_EQ(policy.fallback.function({}).reply, "own");
  EXPECT_FALSE(policy.fallback.on_rejection);
}

TEST(PolicyMergeTest, ComplainsOfFunctionsThatAreNotThere) {
  NamedFunctions functions;
  functions.fallbacks["cached_prices"];
  functions.attempt_hooks["count"];
  Policy policy;
  EXPECT_THAT(
      MergeText("fallback { name: 'cached_price' } on_attempt: 'counts' "
                "on_final_failure: 'undo'",
                &policy, functions),
      ElementsAre("fallback.name: must be a fallback of the application, got "
                  "\"cached_price\"; the nearest is cached_prices",
                  "on_final_failure: must be a hook of the application, got "
                  "\"undo\"",
                  "on_attempt: must be a hook of the application, got "
                  "\"counts\"; the nearest is count"));
  EXPECT_THAT(MergeText("fallback { on_rejection: false }", &policy),
              ElementsAre("fallback: must have a name, there is none to "
                          "inherit"));
}

TEST(PolicyMergeTest, TakesAnyNameWithoutTheApplication) {
  Policy policy;
  const auto message = Parse<config::v1::Policy>(
      "fallback { name: 'x' } on_final_failure: 'y' on_attempt: 'z'");
  EXPECT_THAT(Violations(Merge(message, nullptr, &policy)), IsEmpty());
  EXPECT_TRUE(policy.fallback.function({}).status.ok());
  policy.on_final_failure({});
  policy.on_attempt({});
}

TEST(PolicyMergeTest, ComplainsOfFieldsThatAreOnlyShown) {
  Policy policy;
  EXPECT_THAT(
      MergeText("has_final_failure_hook: true has_attempt_hook: true", &policy),
      ElementsAre(
          "has_final_failure_hook: is only shown; on_final_failure "
          "names a function of the application",
          "has_attempt_hook: is only shown; on_attempt names a function "
          "of the application"));
  policy.on_attempt = [](const FinishedAttempt&) {};
  EXPECT_THAT(MergeText("has_final_failure_hook: false has_attempt_hook: true",
                        &policy),
              IsEmpty())
      << "as it is";
}

// --- Values that are wrong ---

TEST(PolicyMergeTest, ComplainsOfAllThatIsOutOfItsRange) {
  Policy policy;
  EXPECT_THAT(
      MergeText("retry { max_retries: 101 exponential_base: nan } "
                "breaker { ramp: 0.5 ramp: 0 window { seconds: -1 } } "
                "timeout { nanos: 1 } authority: '\\377'",
                &policy),
      ElementsAre("retry.max_retries: must be from 0 to 100, got 101",
                  "retry.exponential_base: must be greater than 0 and finite, "
                  "got nan",
                  "breaker.window: must be from 100ms to 1h, got -1s",
                  "breaker.ramp: must be shares greater than 0 and at most 1, "
                  "got 0",
                  "timeout: must be from 1ms to 8760h, got 1ns",
                  "authority: must be UTF-8, got \"\\xff\""));
}

// Each complaint is one of Validate(), which finds nothing else.
TEST(PolicyMergeTest, ComplainsWhereValidateDoes) {
  const Policy defaults;
  Policy policy;
  const auto expect = [&](const std::string& name) {
    Policy merged;
    const std::vector<std::string> violations =
        Violations(Merge(ToMessage(policy), nullptr, &merged));
    const absl::Status status = policy.Validate();
    if (status.ok()) {
      EXPECT_THAT(violations, IsEmpty()) << name;
    } else {
      EXPECT_THAT(violations, testing::Contains(std::string(status.message())))
          << name;
    }
    policy = defaults;
  };
  const auto spoil = [&](auto& options) {
    ForEachField(options, [&](const auto& field) {
      using T = std::remove_reference_t<decltype(field.value)>;
      if constexpr (std::is_same_v<T, int> || std::is_same_v<T, int64_t> ||
                    std::is_same_v<T, double>) {
        for (const double bad : {-1., 1e9}) {
          field.value = static_cast<T>(bad);
          expect(std::string(field.name));
        }
      } else if constexpr (std::is_same_v<T, absl::Duration> ||
                           std::is_same_v<T, std::optional<absl::Duration>>) {
        for (const absl::Duration bad :
             {-absl::Seconds(1), absl::ZeroDuration(), absl::Hours(100000)}) {
          field.value = bad;
          expect(std::string(field.name));
        }
      }
    });
  };
  spoil(policy.retry);
  spoil(policy.hedging);
  spoil(policy.stream_retry);
  spoil(policy.breaker);
  spoil(policy);
}

TEST(PolicyMergeTest, ComplainsOfWhatHasBecomeWrong) {
  Policy policy;
  policy.retry.max_delay = absl::Seconds(2);
  EXPECT_THAT(MergeText("retry { base_delay { seconds: 3 } }", &policy),
              ElementsAre("retry.max_delay: must be at least retry.base_delay "
                          "(3s), got 2s"));
}

TEST(PolicyMergeTest, DoesNotComplainAgainOfWhatWasWrongBefore) {
  Policy policy;
  policy.retry.max_retries = 101;
  EXPECT_THAT(MergeText("retry { base_delay { seconds: 3 } }", &policy),
              IsEmpty());
}

TEST(PolicyMergeTest, ComplainsOfOverridesThatAreWrong) {
  Policy policy;
  EXPECT_THAT(
      MergeText("classification { retryable: true } "
                "classification { code: STATUS_CODE_OK } "
                "classification { code: STATUS_CODE_ABORTED "
                "                 category: ERROR_CATEGORY_NONE } "
                "classification { code: STATUS_CODE_ABORTED } "
                "classification { code: STATUS_CODE_UNKNOWN "
                "                 outcome: OUTCOME_UNSPECIFIED }",
                &policy),
      ElementsAre(
          "classification[0].code: must be the code of an error, but there is "
          "none",
          "classification[1].code: must be the code of an error, in [1, 16], "
          "got 0",
          "classification[2].category: must be that of an error, got NONE",
          "classification[3].code: must be in the list once, got 10 again",
          "classification[4].outcome: must be one of the named values, got "
          "OUTCOME_UNSPECIFIED"));
}

TEST(PolicyMergeTest, ComplainsOfEnumeratorsThatThereAreNot) {
  config::v1::Policy message;
  message.mutable_retry()->set_jitter(static_cast<config::v1::Jitter>(99));
  message.set_idempotency(config::v1::IDEMPOTENCY_UNSPECIFIED);
  Policy policy = Unusual();
  EXPECT_THAT(
      Violations(Merge(message, nullptr, &policy)),
      ElementsAre("retry.jitter: must be one of the named values, got 99",
                  "idempotency: must be one of the named values, got "
                  "IDEMPOTENCY_UNSPECIFIED"));
  EXPECT_EQ(TextOf(policy), TextOf(Unusual()));
}

TEST(PolicyMergeTest, ComplainsOfDurationsThatAreNone) {
  const std::string bad[] = {"seconds: 1 nanos: -1",
                             "seconds: -1 nanos: 1",
                             "nanos: 1000000000",
                             "nanos: -1000000000",
                             "seconds: 315576000001",
                             "seconds: -315576000001",
                             "seconds: 9223372036854775807",
                             "seconds: 315576000000 nanos: 1"};
  for (const std::string& duration : bad) {
    Policy policy;
    EXPECT_THAT(MergeText("timeout { " + duration + " }", &policy),
                ElementsAre("timeout: must be a valid duration"))
        << duration;
    EXPECT_FALSE(policy.timeout.has_value());
  }
}

// --- Differences ---

TEST(PolicyDifferenceTest, OfAPolicyAndItselfIsEmpty) {
  for (const Policy& policy : {Policy(), Unusual()}) {
    EXPECT_EQ(Difference(ToMessage(policy), ToMessage(policy)).ByteSizeLong(),
              0u);
  }
}

TEST(PolicyDifferenceTest, HasWhatDiffersAndNothingElse) {
  Policy from;
  from.timeout = absl::Seconds(1);
  from.wait_for_ready = true;
  from.breaker.ramp = {0.5};
  from.fallback = Fallback::Fixed({});
  from.classification[grpc::StatusCode::ABORTED].retryable = true;
  Policy to;
  to.retry.max_retries = 0;
  to.breaker.enabled = false;
  to.classification[grpc::StatusCode::NOT_FOUND].retryable = false;
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(
      Difference(ToMessage(from), ToMessage(to)),
      Parse<config::v1::Policy>(
          "retry { max_retries: 0 } breaker { enabled: false } "
          "classification { code: STATUS_CODE_NOT_FOUND retryable: false } "
          "reset: 'breaker.ramp' reset: 'classification' reset: 'timeout' "
          "reset: 'fallback' reset: 'wait_for_ready'")))
      << Difference(ToMessage(from), ToMessage(to)).DebugString();
}

}  // namespace
}  // namespace grpc_breaker::internal
