#ifndef GRPC_BREAKER_BASE_OPTION_FIELDS_H_
#define GRPC_BREAKER_BASE_OPTION_FIELDS_H_

// The fields of the structs of options and their ranges, one table for each
// struct: what is done to all fields goes through it, so that a new one cannot
// be forgotten. A table that lacks a field of its struct does not compile.
//
//   #define ENGINE(FIELD) FIELD(gears, From{1, 6}), FIELD(on, AnyValue{})
//   GRPC_BREAKER_OPTION_TABLE(Engine, ENGINE)
//
//   ForEachField(engine, [](const auto& field) {
//     Use(field.name, field.value, field.range);
//   });
//   CheckFields("engine.", engine);  // "engine.gears: must be from 1 to 6..."
//
// The values are const if the options are. A range may depend on another field,
// of what is called `options` in a table: From{1, options.gears}.
//
// Thread-compatible: plain values.

#include <optional>
#include <string>
#include <tuple>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "grpc_breaker/base/option_ranges.h"

namespace grpc_breaker::internal {

template <typename T, typename Range>
struct OptionField {
  absl::string_view name;  // As in the struct.
  T& value;
  Range range;  // See option_ranges.h.
};

template <typename T, typename Range>
OptionField<T, Range> MakeOptionField(absl::string_view name, T& value,
                                      Range range) {
  return {name, value, range};
}

// A range with commas arrives as several arguments.
#define GRPC_BREAKER_FIELD_NAME(field, ...) field
#define GRPC_BREAKER_FIELD(field, ...) \
  MakeOptionField(#field, options.field, __VA_ARGS__)

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

// Calls visit(field of a, field of b) for each field of two structs of one
// type.
template <typename A, typename B, typename Visit>
void ForEachPairOfFields(A& a, B& b, Visit visit) {
  static_assert(std::is_same_v<std::remove_const_t<A>, std::remove_const_t<B>>);
  std::apply(
      [&](const auto&... of_a) {
        std::apply([&](const auto&... of_b) { (visit(of_a, of_b), ...); },
                   FieldsOf(b));
      },
      FieldsOf(a));
}

template <typename Options>
bool AllFieldsEqual(const Options& a, const Options& b) {
  bool equal = true;
  ForEachPairOfFields(a, b, [&](const auto& of_a, const auto& of_b) {
    equal = equal && of_a.value == of_b.value;
  });
  return equal;
}

// The InvalidArgument for a complaint of a range; OK if there is none.
inline absl::Status ComplaintStatus(absl::string_view prefix,
                                    absl::string_view field,
                                    absl::string_view complaint) {
  if (complaint.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(prefix, field, ": must be ", complaint));
}

template <typename Range, typename T>
std::string ComplaintOf(const Range& range, const T& value) {
  return range.Complaint(value);
}

// What is not set is not wrong.
template <typename Range, typename T>
std::string ComplaintOf(const Range& range, const std::optional<T>& value) {
  return value ? range.Complaint(*value) : "";
}

// Names the first field that is out of its range, from `prefix`.
template <typename Options>
absl::Status CheckFields(absl::string_view prefix, const Options& options) {
  absl::Status status;
  ForEachField(options, [&](const auto& field) {
    if (!status.ok()) return;
    status = ComplaintStatus(prefix, field.name,
                             ComplaintOf(field.range, field.value));
  });
  return status;
}

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BASE_OPTION_FIELDS_H_
