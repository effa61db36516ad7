#include "grpc_breaker/rpc/connection_watch.h"

#include <utility>

#include "absl/algorithm/container.h"
#include "grpc/support/time.h"
#include "grpc_breaker/method.h"

namespace grpc_breaker::internal {
namespace {

bool IsOpen(const Method& method, MonotonicTime now) {
  return method.breaker().Snapshot(now).state == BreakerState::kOpen;
}

}  // namespace

void ConnectionWatch::Begin(std::weak_ptr<Registry> registry,
                            const std::shared_ptr<grpc::Channel>& channel) {
  registry_ = std::move(registry);
  channel_ = channel;
}

void ConnectionWatch::OnTransition(const BreakerTransition& transition) {
  if (transition.to == BreakerState::kOpen) WatchIfOpen();
}

void ConnectionWatch::WatchIfOpen() {
  // First what costs nothing: a whole channel's breakers may open at once.
  if (watching_.load()) return;
  const Rundown::Use use(rundown_);
  if (!use.allowed()) return;
  const std::shared_ptr<grpc::Channel> channel = channel_.lock();
  if (channel == nullptr || !AnyOpen() || watching_.exchange(true)) return;
  self_ = shared_from_this();
  WatchFrom(channel->GetState(/*try_to_connect=*/true), *channel);
}

void ConnectionWatch::WatchFrom(grpc_connectivity_state state,
                                grpc::Channel& channel) {
  channel.NotifyOnStateChange(state, gpr_inf_future(GPR_CLOCK_MONOTONIC),
                              queue_->queue(), static_cast<Completion*>(this));
}

void ConnectionWatch::Complete(bool /*ok*/) {
  const std::shared_ptr<ConnectionWatch> self = std::move(self_);
  const Rundown::Use use(rundown_);
  if (!use.allowed()) return;
  const std::shared_ptr<grpc::Channel> channel = channel_.lock();
  if (channel == nullptr) return;
  const grpc_connectivity_state state =
      channel->GetState(/*try_to_connect=*/true);
  // Also if it was before: then it has lost a connection meanwhile.
  if (state == GRPC_CHANNEL_READY) ProbeThoseWithoutAnAnswer();
  if (AnyOpen()) {
    self_ = self;
    return WatchFrom(state, *channel);
  }
  watching_.store(false);
  WatchIfOpen();  // One may have opened meanwhile.
}

bool ConnectionWatch::AnyOpen() const {
  // By a listener that has just been called.
  if (rundown_.ended()) return false;
  const std::shared_ptr<Registry> registry = registry_.lock();
  if (registry == nullptr) return false;
  const MonotonicTime now = registry->environment().Now();
  const std::vector<const Method*> methods = registry->Methods();
  return absl::c_any_of(
      methods, [now](const Method* method) { return IsOpen(*method, now); });
}

// Those whose last failure was one to reach the server.
void ConnectionWatch::ProbeThoseWithoutAnAnswer() const {
  const std::shared_ptr<Registry> registry = registry_.lock();
  if (registry == nullptr) return;
  const MonotonicTime now = registry->environment().Now();
  for (const Method* method : registry->Methods()) {
    if (rundown_.ended()) return;
    const std::optional<LastError> error = method->last_error();
    if (error.has_value() &&
        error->error_class.category == ErrorCategory::kNetwork) {
      method->breaker().ProbeEarly(now);
    }
  }
}

}  // namespace grpc_breaker::internal
