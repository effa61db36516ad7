#include "grpc_breaker/internal/context_access.h"

namespace grpc_breaker {
namespace internal {

#if GRPC_BREAKER_HAS_CONTEXT_ACCESS
namespace {

// Each tag declares a function that PrivateMember defines as a friend. Access
// checks do not apply to the arguments of an explicit instantiation
// ([temp.spec]/6), so the pointer may be to a private member.
template <typename Tag, typename Tag::Pointer kPointer>
struct PrivateMember {
  friend typename Tag::Pointer Get(Tag) { return kPointer; }
};

template <typename Type>
struct MemberOfContext {
  using Pointer = Type grpc::ClientContext::*;
};

struct WaitForReady : MemberOfContext<bool> {
  friend Pointer Get(WaitForReady);
};
template struct PrivateMember<WaitForReady,
                              &grpc::ClientContext::wait_for_ready_>;

struct WaitForReadySet : MemberOfContext<bool> {
  friend Pointer Get(WaitForReadySet);
};
template struct PrivateMember<
    WaitForReadySet, &grpc::ClientContext::wait_for_ready_explicitly_set_>;

struct Authority : MemberOfContext<std::string> {
  friend Pointer Get(Authority);
};
template struct PrivateMember<Authority, &grpc::ClientContext::authority_>;

struct ParentCall : MemberOfContext<grpc_call*> {
  friend Pointer Get(ParentCall);
};
template struct PrivateMember<ParentCall,
                              &grpc::ClientContext::propagate_from_call_>;

struct Propagation : MemberOfContext<grpc::PropagationOptions> {
  friend Pointer Get(Propagation);
};
template struct PrivateMember<Propagation,
                              &grpc::ClientContext::propagation_options_>;

struct DebugErrorString : MemberOfContext<std::string> {
  friend Pointer Get(DebugErrorString);
};
template struct PrivateMember<DebugErrorString,
                              &grpc::ClientContext::debug_error_string_>;

}  // namespace
#endif  // GRPC_BREAKER_HAS_CONTEXT_ACCESS

ContextSettings::ContextSettings(grpc::ClientContext& context)
    : credentials_(context.credentials()),
      census_context_(context.census_context()) {
#if GRPC_BREAKER_HAS_CONTEXT_ACCESS
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
#if GRPC_BREAKER_HAS_CONTEXT_ACCESS
  if (parent_ != nullptr) {
    attempt->*Get(ParentCall()) = parent_.get();
    attempt->*Get(Propagation()) = propagation_;
  }
#endif
}

void CopyDebugErrorString(const grpc::ClientContext& attempt,
                          grpc::ClientContext* context) {
#if GRPC_BREAKER_HAS_CONTEXT_ACCESS
  context->*Get(DebugErrorString()) = attempt.*Get(DebugErrorString());
#else
  (void)attempt;
  (void)context;
#endif
}

}  // namespace internal
}  // namespace grpc_breaker
