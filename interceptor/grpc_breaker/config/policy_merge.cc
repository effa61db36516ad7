#include "grpc_breaker/config/policy_merge.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "google/protobuf/message.h"
#include "google/protobuf/reflection.h"
#include "grpc_breaker/base/nearest_name.h"
#include "grpc_breaker/config/message_fields.h"
#include "grpc_breaker/config/policy_message.h"
#include "grpc_breaker/config/time_message.h"
#include "grpc_breaker/config/value_text.h"

namespace grpc_breaker::internal {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// What `name` is not, of `known` names.
std::string NotAmong(absl::string_view name, absl::string_view what,
                     const std::vector<std::string>& known) {
  return absl::StrCat("must be ", what, ", got ", Quoted(name),
                      NearestNameHint(name, known));
}

// --- From a message to a struct ---

class Merger {
 public:
  Merger(const NamedFunctions* functions, FieldViolations* violations)
      : functions_(functions), violations_(*violations) {}

  // Sets in `options` what is set in the message at `path`.
  template <typename Options>
  void SetFields(const Message& message, absl::string_view path,
                 Options* options) {
    ForEachCounterpart(
        *options, message.GetDescriptor(),
        [&](const auto& field, const FieldDescriptor* counterpart) {
          if (counterpart == nullptr) return;
          Get(message, *counterpart, FieldPath(path, counterpart->name()),
              &field.value);
        });
  }

  // Complains of the fields of `after` that are out of their ranges, unless
  // they were so `before` and are not set in the message, which may be null.
  template <typename Options>
  void CheckFields(const Options& before, const Options& after,
                   const Message* message, const Descriptor* type,
                   absl::string_view path) {
    auto next = Counterparts<Options>(type).begin();
    ForEachPairOfFields(before, after, [&](const auto& old, const auto& field) {
      const FieldDescriptor* counterpart = *next++;
      using Value =
          std::remove_cv_t<std::remove_reference_t<decltype(field.value)>>;
      if constexpr (kIsPartOfAPolicy<Value>) {
        CheckFields(old.value, field.value, Part(message, *counterpart),
                    counterpart->message_type(), FieldPath(path, field.name));
      }
      const std::string complaint = ComplaintOf(field.range, field.value);
      if (complaint.empty()) return;
      if (complaint == ComplaintOf(old.range, old.value) &&
          !IsSet(message, *counterpart)) {
        return;
      }
      Complain(FieldPath(path, field.name),
               absl::StrCat("must be ", complaint));
    });
  }

  void Complain(std::string field, std::string description) {
    violations_.push_back({std::move(field), std::move(description)});
  }

 private:
  static bool IsSet(const Message* message, const FieldDescriptor& field) {
    return message != nullptr && internal::IsSet(*message, field);
  }

  // The message in that field, null if there is none.
  static const Message* Part(const Message* message,
                             const FieldDescriptor& field) {
    if (!IsSet(message, field)) return nullptr;
    return &message->GetReflection()->GetMessage(*message, &field);
  }

  // One for each type that a field of options has. What is not set stays.

  void Get(const Message& message, const FieldDescriptor& field,
           const std::string& /*path*/, bool* value) {
    if (!IsSet(&message, field)) return;
    *value = message.GetReflection()->GetBool(message, &field);
  }

  void Get(const Message& message, const FieldDescriptor& field,
           const std::string& /*path*/, int* value) {
    if (!IsSet(&message, field)) return;
    *value = message.GetReflection()->GetInt32(message, &field);
  }

  void Get(const Message& message, const FieldDescriptor& field,
           const std::string& /*path*/, int64_t* value) {
    if (!IsSet(&message, field)) return;
    *value = message.GetReflection()->GetInt64(message, &field);
  }

  void Get(const Message& message, const FieldDescriptor& field,
           const std::string& /*path*/, double* value) {
    if (!IsSet(&message, field)) return;
    *value = message.GetReflection()->GetDouble(message, &field);
  }

  void Get(const Message& message, const FieldDescriptor& field,
           const std::string& /*path*/, std::string* value) {
    if (!IsSet(&message, field)) return;
    *value = message.GetReflection()->GetString(message, &field);
  }

  void Get(const Message& message, const FieldDescriptor& field,
           const std::string& path, absl::Duration* value) {
    if (!IsSet(&message, field)) return;
    const auto duration =
        FromMessage(static_cast<const google::protobuf::Duration&>(
            message.GetReflection()->GetMessage(message, &field)));
    if (!duration) return Complain(path, "must be a valid duration");
    *value = *duration;
  }

  template <typename Enum, typename = std::enable_if_t<std::is_enum_v<Enum>>>
  void Get(const Message& message, const FieldDescriptor& field,
           const std::string& path, Enum* value) {
    if (!IsSet(&message, field)) return;
    const int number = message.GetReflection()->GetEnumValue(message, &field);
    // UNSPECIFIED is 0, and so is what NumberNamed() does not find.
    for (int i = 0; number != 0; ++i) {
      const auto candidate = static_cast<Enum>(i);
      const absl::string_view name = ToString(candidate);
      if (name.empty()) break;
      if (NumberNamed(field.enum_type(), name) == number) {
        *value = candidate;
        return;
      }
    }
    const auto* named = field.enum_type()->FindValueByNumber(number);
    Complain(path, absl::StrCat("must be one of the named values, got ",
                                named != nullptr ? std::string(named->name())
                                                 : absl::StrCat(number)));
  }

  template <typename T>
  void Get(const Message& message, const FieldDescriptor& field,
           const std::string& path, std::optional<T>* value) {
    if (!IsSet(&message, field)) return;
    T inner{};
    const size_t violations = violations_.size();
    Get(message, field, path, &inner);
    if (violations_.size() == violations) *value = std::move(inner);
  }

  void Get(const Message& message, const FieldDescriptor& field,
           const std::string& /*path*/, std::vector<double>* values) {
    if (!IsSet(&message, field)) return;
    const auto& repeated =
        message.GetReflection()->GetRepeatedFieldRef<double>(message, &field);
    values->assign(repeated.begin(), repeated.end());
  }

  // An element changes what there is for its code.
  void Get(const Message& message, const FieldDescriptor& field,
           const std::string& path,
           std::map<grpc::StatusCode, ClassOverride>* overrides) {
    std::set<int> codes;
    const auto* reflection = message.GetReflection();
    for (int i = 0; i < reflection->FieldSize(message, &field); ++i) {
      const auto& element = static_cast<const config::v1::ClassOverride&>(
          reflection->GetRepeatedMessage(message, &field, i));
      const std::string element_path = absl::StrCat(path, "[", i, "]");
      const int code = element.code();
      if (code < grpc::StatusCode::CANCELLED ||
          code > grpc::StatusCode::UNAUTHENTICATED) {
        Complain(FieldPath(element_path, "code"),
                 absl::StrCat("must be the code of an error, ",
                              element.has_code()
                                  ? absl::StrCat("in [1, 16], got ", code)
                                  : "but there is none"));
        continue;
      }
      if (!codes.insert(code).second) {
        Complain(
            FieldPath(element_path, "code"),
            absl::StrCat("must be in the list once, got ", code, " again"));
        continue;
      }
      ClassOverride& override =
          (*overrides)[static_cast<grpc::StatusCode>(code)];
      const ClassOverride before = override;
      SetFields(element, element_path, &override);
      CheckFields(before, override, &element, element.GetDescriptor(),
                  element_path);
    }
  }

  void Get(const Message& message, const FieldDescriptor& field,
           const std::string& path, Fallback* fallback) {
    if (!IsSet(&message, field)) return;
    const auto& part =
        static_cast<const config::v1::FallbackPolicy&>(*Part(&message, field));
    static const Fallback& nothing = *new Fallback(Fallback::Fixed({}));
    if (part.has_name()) {
      const Fallback* named = Named(
          part.name(), functions_ ? &functions_->fallbacks : nullptr, nothing,
          FieldPath(path, "name"), "a fallback of the application");
      if (named != nullptr) *fallback = *named;
    } else if (fallback->function == nullptr) {
      if (functions_ != nullptr) {
        Complain(path, "must have a name, there is none to inherit");
      }
      fallback->function = nothing.function;
    }
    SetFields(part, path, fallback);
  }

  // Comes with its fallback.
  static void Get(const Message&, const FieldDescriptor&, const std::string&,
                  std::function<FallbackResult(const FailedCall&)>*) {}

  void Get(const Message& message, const FieldDescriptor& field,
           const std::string& path,
           std::function<void(const FailedCall&)>* hook) {
    GetHook(message, field, path,
            functions_ ? &functions_->final_failure_hooks : nullptr, hook);
  }

  void Get(const Message& message, const FieldDescriptor& field,
           const std::string& path,
           std::function<void(const FinishedAttempt&)>* hook) {
    GetHook(message, field, path,
            functions_ ? &functions_->attempt_hooks : nullptr, hook);
  }

  template <typename Options,
            std::enable_if_t<kIsPartOfAPolicy<Options>, bool> = true>
  void Get(const Message& message, const FieldDescriptor& field,
           const std::string& path, Options* part) {
    if (!IsSet(&message, field)) return;
    SetFields(*Part(&message, field), path, part);
  }

  template <typename Function>
  void GetHook(const Message& message, const FieldDescriptor& field,
               const std::string& path,
               const std::map<std::string, Function>* functions,
               Function* hook) {
    if (IsSet(&message, field)) {
      static const auto& nothing = *new Function([](const auto&) {});
      const Function* named =
          Named(message.GetReflection()->GetString(message, &field), functions,
                nothing, path, "a hook of the application");
      if (named != nullptr) *hook = *named;
    }
    CheckShown(message, *ShownHook(field), field, *hook != nullptr);
  }

  // What a message can only show must be as it is.
  void CheckShown(const Message& message, const FieldDescriptor& shown,
                  const FieldDescriptor& name, bool is_there) {
    if (!IsSet(&message, shown) ||
        message.GetReflection()->GetBool(message, &shown) == is_there) {
      return;
    }
    Complain(std::string(shown.name()),
             absl::StrCat("is only shown; ", name.name(),
                          " names a function of the application"));
  }

  // The function of that name, or null; `any` where all names will do.
  template <typename Function>
  const Function* Named(const std::string& name,
                        const std::map<std::string, Function>* functions,
                        const Function& any, const std::string& path,
                        absl::string_view what) {
    if (functions == nullptr) return &any;
    const auto found = functions->find(name);
    if (found != functions->end()) return &found->second;
    std::vector<std::string> names;
    for (const auto& [known, function] : *functions) names.push_back(known);
    Complain(path, NotAmong(name, what, names));
    return nullptr;
  }

  const NamedFunctions* const functions_;
  FieldViolations& violations_;
};

// --- Fields as they are by default ---

// The names that messages have for the fields of `Options`.
template <typename Options>
std::vector<std::string> FieldNames(const Descriptor* type) {
  std::vector<std::string> names;
  for (const FieldDescriptor* field : Counterparts<Options>(type)) {
    if (field != nullptr) names.emplace_back(field->name());
  }
  return names;
}

template <typename T>
inline constexpr bool kHasFields =
    kIsPartOfAPolicy<T> || std::is_same_v<T, Fallback>;

// Makes the field at `path`, such as "retry.max_retries", what it is by
// default; says what is wrong if there is none.
template <typename Options>
std::string Reset(absl::string_view path, const Descriptor* type,
                  Options* options) {
  const absl::string_view name = path.substr(0, path.find('.'));
  std::string complaint = NotAmong(name, "a field", FieldNames<Options>(type));
  const Options defaults;
  auto next = Counterparts<Options>(type).begin();
  ForEachPairOfFields(
      *options, defaults, [&](const auto& field, const auto& by_default) {
        const FieldDescriptor* counterpart = *next++;
        if (counterpart == nullptr || counterpart->name() != name) return;
        if (name == path) {
          field.value = by_default.value;
          complaint = "";
          return;
        }
        const absl::string_view rest = path.substr(name.size() + 1);
        using Value = std::remove_reference_t<decltype(field.value)>;
        if constexpr (kHasFields<Value>) {
          complaint = Reset(rest, counterpart->message_type(), &field.value);
        } else {
          complaint = absl::StrCat("must be a field, got ", Quoted(path), "; ",
                                   name, " has none");
        }
      });
  return complaint;
}

}  // namespace

FieldViolations Merge(const config::v1::Policy& message,
                      const NamedFunctions* functions, Policy* policy) {
  FieldViolations violations;
  Merger merger(functions, &violations);
  const Policy before = *policy;
  for (int i = 0; i < message.reset_size(); ++i) {
    const std::string complaint =
        Reset(message.reset(i), message.GetDescriptor(), policy);
    if (!complaint.empty()) {
      merger.Complain(absl::StrCat("reset[", i, "]"), complaint);
    }
  }
  merger.SetFields(message, "", policy);
  merger.CheckFields(before, *policy, &message, message.GetDescriptor(), "");
  return violations;
}

FieldViolations Merge(const config::v1::RetryBudget& message,
                      RetryBudgetOptions* options) {
  FieldViolations violations;
  Merger merger(nullptr, &violations);
  const RetryBudgetOptions before = *options;
  merger.SetFields(message, "", options);
  merger.CheckFields(before, *options, &message, message.GetDescriptor(), "");
  return violations;
}

}  // namespace grpc_breaker::internal
