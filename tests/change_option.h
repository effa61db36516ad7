#ifndef GRPC_BREAKER_TESTS_CHANGE_OPTION_H_
#define GRPC_BREAKER_TESTS_CHANGE_OPTION_H_

// Change(value) makes another valid value of an option, for each type that
// options have: for tests that do something to every field in turn.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "absl/time/time.h"
#include "grpc_breaker/base/option_fields.h"
#include "grpc_breaker/error_class.h"

namespace grpc_breaker {

inline void Change(bool& value) { value = !value; }
inline void Change(int& value) { ++value; }
inline void Change(int64_t& value) { ++value; }
inline void Change(double& value) { value += 0.125; }
inline void Change(std::string& value) { value += "changed"; }
inline void Change(std::vector<double>& value) { value.push_back(0.25); }
inline void Change(absl::Duration& value) {
  value = value == absl::InfiniteDuration() ? absl::Seconds(3)
                                            : value + absl::Milliseconds(5);
}

template <typename Enum>
std::enable_if_t<std::is_enum_v<Enum>> Change(Enum& value) {
  value = static_cast<Enum>(static_cast<int>(value) == 0 ? 1 : 0);
}

// That of an error is never NONE.
inline void Change(ErrorCategory& value) {
  value = value == ErrorCategory::kNetwork ? ErrorCategory::kTransient
                                           : ErrorCategory::kNetwork;
}

template <typename Result, typename Argument>
void Change(std::function<Result(Argument)>& value) {
  value = [](Argument) { return Result(); };
}

template <typename Key, typename Value>
void Change(std::map<Key, Value>& values) {
  values[static_cast<Key>(10)];
}

template <typename T>
void Change(std::optional<T>& value) {
  if (!value) value.emplace();
  Change(*value);
}

// A struct of options: by its first field.
template <typename Options,
          typename = decltype(sizeof(internal::OptionTable<Options>))>
void Change(Options& options) {
  Change(std::get<0>(internal::FieldsOf(options)).value);
}

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_TESTS_CHANGE_OPTION_H_
