#ifndef GRPC_BREAKER_REGISTRY_STATUS_DETAILS_H_
#define GRPC_BREAKER_REGISTRY_STATUS_DETAILS_H_

// The google.rpc.Status that travels in the details of a grpc::Status, and what
// the library puts there.
//
// Thread-safe: pure functions over values.

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpc_breaker/call_history.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/v1/rpc_details.pb.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker::internal {

using StatusDetails = google::protobuf::RepeatedPtrField<google::protobuf::Any>;

// Empty if there are none, or if they do not parse.
StatusDetails DetailsOf(const grpc::Status& status);

// Tells this process from others, the parent of a fork included.
uint64_t ThisProcess();

// The last component names the type; what is before says where to find it.
absl::string_view TypeName(absl::string_view type_url);

absl::Duration FromProto(const google::protobuf::Duration& duration);
void ToProto(absl::Duration duration, google::protobuf::Duration* proto);

GRPC_BREAKER_EXPORT void AddDetail(absl::string_view type_url,
                                   const google::protobuf::MessageLite& message,
                                   v1::RpcStatus* details);

GRPC_BREAKER_EXPORT grpc::Status MakeStatus(grpc::StatusCode code,
                                            absl::string_view message,
                                            v1::RpcStatus details);

// Puts `history` among the details of a status that is not OK, in place of one
// of this process. Details that do not parse stay as they are.
GRPC_BREAKER_EXPORT void AddHistory(const CallHistory& history,
                                    grpc::Status* status);

// By its name, such as "UNAVAILABLE"; nothing for any other text.
std::optional<grpc::StatusCode> ParseCode(absl::string_view name);

// "UNAVAILABLE;0,OK;1000": codes, and the delays before them in milliseconds.
GRPC_BREAKER_EXPORT std::string AttemptsText(const CallHistory& history);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_REGISTRY_STATUS_DETAILS_H_
