#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_LINKED_NAMES_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_LINKED_NAMES_H_

// The services and methods that a program knows, without that program.

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/descriptor.h"
#include "grpc_breaker/config_file.h"

namespace grpc_breaker::breakerctl {

// Thread-safe: it does not change.
class LinkedNames {
 public:
  // From a google.protobuf.FileDescriptorSet, as protoc writes it, with all
  // that its files import.
  static absl::StatusOr<std::unique_ptr<const LinkedNames>> Read(
      const std::string& path);

  // Whether the services and methods that the file has policies for are among
  // them.
  absl::Status Check(const ConfigFile& file) const;

 private:
  LinkedNames() = default;

  // What is wrong with a name; empty if nothing is.
  std::string ComplaintOfService(const std::string& name) const;
  std::string ComplaintOfMethod(const std::string& name) const;

  google::protobuf::DescriptorPool pool_;
  std::vector<std::string> services_;  // "pkg.Service"
};

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_LINKED_NAMES_H_
