#ifndef GRPC_BREAKER_INTERNAL_CONTEXT_ACCESS_H_
#define GRPC_BREAKER_INTERNAL_CONTEXT_ACCESS_H_

// What an attempt's ClientContext takes over from the application's.
//
// Deadline, credentials and census context have public getters. Authority,
// wait-for-ready, the link to a parent server call and the debug string do not;
// they are reached through pointers to private members, which the language
// lends to explicit instantiations, and only for gRPC versions whose layout was
// checked. With others those settings come from the policy alone, and
// cancellation of a parent call does not reach the attempts.
//
// Thread-compatible.

#include <memory>
#include <optional>
#include <string>

#include "grpc/grpc.h"
#include "grpcpp/client_context.h"
#include "grpcpp/version_info.h"

#if GRPC_CPP_VERSION_MAJOR == 1 && GRPC_CPP_VERSION_MINOR == 51
#define GRPC_BREAKER_HAS_CONTEXT_ACCESS 1
#else
#define GRPC_BREAKER_HAS_CONTEXT_ACCESS 0
#endif

namespace grpc_breaker {
namespace internal {

class ContextSettings {
 public:
  // Reads `context` now; the parent call, if any, must still be alive. Its core
  // call is kept referenced, since a retry may start after its handler
  // returned.
  explicit ContextSettings(grpc::ClientContext& context);

  // For what the context leaves open.
  void SetDefaults(std::optional<bool> wait_for_ready,
                   const std::string& authority);

  // Everything but metadata and deadline.
  void ApplyTo(grpc::ClientContext* attempt) const;

 private:
  std::shared_ptr<grpc::CallCredentials> credentials_;
  struct census_context* census_context_;
  std::optional<bool> wait_for_ready_;
  std::string authority_;
  std::shared_ptr<grpc_call> parent_;
  grpc::PropagationOptions propagation_;
};

// Shows the application what the attempt's core call has to say about a
// failure, through debug_error_string().
void CopyDebugErrorString(const grpc::ClientContext& attempt,
                          grpc::ClientContext* context);

}  // namespace internal
}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_INTERNAL_CONTEXT_ACCESS_H_
