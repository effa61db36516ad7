#ifndef GRPC_BREAKER_BASE_OPTION_FIELDS_H_
#define GRPC_BREAKER_BASE_OPTION_FIELDS_H_

// The fields of the structs of options, one table for each: what is done to all
// fields goes through it, so that a new one cannot be forgotten. A table that
// lacks a field of its struct does not compile.
//
//   ForEachField(options, [](const auto& field) { Use(field.name, field.value);
//   });
//
// The values are const if the options are.
//
// Thread-compatible: plain values.

#include <tuple>
#include <type_traits>

#include "absl/strings/string_view.h"

namespace grpc_breaker::internal {

template <typename T>
struct OptionField {
  absl::string_view name;  // As in the struct.
  T& value;
};

template <typename T>
OptionField<T> MakeOptionField(absl::string_view name, T& value) {
  return {name, value};
}

#define GRPC_BREAKER_FIELD_NAME(field) field
#define GRPC_BREAKER_FIELD(field) MakeOptionField(#field, options.field)

// Defined for each struct below; Fields() makes a tuple of OptionFields.
template <typename Struct>
struct OptionTable;

// The structured binding does not compile unless there are as many names as
// fields.
#define GRPC_BREAKER_OPTION_TABLE(Struct, TABLE)                         \
  template <>                                                            \
  struct OptionTable<Struct> {                                           \
    template <typename Options>                                          \
    static auto Fields(Options& options) {                               \
      [[maybe_unused]] auto& [TABLE(GRPC_BREAKER_FIELD_NAME)] = options; \
      return std::make_tuple(TABLE(GRPC_BREAKER_FIELD));                 \
    }                                                                    \
  };

template <typename Options>
auto FieldsOf(Options& options) {
  return OptionTable<std::remove_const_t<Options>>::Fields(options);
}

template <typename Options, typename Visit>
void ForEachField(Options& options, Visit visit) {
  std::apply([&visit](const auto&... fields) { (visit(fields), ...); },
             FieldsOf(options));
}

template <typename Options>
bool AllFieldsEqual(const Options& a, const Options& b) {
  return std::apply(
      [&b](const auto&... of_a) {
        return std::apply(
            [&](const auto&... of_b) {
              return ((of_a.value == of_b.value) && ...);
            },
            FieldsOf(b));
      },
      FieldsOf(a));
}

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BASE_OPTION_FIELDS_H_
