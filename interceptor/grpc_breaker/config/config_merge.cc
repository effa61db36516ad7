#include "grpc_breaker/config/config_merge.h"

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "grpc_breaker/config/policy_merge.h"

namespace grpc_breaker::internal {
namespace {

// A Validate()'s "field: description".
FieldViolation ToViolation(const absl::Status& status) {
  const absl::string_view text = status.message();
  const size_t colon = text.find(": ");
  if (colon == absl::string_view::npos) return {"", std::string(text)};
  return {std::string(text.substr(0, colon)),
          std::string(text.substr(colon + 2))};
}

// The policies of a message over those of the application.
class PoliciesMerger {
 public:
  PoliciesMerger(const config::v1::Config& message,
                 const NamedFunctions* functions, Policies* policies)
      : message_(message),
        functions_(functions),
        policies_(*policies),
        given_(*policies) {
    if (message.has_strict_methods()) {
      policies->strict_methods = message.strict_methods();
    }
  }

  FieldViolations Merge() {
    // By default first, so that what is wrong there is told once, and of there.
    Apply({DefaultLayer()}, "", &policies_.default_policy);
    for (const std::string& name :
         Names(given_.services, message_.services())) {
      CheckName(name, &Policies::services);
      policies_.services[name] =
          Merged(name, {DefaultLayer(), ServiceLayer(name)});
    }
    for (const std::string& name : Names(given_.methods, message_.methods())) {
      CheckName(name, &Policies::methods);
      const std::string service = name.substr(0, name.rfind('/') + 1);
      policies_.methods[name] = Merged(
          name, {DefaultLayer(), ServiceLayer(service), MethodLayer(name)});
    }
    return std::move(violations_);
  }

 private:
  // What the message has for some methods.
  struct Layer {
    std::string path;
    const config::v1::Policy* policy;  // Null: nothing.
  };
  using Messages = google::protobuf::Map<std::string, config::v1::Policy>;

  static Layer Find(absl::string_view map, const Messages& policies,
                    const std::string& name) {
    const auto found = policies.find(name);
    return {absl::StrCat(map, "[", name, "]"),
            found == policies.end() ? nullptr : &found->second};
  }

  Layer DefaultLayer() const {
    return {"default_policy", message_.has_default_policy()
                                  ? &message_.default_policy()
                                  : nullptr};
  }
  Layer ServiceLayer(const std::string& name) const {
    return Find("services", message_.services(), name);
  }
  Layer MethodLayer(const std::string& name) const {
    return Find("methods", message_.methods(), name);
  }

  // In order, so that what is wrong is told in the same order each time.
  static std::set<std::string> Names(const std::map<std::string, Policy>& given,
                                     const Messages& messages) {
    std::set<std::string> names;
    for (const auto& [name, policy] : given) names.insert(name);
    for (const auto& [name, policy] : messages) names.insert(name);
    return names;
  }

  // As Validate() does.
  void CheckName(const std::string& name,
                 std::map<std::string, Policy> Policies::*map) {
    Policies only;
    only.strict_methods = policies_.strict_methods;
    (only.*map)[name];
    if (const absl::Status status = only.Validate(); !status.ok()) {
      Tell(ToViolation(status));
    }
  }

  Policy Merged(const std::string& name, const std::vector<Layer>& layers) {
    Policy policy = given_.PolicyFor(name);
    Apply(layers, name, &policy);
    return policy;
  }

  // Each layer over the policy, which is of `name`, or the default if that is
  // empty.
  void Apply(const std::vector<Layer>& layers, absl::string_view name,
             Policy* policy) {
    for (const Layer& layer : layers) {
      if (layer.policy == nullptr) continue;
      for (FieldViolation& violation :
           internal::Merge(*layer.policy, functions_, policy)) {
        violation.field = absl::StrCat(layer.path, ".", violation.field);
        // What is right by itself may be wrong with what this one has.
        Tell(std::move(violation), &layer == &layers.back() ? "" : name);
      }
    }
  }

  // Each once, however many policies inherit it.
  void Tell(FieldViolation violation, absl::string_view policy = "") {
    if (absl::c_linear_search(told_, violation)) return;
    told_.push_back(violation);
    if (!policy.empty()) {
      absl::StrAppend(&violation.description, ", in the policy of ", policy);
    }
    violations_.push_back(std::move(violation));
  }

  const config::v1::Config& message_;
  const NamedFunctions* const functions_;
  Policies& policies_;
  const Policies given_;
  FieldViolations told_;  // Without the policies that they were found in.
  FieldViolations violations_;
};

}  // namespace

FieldViolations Merge(const config::v1::Config& message,
                      const NamedFunctions* functions, Policies* policies) {
  return PoliciesMerger(message, functions, policies).Merge();
}

FieldViolations MergeChannelOptions(const config::v1::Config& message,
                                    Options* options) {
  FieldViolations violations;
  if (message.has_retry_budget()) {
    violations = Merge(message.retry_budget(), &options->retry_budget);
    for (FieldViolation& violation : violations) {
      violation.field = absl::StrCat("retry_budget.", violation.field);
    }
  }
  if (message.has_max_methods()) {
    options->max_methods = message.max_methods();
    Options only;
    only.max_methods = message.max_methods();
    if (const absl::Status status = only.Validate(); !status.ok()) {
      violations.push_back(ToViolation(status));
    }
  }
  const size_t named = options->methods.size();
  if (violations.empty() && named > static_cast<size_t>(options->max_methods)) {
    violations.push_back(
        {"max_methods",
         absl::StrCat("must be at least the number of policies in methods, ",
                      named, ", got ", options->max_methods)});
  }
  if (message.has_probe_when_connected()) {
    options->probe_when_connected = message.probe_when_connected();
  }
  if (message.has_adopt_service_config()) {
    options->adopt_service_config = message.adopt_service_config();
  }
  return violations;
}

}  // namespace grpc_breaker::internal
