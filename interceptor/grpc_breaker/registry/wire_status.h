#ifndef GRPC_BREAKER_REGISTRY_WIRE_STATUS_H_
#define GRPC_BREAKER_REGISTRY_WIRE_STATUS_H_

// Statuses as they come from the wire, where a hostile or careless server may
// have made them.
//
// Thread-safe: a pure function.

#include "grpc_breaker/export.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker::internal {

// Makes a code that there is not UNKNOWN, as gRPC's specification has it, and a
// rejection or history of this process that has come back from a server one
// that was passed on. All else stays as it is.
GRPC_BREAKER_EXPORT void NormalizeReceived(grpc::Status* status);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_REGISTRY_WIRE_STATUS_H_
