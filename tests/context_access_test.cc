#include "grpc_breaker/rpc/context_access.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "grpc/grpc_security.h"
#include "grpc/support/alloc.h"
#include "grpc_breaker/registry/grpc_compat.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/impl/codegen/delegating_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {

namespace {

#if GRPC_BREAKER_HAS_PRIVATE_ACCESS
// A core call that nobody starts, to be some call's parent.
class CoreCall {
 public:
  CoreCall() {
    grpc_init();
    grpc_channel_credentials* credentials = grpc_insecure_credentials_create();
    channel_ = grpc_channel_create("127.0.0.1:1", credentials, nullptr);
    grpc_channel_credentials_release(credentials);
    queue_ = grpc_completion_queue_create_for_pluck(nullptr);
    call_ = grpc_channel_create_call(
        channel_, nullptr, GRPC_PROPAGATE_DEFAULTS, queue_,
        grpc_slice_from_static_string("/pkg.S/M"), nullptr,
        gpr_inf_future(GPR_CLOCK_REALTIME), nullptr);
  }
  ~CoreCall() {
    LetGo();
    grpc_completion_queue_shutdown(queue_);
    grpc_completion_queue_destroy(queue_);
    grpc_channel_destroy(channel_);
    grpc_shutdown();
  }

  grpc_call* get() const { return call_; }
  void LetGo() {
    if (call_ != nullptr) grpc_call_unref(std::exchange(call_, nullptr));
  }

 private:
  grpc_channel* channel_;
  grpc_completion_queue* queue_;
  grpc_call* call_;
};

// What an attempt gets of `context`.
std::unique_ptr<grpc::ClientContext> Attempt(
    grpc::ClientContext& context,
    std::optional<bool> default_wait_for_ready = std::nullopt,
    const std::string& default_authority = "") {
  ContextSettings settings(context);
  settings.SetDefaults(default_wait_for_ready, default_authority);
  auto attempt = std::make_unique<grpc::ClientContext>();
  settings.ApplyTo(attempt.get());
  return attempt;
}

TEST(ContextSettingsTest, FreshContextMakesAFreshAttempt) {
  grpc::ClientContext context;

  const auto attempt = Attempt(context);

  EXPECT_EQ(attempt->credentials(), nullptr);
  EXPECT_EQ(attempt->census_context(), nullptr);
  EXPECT_FALSE((*attempt).*Get(WaitForReadySet()));
  EXPECT_EQ((*attempt).*Get(Authority()), "");
  EXPECT_EQ((*attempt).*Get(ParentCall()), nullptr);
}

TEST(ContextSettingsTest, CredentialsAndCensusContextAreCarriedOver) {
  grpc::ClientContext context;
  const auto credentials = grpc::AccessTokenCredentials("token");
  context.set_credentials(credentials);
  int census = 0;
  auto* const census_context =
      reinterpret_cast<struct census_context*>(&census);
  context.set_census_context(census_context);

  const auto attempt = Attempt(context);

  EXPECT_EQ(attempt->credentials(), credentials);
  EXPECT_EQ(attempt->census_context(), census_context);
}

TEST(ContextSettingsTest, WaitForReadyIsCarriedOverWhicheverItIs) {
  for (const bool wait : {false, true}) {
    grpc::ClientContext context;
    context.set_wait_for_ready(wait);

    // Against a default that says the opposite.
    const auto attempt = Attempt(context, !wait);

    EXPECT_TRUE((*attempt).*Get(WaitForReadySet()));
    EXPECT_EQ((*attempt).*Get(WaitForReady()), wait);
  }
}

TEST(ContextSettingsTest, DefaultsFillWhatTheContextLeavesOpen) {
  for (const bool wait : {false, true}) {
    grpc::ClientContext context;

    const auto attempt = Attempt(context, wait, "policy.test");

    EXPECT_TRUE((*attempt).*Get(WaitForReadySet()));
    EXPECT_EQ((*attempt).*Get(WaitForReady()), wait);
    EXPECT_EQ((*attempt).*Get(Authority()), "policy.test");
  }
}

TEST(ContextSettingsTest, AuthorityOfTheContextWins) {
  grpc::ClientContext context;
  context.set_authority("context.test");

  EXPECT_EQ((*Attempt(context, std::nullopt, "policy.test")).*Get(Authority()),
            "context.test");
}

TEST(ContextSettingsTest, ParentAndWhatItPropagatesAreCarriedOver) {
  CoreCall parent;
  grpc::ClientContext context;
  context.*Get(ParentCall()) = parent.get();
  (context.*Get(Propagation())).disable_deadline_propagation();
  const uint32_t mask = (context.*Get(Propagation())).c_bitmask();
  ASSERT_NE(mask, grpc::PropagationOptions().c_bitmask());

  const ContextSettings settings(context);
  grpc::ClientContext attempt;
  settings.ApplyTo(&attempt);

  EXPECT_EQ(settings.parent().get(), parent.get());
  EXPECT_EQ(settings.propagation_mask(), mask);
  EXPECT_EQ(attempt.*Get(ParentCall()), parent.get());
  EXPECT_EQ((attempt.*Get(Propagation())).c_bitmask(), mask);
}

TEST(ContextSettingsTest, ParentLivesUntilTheLastSettingsGo) {
  CoreCall parent;
  auto context = std::make_unique<grpc::ClientContext>();
  (*context).*Get(ParentCall()) = parent.get();
  auto settings = std::make_unique<ContextSettings>(*context);
  const ContextSettings copy = *settings;
  const std::weak_ptr<grpc_call> watched = copy.parent();

  context.reset();
  settings.reset();
  parent.LetGo();

  EXPECT_FALSE(watched.expired());
  char* peer = grpc_call_get_peer(copy.parent().get());
  EXPECT_NE(peer, nullptr);
  gpr_free(peer);
}

TEST(ContextSettingsTest, MetadataThatAnAttemptWasBornWithAreTakenOut) {
  grpc::ClientContext context;
  const ContextSettings settings(context);
  grpc::ClientContext attempt;
  attempt.AddMetadata("global", "callback");

  settings.ApplyTo(&attempt);

  EXPECT_TRUE((attempt.*Get(Metadata())).empty());
}

TEST(CopyDebugErrorStringTest, ReplacesWhatIsThere) {
  grpc::ClientContext attempt;
  attempt.*Get(DebugErrorString()) = "of the attempt";
  grpc::ClientContext context;
  context.*Get(DebugErrorString()) = "of before";

  CopyDebugErrorString(attempt, &context);

  EXPECT_EQ(context.debug_error_string(), "of the attempt");
}

TEST(CoreChannelOfTest, FindsTheCoresChannelOfAPlainChannelOnly) {
  const auto channel =
      grpc::CreateChannel("127.0.0.1:1", grpc::InsecureChannelCredentials());
  grpc::experimental::DelegatingChannel other(channel);

  EXPECT_NE(CoreChannelOf(channel.get()), nullptr);
  EXPECT_EQ(CoreChannelOf(&other), nullptr);
  EXPECT_EQ(CoreChannelOf(nullptr), nullptr);
}

TEST(TargetOfTest, IsThatOfTheChannelOfTheCall) {
  grpc::ClientContext context;
  EXPECT_EQ(TargetOf(context), std::nullopt);
  const auto channel = grpc::CreateChannel("ipv4:127.0.0.1:1",
                                           grpc::InsecureChannelCredentials());
  grpc::GenericStub stub(channel);
  grpc::CompletionQueue queue;
  const auto call =
      stub.PrepareUnaryCall(&context, "/pkg.S/M", grpc::ByteBuffer(), &queue);

  EXPECT_EQ(TargetOf(context), "ipv4:127.0.0.1:1");
}

#endif  // GRPC_BREAKER_HAS_PRIVATE_ACCESS

TEST(HasTrailersOnlyTest, IsFalseForACallThatWasNeverMade) {
  grpc::ClientContext context;

  EXPECT_FALSE(HasTrailersOnly("", context));
}

}  // namespace
}  // namespace grpc_breaker::internal
