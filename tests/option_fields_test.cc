#include "grpc_breaker/base/option_fields.h"

#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpc_breaker/breaker/breaker_fields.h"
#include "grpc_breaker/retry/retry_fields.h"
#include "gtest/gtest.h"
#include "tests/change_option.h"

namespace grpc_breaker::internal {
namespace {

using ::testing::StartsWith;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// A value that nothing can be set to; false if there is none.
bool Spoil(bool&) { return false; }
bool Spoil(int& value) {
  value = -1;
  return true;
}
bool Spoil(double& value) {
  value = kNan;
  return true;
}
bool Spoil(std::vector<double>& value) {
  value = {kNan};
  return true;
}
bool Spoil(absl::Duration& value) {
  value = absl::Seconds(-1);
  return true;
}
bool Spoil(Jitter& value) {
  value = static_cast<Jitter>(99);
  return true;
}

template <typename Options>
void ExpectValidateToNameEachField(const Options& good,
                                   const std::string& prefix) {
  ASSERT_TRUE(good.Validate().ok()) << good.Validate();
  Options options = good;
  ForEachField(options, [&](const auto& field) {
    if (!Spoil(field.value)) return;
    EXPECT_THAT(std::string(options.Validate().message()),
                StartsWith(absl::StrCat(prefix, field.name, ": must be ")));
    options = good;
  });
}

TEST(OptionFieldsTest, ValidateNamesEachFieldOfTheBreakersOptions) {
  BreakerOptions options;
  options.last_calls = 10;  // Else the failures among them mean nothing.
  options.last_calls_failures = 5;
  ExpectValidateToNameEachField(options, "breaker.");
}

TEST(OptionFieldsTest, ValidateNamesEachFieldOfTheRetryOptions) {
  ExpectValidateToNameEachField(RetryOptions(), "retry.");
}

TEST(OptionFieldsTest, ValidateNamesEachFieldOfTheRetryBudget) {
  RetryBudgetOptions options;
  options.max_tokens = 10;  // Else there is no budget.
  ExpectValidateToNameEachField(options, "retry_budget.");
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
    absl::StrAppend(&all, field.name, "=", field.value, " ");
  });
  EXPECT_EQ(all, "max_tokens=7 token_ratio=3 ");
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
