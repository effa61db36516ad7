#ifndef GRPC_BREAKER_RPC_CONTEXT_ACCESS_H_
#define GRPC_BREAKER_RPC_CONTEXT_ACCESS_H_

// What an attempt's ClientContext takes over from the application's.
//
// Deadline, credentials and census context have public getters. Authority,
// wait-for-ready, the link to a parent server call and the debug string do not;
// they are read as registry/grpc_compat.h tells. Without that there are no
// attempts.
//
// Thread-compatible.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "grpc/grpc.h"
#include "grpc_breaker/export.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"

namespace grpc_breaker::internal {

class GRPC_BREAKER_EXPORT ContextSettings {
 public:
  // Reads `context` now; the parent call, if any, must still be alive. Its core
  // call is kept referenced, since a retry may start after its handler
  // returned.
  explicit ContextSettings(grpc::ClientContext& context);

  // For what the context leaves open.
  void SetDefaults(std::optional<bool> wait_for_ready,
                   const std::string& authority);

  // Everything but metadata and deadline. Takes out metadata that are there
  // already: a process-wide ClientContext::GlobalCallbacks has put them into
  // the application's context as well.
  void ApplyTo(grpc::ClientContext* attempt) const;

  // With which a call of the core's own sends its initial metadata.
  uint32_t initial_metadata_flags() const;

  // The parent server call that calls are linked to; null if there is none.
  const std::shared_ptr<grpc_call>& parent() const { return parent_; }
  uint32_t propagation_mask() const { return propagation_.c_bitmask(); }

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
GRPC_BREAKER_EXPORT void CopyDebugErrorString(
    const grpc::ClientContext& attempt, grpc::ClientContext* context);

// The core's channel behind the C++ one; null if it cannot be read.
GRPC_BREAKER_EXPORT grpc_channel* CoreChannelOf(
    grpc::ChannelInterface* channel);

// The target of the call's channel, as peer() gives it where no transport was
// reached; nothing if it cannot be read.
GRPC_BREAKER_EXPORT std::optional<std::string> TargetOf(
    const grpc::ClientContext& context);

// Whether no headers came before the end of this call, which is over with
// `message`: because the server answered by a single frame, or because the
// stream broke.
GRPC_BREAKER_EXPORT bool HasTrailersOnly(absl::string_view message,
                                         grpc::ClientContext& context);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_CONTEXT_ACCESS_H_
