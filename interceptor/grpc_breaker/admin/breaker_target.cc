#include "grpc_breaker/admin/breaker_target.h"

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "grpc_breaker/admin/breaker_filter.h"
#include "grpc_breaker/base/nearest_name.h"

namespace grpc_breaker::internal {
namespace {

constexpr int kDefaultMaxBreakers = 100;

}  // namespace

BreakerTarget BreakerTarget::Parse(const admin::v1::Target& message,
                                   Violations& violations) {
  BreakerTarget target;
  target.channel_ = message.channel();
  switch (message.methods_case()) {
    case admin::v1::Target::kMethod:
      target.method_ = message.method();
      CheckMethod("target.method", target.method_, violations);
      break;
    case admin::v1::Target::kMethodPrefix:
      target.method_prefix_ = message.method_prefix();
      CheckMethodPrefix("target.method_prefix", target.method_prefix_,
                        violations);
      break;
    case admin::v1::Target::METHODS_NOT_SET:
      violations.Add("target", "one with method or method_prefix", "neither");
  }
  if (message.max_breakers() < 0) {
    violations.Add("target.max_breakers", "at least 0",
                   absl::StrCat(message.max_breakers()));
  }
  target.max_breakers_ =
      static_cast<size_t>(message.max_breakers() == 0 ? kDefaultMaxBreakers
                                                      : message.max_breakers());
  return target;
}

std::vector<FoundBreaker> BreakerTarget::Find(
    const Directory& directory) const {
  std::vector<FoundBreaker> found;
  const auto add = [&](const std::shared_ptr<Registry>& registry,
                       const Method& method) {
    found.push_back({registry, &method});
    return found.size() <= max_breakers_;
  };
  if (method_.empty()) {
    VisitBreakers(directory, BreakerFilter(channel_, method_prefix_),
                  BreakerName(), add);
  } else {
    VisitRegistries(directory, channel_, "",
                    [&](const std::shared_ptr<Registry>& registry) {
                      const Method* method = registry->Find(method_);
                      return method == nullptr || add(registry, *method);
                    });
  }
  return found;
}

grpc::Status BreakerTarget::CheckCount(
    const std::vector<FoundBreaker>& found) const {
  if (found.empty()) {
    return grpc::Status(
        grpc::StatusCode::NOT_FOUND,
        absl::StrCat(
            "target: no method ",
            method_.empty() ? absl::StrCat("that begins with ", method_prefix_)
                            : method_,
            " was called or has a policy of its own",
            channel_.empty()
                ? ""
                : absl::StrCat(" on a channel called ", Quoted(channel_))));
  }
  if (found.size() > max_breakers_) {
    return grpc::Status(
        grpc::StatusCode::FAILED_PRECONDITION,
        absl::StrCat("target.max_breakers: must be as many as would be "
                     "changed, got ",
                     max_breakers_, ", and there are more"));
  }
  return grpc::Status::OK;
}

}  // namespace grpc_breaker::internal
