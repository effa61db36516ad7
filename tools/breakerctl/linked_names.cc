#include "tools/breakerctl/linked_names.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/descriptor.pb.h"
#include "grpc_breaker/base/nearest_name.h"
#include "tools/breakerctl/files.h"

namespace grpc_breaker::breakerctl {
namespace {

template <typename Policies>
std::set<std::string> NamesOf(const Policies& policies) {
  std::set<std::string> names;
  for (const auto& [name, policy] : policies) names.insert(name);
  return names;
}

}  // namespace

absl::StatusOr<std::unique_ptr<const LinkedNames>> LinkedNames::Read(
    const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  google::protobuf::FileDescriptorSet set;
  if (!set.ParseFromString(*text)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": must be a google.protobuf.FileDescriptorSet"));
  }
  std::unique_ptr<LinkedNames> names(new LinkedNames);
  for (const auto& described : set.file()) {
    const auto* built = names->pool_.BuildFile(described);
    if (built == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ": ", described.name(),
          ": must come with all that it imports (protoc --include_imports)"));
    }
    for (int i = 0; i < built->service_count(); ++i) {
      names->services_.emplace_back(built->service(i)->full_name());
    }
  }
  return std::unique_ptr<const LinkedNames>(std::move(names));
}

absl::Status LinkedNames::Check(const ConfigFile& file) const {
  std::vector<std::string> lines;
  const auto tell = [&](const std::string& field, const std::string& what) {
    if (what.empty()) return;
    lines.push_back(absl::StrCat(file.name(), ":", file.LineOf(field), ": ",
                                 field, ": ", what));
  };
  for (const std::string& name : NamesOf(file.message().services())) {
    tell(absl::StrCat("services[", name, "]"), ComplaintOfService(name));
  }
  for (const std::string& name : NamesOf(file.message().methods())) {
    tell(absl::StrCat("methods[", name, "]"), ComplaintOfMethod(name));
  }
  if (lines.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(lines, "\n"));
}

// "/pkg.Service/", as Check() of the file has made sure.
std::string LinkedNames::ComplaintOfService(const std::string& name) const {
  const std::string service = name.substr(1, name.size() - 2);
  if (pool_.FindServiceByName(service) != nullptr) return "";
  return absl::StrCat("there is no service ", service,
                      internal::NearestNameHint(service, services_));
}

std::string LinkedNames::ComplaintOfMethod(const std::string& name) const {
  const size_t slash = name.rfind('/');
  const std::string method = name.substr(slash + 1);
  const auto* service = pool_.FindServiceByName(name.substr(1, slash - 1));
  if (service == nullptr) return ComplaintOfService(name.substr(0, slash + 1));
  if (service->FindMethodByName(method) != nullptr) return "";
  std::vector<std::string> names;
  for (int i = 0; i < service->method_count(); ++i) {
    names.emplace_back(service->method(i)->name());
  }
  return absl::StrCat("its service has no method ", method,
                      internal::NearestNameHint(method, names));
}

}  // namespace grpc_breaker::breakerctl
