#include "grpc_breaker/base/option_fields.h"

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/breaker/breaker_fields.h"
#include "grpc_breaker/retry/retry_fields.h"
#include "gtest/gtest.h"
#include "tests/change_option.h"

namespace grpc_breaker::internal {
namespace {

using ::testing::StartsWith;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// --- The texts of ranges, taken at their word ---

// Values that a text lets pass and such that are just beyond.
template <typename T>
struct Edges {
  std::vector<T> good;
  std::vector<T> bad;
};

void Parse(const std::string& text, int* value) {
  EXPECT_TRUE(absl::SimpleAtoi(text, value)) << text;
}
void Parse(const std::string& text, int64_t* value) {
  EXPECT_TRUE(absl::SimpleAtoi(text, value)) << text;
}
void Parse(const std::string& text, double* value) {
  EXPECT_TRUE(absl::SimpleAtod(text, value)) << text;
}
void Parse(const std::string& text, absl::Duration* value) {
  EXPECT_TRUE(absl::ParseDuration(text, value)) << text;
}

int Below(int value) { return value - 1; }
int Above(int value) { return value + 1; }
int64_t Below(int64_t value) { return value - 1; }
int64_t Above(int64_t value) { return value + 1; }
double Below(double value) { return std::nextafter(value, -kInfinity); }
double Above(double value) { return std::nextafter(value, kInfinity); }
// Absl counts quarters of a nanosecond, clocks do not.
absl::Duration Below(absl::Duration value) {
  return value - absl::Nanoseconds(1) / 4;
}
absl::Duration Above(absl::Duration value) {
  return value + absl::Nanoseconds(1) / 4;
}

std::vector<int> NeverGood(int) { return {}; }
std::vector<int64_t> NeverGood(int64_t) { return {}; }
std::vector<double> NeverGood(double) { return {kNan}; }
std::vector<absl::Duration> NeverGood(absl::Duration) {
  return {-absl::InfiniteDuration()};
}

// Of a field of the type T with `text` for its range.
template <typename T>
Edges<T> EdgesOf(const std::string& text) {
  Edges<T> edges;
  edges.bad = NeverGood(T());
  T least{};
  T most{};
  absl::string_view rest = text;
  const bool zero_too = absl::ConsumePrefix(&rest, "0 or ") ||
                        absl::ConsumePrefix(&rest, "0, or ");
  if (absl::ConsumePrefix(&rest, "from ")) {
    const std::pair<std::string, std::string> ends =
        absl::StrSplit(rest, absl::MaxSplits(" to ", 1));
    Parse(ends.first, &least);
    Parse(ends.second, &most);
    edges.good = {least, most};
    edges.bad.insert(edges.bad.end(), {Below(least), Above(most)});
    if (zero_too) {
      edges.good.push_back(T());
      edges.bad.insert(edges.bad.end(), {Below(T()), Above(T())});
    }
  } else if (absl::ConsumePrefix(&rest, "at least ")) {
    const bool finite = absl::ConsumeSuffix(&rest, ", finite");
    Parse(std::string(rest), &least);
    edges.good = {least};
    edges.bad.push_back(Below(least));
    Parse("inf", &most);
    (finite ? edges.bad : edges.good).push_back(most);
  } else if (absl::ConsumePrefix(&rest, "greater than ") &&
             absl::ConsumeSuffix(&rest, " and finite")) {
    Parse(std::string(rest), &least);
    Parse("inf", &most);
    edges.good = {Above(least), Below(most)};
    edges.bad.insert(edges.bad.end(), {least, most});
  } else {
    ADD_FAILURE() << "What are the edges of \"" << text << "\"?";
  }
  return edges;
}

template <>
Edges<bool> EdgesOf(const std::string& text) {
  EXPECT_EQ(text, "");
  return {{false, true}, {}};
}

template <>
Edges<Jitter> EdgesOf(const std::string& text) {
  EXPECT_EQ(text, "one of the kinds of Jitter");
  Edges<Jitter> edges;
  for (int number = -1; number < 20; ++number) {
    const auto jitter = static_cast<Jitter>(number);
    (ToString(jitter).empty() ? edges.bad : edges.good).push_back(jitter);
  }
  return edges;
}

template <>
Edges<std::vector<double>> EdgesOf(const std::string& text) {
  EXPECT_EQ(text, "at most 16 steps, shares greater than 0 and at most 1");
  return {{{}, {Above(0.)}, std::vector<double>(16, 1)},
          {std::vector<double>(17, 1), {0}, {1, Above(1.)}, {kNan}}};
}

// Validate() lets pass what the texts of the ranges say, and names a field that
// is just beyond. In the texts, the values of `names` stand for themselves.
template <typename Options>
void ExpectRangesToBeAsTheySay(
    const std::string& prefix, const Options& valid,
    const std::map<std::string, std::string>& names = {}) {
  Options options = valid;
  ForEachField(options, [&](const auto& field) {
    using T = std::remove_reference_t<decltype(field.value)>;
    const Edges<T> edges =
        EdgesOf<T>(absl::StrReplaceAll(field.range.Text(), names));
    for (const T& good : edges.good) {
      field.value = good;
      EXPECT_EQ(options.Validate(), absl::OkStatus());
    }
    for (const T& bad : edges.bad) {
      field.value = bad;
      EXPECT_EQ(options.Validate().code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(std::string(options.Validate().message()),
                  StartsWith(absl::StrCat(prefix, field.name, ": must be ")))
          << testing::PrintToString(bad);
    }
    options = valid;
  });
}

TEST(OptionFieldsTest, RangesOfTheBreakersOptionsAreAsTheySay) {
  BreakerOptions options;
  options.last_calls = 10;  // Else the failures among them mean nothing.
  options.last_calls_failures = 1;
  ExpectRangesToBeAsTheySay("breaker.", options, {{"last_calls", "10"}});
}

TEST(OptionFieldsTest, RangesOfTheRetryOptionsAreAsTheySay) {
  ExpectRangesToBeAsTheySay("retry.", RetryOptions(),
                            {{"retry.base_delay", "1s"}});
}

TEST(OptionFieldsTest, RangesOfTheHedgingOptionsAreAsTheySay) {
  ExpectRangesToBeAsTheySay("hedging.", HedgingOptions());
}

TEST(OptionFieldsTest, RangesOfTheStreamRetryOptionsAreAsTheySay) {
  ExpectRangesToBeAsTheySay("stream_retry.", StreamRetryOptions());
}

TEST(OptionFieldsTest, RangesOfTheRetryBudgetAreAsTheySay) {
  RetryBudgetOptions options;
  options.max_tokens = 10;  // Else there is no budget.
  options.ratio = 0.5;
  ExpectRangesToBeAsTheySay("retry_budget.", options);
}

// So that nothing has to be set that is not used.
TEST(OptionFieldsTest, FieldsThatAreNotUsedMayHaveAnyValue) {
  BreakerOptions breaker;
  breaker.last_calls_failures = -1;
  EXPECT_EQ(breaker.Validate(), absl::OkStatus());
  RetryBudgetOptions budget;
  budget.token_ratio = budget.min_retries_per_second = kNan;
  budget.window = absl::ZeroDuration();
  EXPECT_EQ(budget.Validate(), absl::OkStatus());
}

TEST(OptionFieldsTest, TheFirstFieldThatIsOutOfItsRangeIsNamed) {
  RetryBudgetOptions budget;
  budget.max_tokens = budget.token_ratio = -1;
  EXPECT_THAT(std::string(budget.Validate().message()),
              StartsWith("retry_budget.max_tokens: "));
}

template <typename Options>
void ExpectOptionsToDifferByEachField() {
  Options options;
  EXPECT_TRUE(options == Options());
  ForEachField(options, [&](const auto& field) {
    Change(field.value);
    EXPECT_FALSE(options == Options()) << field.name;
    EXPECT_TRUE(options != Options()) << field.name;
    const Options same = options;
    EXPECT_TRUE(options == same) << field.name;
    options = Options();
  });
}

TEST(OptionFieldsTest, OptionsDifferIfAnyFieldDoes) {
  ExpectOptionsToDifferByEachField<BreakerOptions>();
  ExpectOptionsToDifferByEachField<RetryOptions>();
  ExpectOptionsToDifferByEachField<RetryBudgetOptions>();
}

TEST(OptionFieldsTest, NamesAndValuesAreThoseOfTheStruct) {
  RetryBudgetOptions options;
  options.max_tokens = 7;
  options.token_ratio = 3;
  std::string all;
  ForEachField(options, [&](const auto& field) {
    absl::StrAppend(&all, field.name, "=", ValueText(field.value), " ");
  });
  EXPECT_EQ(all,
            "max_tokens=7 token_ratio=3 ratio=0 window=10s "
            "min_retries_per_second=10 per_channel=0 ");
}

TEST(OptionFieldsTest, FieldsOfConstOptionsAreConst) {
  const RetryBudgetOptions options;
  ForEachField(options, [](const auto& field) {
    static_assert(
        std::is_const_v<std::remove_reference_t<decltype(field.value)>>);
  });
}

}  // namespace
}  // namespace grpc_breaker::internal
