#include "grpc_breaker/rpc/context_access.h"

#include "grpc/support/alloc.h"
#include "grpc_breaker/registry/grpc_compat.h"
#include "grpc_breaker/status/core_messages.h"
#include "grpcpp/support/client_callback.h"

namespace grpc_breaker::internal {

ContextSettings::ContextSettings(grpc::ClientContext& context)
    : credentials_(context.credentials()),
      census_context_(context.census_context()) {
#if GRPC_BREAKER_HAS_PRIVATE_ACCESS
  if (context.*Get(WaitForReadySet())) {
    wait_for_ready_ = context.*Get(WaitForReady());
  }
  authority_ = context.*Get(Authority());
  if (grpc_call* parent = context.*Get(ParentCall())) {
    grpc_call_ref(parent);
    parent_.reset(parent, grpc_call_unref);
    propagation_ = context.*Get(Propagation());
  }
#endif
}

void ContextSettings::SetDefaults(std::optional<bool> wait_for_ready,
                                  const std::string& authority) {
  if (!wait_for_ready_.has_value()) wait_for_ready_ = wait_for_ready;
  if (authority_.empty()) authority_ = authority;
}

void ContextSettings::ApplyTo(grpc::ClientContext* attempt) const {
  if (credentials_ != nullptr) attempt->set_credentials(credentials_);
  attempt->set_census_context(census_context_);
  if (wait_for_ready_.has_value()) {
    attempt->set_wait_for_ready(*wait_for_ready_);
  }
  if (!authority_.empty()) attempt->set_authority(authority_);
#if GRPC_BREAKER_HAS_PRIVATE_ACCESS
  (attempt->*Get(Metadata())).clear();
  if (parent_ != nullptr) {
    attempt->*Get(ParentCall()) = parent_.get();
    attempt->*Get(Propagation()) = propagation_;
  }
#endif
}

uint32_t ContextSettings::initial_metadata_flags() const {
  if (!wait_for_ready_.has_value()) return 0;
  return GRPC_INITIAL_METADATA_WAIT_FOR_READY_EXPLICITLY_SET |
         (*wait_for_ready_ ? GRPC_INITIAL_METADATA_WAIT_FOR_READY : 0);
}

void CopyDebugErrorString(const grpc::ClientContext& attempt,
                          grpc::ClientContext* context) {
#if GRPC_BREAKER_HAS_PRIVATE_ACCESS
  context->*Get(DebugErrorString()) = attempt.*Get(DebugErrorString());
#else
  (void)attempt;
  (void)context;
#endif
}

grpc_channel* CoreChannelOf(grpc::ChannelInterface* channel) {
#if GRPC_BREAKER_HAS_PRIVATE_ACCESS
  auto* impl = dynamic_cast<grpc::Channel*>(channel);
  return impl != nullptr ? impl->*Get(CoreChannel()) : nullptr;
#else
  (void)channel;
  return nullptr;
#endif
}

std::optional<std::string> TargetOf(const grpc::ClientContext& context) {
#if GRPC_BREAKER_HAS_PRIVATE_ACCESS
  if (grpc_channel* channel =
          CoreChannelOf((context.*Get(ChannelOfContext())).get())) {
    char* target = grpc_channel_get_target(channel);
    std::string result = target;
    gpr_free(target);
    return result;
  }
#else
  (void)context;
#endif
  return std::nullopt;
}

bool HasTrailersOnly(absl::string_view message, grpc::ClientContext& context) {
  // gRPC 1.83, built with assertions, does not survive to be asked this where
  // it stopped in the middle of headers.
  if (SaysTooLarge(message)) return true;
  // The only door to what the core knows of this.
  class Reactor final : public grpc::internal::ClientReactor {
    void OnDone(const grpc::Status& /*status*/) override {}
  };
  return context.c_call() != nullptr &&
         Reactor().InternalTrailersOnly(context.c_call());
}

}  // namespace grpc_breaker::internal
