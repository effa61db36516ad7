#include "grpc_breaker/registry/linked_protos.h"

#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"

namespace grpc_breaker::internal {

bool IsDeclaredIdempotent(absl::string_view method) {
  const std::string full_name =
      absl::StrReplaceAll(absl::StripPrefix(method, "/"), {{"/", "."}});
  const google::protobuf::MethodDescriptor* descriptor =
      google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(
          full_name);
  return descriptor != nullptr &&
         descriptor->options().idempotency_level() !=
             google::protobuf::MethodOptions::IDEMPOTENCY_UNKNOWN;
}

std::optional<std::vector<std::string>> MethodsOf(absl::string_view service) {
  const google::protobuf::ServiceDescriptor* descriptor =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
          std::string(service));
  if (descriptor == nullptr) return std::nullopt;
  std::vector<std::string> names;
  names.reserve(static_cast<size_t>(descriptor->method_count()));
  for (int i = 0; i < descriptor->method_count(); ++i) {
    names.emplace_back(descriptor->method(i)->name());
  }
  return names;
}

}  // namespace grpc_breaker::internal
