#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_CONFIG_SCHEMA_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_CONFIG_SCHEMA_H_

// The JSON schema of configuration files, for editors.
//
// Thread-safe: a pure function.

#include "google/protobuf/struct.pb.h"

namespace grpc_breaker::breakerctl {

// In draft 7, which editors know best, from the messages themselves. Fields
// have the names that they have in the proto file. Which values are in their
// ranges it does not know.
google::protobuf::Struct ConfigSchema();

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_CONFIG_SCHEMA_H_
