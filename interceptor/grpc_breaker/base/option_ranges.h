#ifndef GRPC_BREAKER_BASE_OPTION_RANGES_H_
#define GRPC_BREAKER_BASE_OPTION_RANGES_H_

// Which values a field of options may have, for the tables of option_fields.h.
// A range is a struct with
//
//   // As documents have it, "from 1ms to 24h"; empty if any value will do.
//   std::string Text() const;
//   // What a value must be and is, "from 1ms to 24h, got -1s"; empty if it may
//   // be what it is.
//   std::string Complaint(const Value& value) const;
//
// One that only a single field has stands beside that field's table.
//
// Thread-compatible: plain values.

#include <cmath>
#include <string>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace grpc_breaker::internal {

template <typename Value>
std::string ValueText(const Value& value) {
  if constexpr (std::is_same_v<Value, absl::Duration>) {
    return absl::FormatDuration(value);
  } else if constexpr (std::is_enum_v<Value>) {
    return absl::StrCat(static_cast<int>(value));
  } else {
    return absl::StrCat(value);
  }
}

template <typename Value>
std::string Refusal(absl::string_view rule, const Value& value) {
  return absl::StrCat(rule, ", got ", ValueText(value));
}

// Also of a field that has a Validate() of its own.
struct AnyValue {
  std::string Text() const { return ""; }
  template <typename Value>
  std::string Complaint(const Value&) const {
    return "";
  }
};

// Comparisons are written so that NaN is refused.

template <typename T>
struct From {
  T least;
  T most;

  std::string Text() const {
    return absl::StrCat("from ", ValueText(least), " to ", ValueText(most));
  }
  template <typename Value>
  std::string Complaint(const Value& value) const {
    const bool inside = value >= least && value <= most;
    return inside ? "" : Refusal(Text(), value);
  }
};
template <typename T>
From(T, T) -> From<T>;

template <typename T>
struct AtLeast {
  T least;

  std::string Text() const {
    return absl::StrCat("at least ", ValueText(least));
  }
  template <typename Value>
  std::string Complaint(const Value& value) const {
    return value >= least ? "" : Refusal(Text(), value);
  }
};
template <typename T>
AtLeast(T) -> AtLeast<T>;

struct FiniteAbove {
  double bound;

  std::string Text() const {
    return absl::StrCat("greater than ", bound, " and finite");
  }
  std::string Complaint(double value) const {
    const bool inside = value > bound && std::isfinite(value);
    return inside ? "" : Refusal(Text(), value);
  }
};

struct FiniteDuration {
  std::string Text() const { return "finite"; }
  std::string Complaint(absl::Duration value) const {
    return value < absl::InfiniteDuration() ? "" : Refusal(Text(), value);
  }
};

// 0 turns something off.
template <typename Range>
struct ZeroOr {
  Range others;
  absl::string_view conjunction = " or ";

  std::string Text() const {
    return absl::StrCat("0", conjunction, others.Text());
  }
  template <typename Value>
  std::string Complaint(const Value& value) const {
    const bool inside = value == 0 || others.Complaint(value).empty();
    return inside ? "" : Refusal(Text(), value);
  }
};
template <typename Range>
ZeroOr(Range) -> ZeroOr<Range>;
template <typename Range>
ZeroOr(Range, absl::string_view) -> ZeroOr<Range>;

// Enumerators from 0 to `last`: an enum can be cast from any number.
template <typename Enum>
struct OneOf {
  Enum last;
  absl::string_view text = "one of the named values";

  std::string Text() const { return std::string(text); }
  std::string Complaint(Enum value) const {
    const int number = static_cast<int>(value);
    const bool inside = number >= 0 && number <= static_cast<int>(last);
    return inside ? "" : Refusal(text, value);
  }
};
template <typename Enum>
OneOf(Enum) -> OneOf<Enum>;
template <typename Enum>
OneOf(Enum, absl::string_view) -> OneOf<Enum>;

// Complains of `first`, if it does.
template <typename First, typename Second>
struct Both {
  First first;
  Second second;

  std::string Text() const {
    return absl::StrCat(first.Text(), ", ", second.Text());
  }
  template <typename Value>
  std::string Complaint(const Value& value) const {
    const std::string complaint = first.Complaint(value);
    return complaint.empty() ? second.Complaint(value) : complaint;
  }
};
template <typename First, typename Second>
Both(First, Second) -> Both<First, Second>;

// For a field that means nothing unless another one asks for it.
template <typename Range>
struct OnlyIf {
  bool asked_for;
  Range range;

  std::string Text() const { return range.Text(); }
  template <typename Value>
  std::string Complaint(const Value& value) const {
    return asked_for ? range.Complaint(value) : "";
  }
};
template <typename Range>
OnlyIf(bool, Range) -> OnlyIf<Range>;

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BASE_OPTION_RANGES_H_
