#include "grpc_breaker/registry/method_name.h"

#include "absl/strings/ascii.h"

namespace grpc_breaker::internal {

NameForm FormOf(absl::string_view name) {
  if (name.empty() || name.size() > kMaxNameLength || name[0] != '/') {
    return NameForm::kMalformed;
  }
  bool in_method = false;
  bool in_identifier = false;
  for (const char c : name.substr(1)) {
    if (absl::ascii_isalpha(c) || c == '_' ||
        (in_identifier && absl::ascii_isdigit(c))) {
      in_identifier = true;
    } else if (in_identifier && !in_method && (c == '.' || c == '/')) {
      in_identifier = false;
      in_method = c == '/';
    } else {
      return NameForm::kMalformed;
    }
  }
  if (!in_method) return NameForm::kPrefix;
  return in_identifier ? NameForm::kMethod : NameForm::kService;
}

}  // namespace grpc_breaker::internal
