#ifndef GRPC_BREAKER_INTERNAL_NOTES_H_
#define GRPC_BREAKER_INTERNAL_NOTES_H_

// Notes: what the library adds to the trailing metadata of a call; see
// trailing_metadata.h for the keys.
//
// Thread-compatible: plain values.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "grpc_breaker/circuit_breaker.h"
#include "grpc_breaker/export.h"
#include "grpcpp/support/string_ref.h"

namespace grpc_breaker {
namespace internal {

using ReceivedMetadata = std::multimap<grpc::string_ref, grpc::string_ref>;

class GRPC_BREAKER_EXPORT Notes {
 public:
  void AddRejection(const Rejection& rejection);
  void AddAttempts(int attempts);

  // `metadata` refers to the strings in here: it must not outlive them.
  void AppendTo(ReceivedMetadata* metadata) const;

  // Takes out what has come from a server under these keys: the notes of a
  // breaker further down, which are not about this call.
  static void EraseFrom(ReceivedMetadata* metadata);

 private:
  std::vector<std::pair<std::string, std::string>> notes_;
};

}  // namespace internal
}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_INTERNAL_NOTES_H_
