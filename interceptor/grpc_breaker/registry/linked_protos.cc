#include "grpc_breaker/registry/linked_protos.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"

namespace grpc_breaker::internal {
namespace {

size_t EditDistance(absl::string_view a, absl::string_view b) {
  // From the characters of `a` so far to each beginning of `b`.
  std::vector<size_t> distances(b.size() + 1);
  std::iota(distances.begin(), distances.end(), 0);
  for (const char c : a) {
    size_t diagonal = distances[0]++;
    for (size_t i = 0; i < b.size(); ++i) {
      const size_t replaced = diagonal + (c == b[i] ? 0 : 1);
      diagonal = distances[i + 1];
      distances[i + 1] =
          std::min({replaced, distances[i] + 1, distances[i + 1] + 1});
    }
  }
  return distances.back();
}

}  // namespace

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
  for (int i = 0; i < descriptor->method_count(); ++i) {
    names.emplace_back(descriptor->method(i)->name());
  }
  return names;
}

std::string NearestName(absl::string_view name,
                        absl::Span<const std::string> names) {
  const auto nearest =
      std::min_element(names.begin(), names.end(),
                       [&](const std::string& a, const std::string& b) {
                         return EditDistance(name, a) < EditDistance(name, b);
                       });
  return nearest == names.end() ? "" : *nearest;
}

}  // namespace grpc_breaker::internal
