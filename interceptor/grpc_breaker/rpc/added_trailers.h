#ifndef GRPC_BREAKER_RPC_ADDED_TRAILERS_H_
#define GRPC_BREAKER_RPC_ADDED_TRAILERS_H_

// What the library adds to the trailing metadata of a call; see
// trailing_metadata.h for the keys.
//
// Thread-compatible: plain values.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "grpc_breaker/call_history.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/rejection.h"
#include "grpcpp/support/string_ref.h"

namespace grpc_breaker::internal {

using ReceivedMetadata = std::multimap<grpc::string_ref, grpc::string_ref>;

class GRPC_BREAKER_EXPORT AddedTrailers {
 public:
  void AddRejection(const Rejection& rejection);
  void AddHistory(const CallHistory& history);

  // `metadata` refers to the strings in here: it must not outlive them.
  void AppendTo(ReceivedMetadata* metadata) const;

  // Takes out what has come from a server under these keys: those of a
  // breaker further down, which are not about this call.
  static void EraseFrom(ReceivedMetadata* metadata);

 private:
  std::vector<std::pair<std::string, std::string>> entries_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_ADDED_TRAILERS_H_
