#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "grpc_breaker/policy.h"
#include "grpc_breaker/registry.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"
#include "tests/e2e/fake_batch.h"
#include "tests/e2e/script.h"
#include "tests/e2e/test_server.h"
#include "tests/e2e/wait.h"

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;

grpc::Status ChooseStatus(Script& script) {
  const StatusCode codes[] = {StatusCode::OK, StatusCode::UNAVAILABLE,
                              StatusCode::NOT_FOUND,
                              StatusCode::DEADLINE_EXCEEDED};
  const StatusCode code = codes[script.Choose(4)];
  return grpc::Status(code, code == StatusCode::OK ? "" : "scripted");
}

std::set<Hook> ChooseSome(Script& script, const std::vector<Hook>& hooks) {
  std::set<Hook> chosen;
  for (const Hook hook : hooks) {
    if (script.Choose(4) != 3) chosen.insert(hook);
  }
  return chosen;
}

// One call: what comes to its interceptor, from a server that answers.
class HookPlayer {
 public:
  explicit HookPlayer(Script script) : script_(script) {
    options_.environment = &environment_;
    options_.directory = &directory_;
    Policy& policy = options_.default_policy;
    policy.idempotency = Idempotency::kRepeatable;
    policy.retry.max_retries = 2;
    policy.breaker.consecutive_failures = 2;
    streams_ = script_.Choose(4) == 3;
    switch (script_.Choose(4)) {
      case 0:  // Native first.
        break;
      case 1:
        policy.attempt_timeout = absl::Hours(100);
        break;
      case 2:
        policy.hedging.max_hedges = 1;
        policy.hedging.delay = absl::Milliseconds(1);
        break;
      default:
        policy.retry.max_retries = 0;
    }
    if (script_.Flip()) policy.on_final_failure = [](const FailedCall&) {};
    for (int i = 0; i < 4; ++i) {
      Answer answer;
      answer.status = ChooseStatus(script_);
      server_.Push(std::move(answer));
    }
    call_ = PrepareCall(options_, server_.target(), streams_);
  }

  void Play() {
    while (!script_.over() && batches_.size() < 16) Act();
    // What is held comes when the call is over, and so does the call.
    Cancel();
    for (const auto& batch : batches_) {
      WaitUntil(
          [&] {
            environment_.AdvanceToNextTimer();
            return batch->proceeds + batch->hijacks > 0;
          },
          "a batch");
    }
    // A call that was begun and not ended is abandoned.
    call_->interceptor.reset();
    for (const auto& batch : batches_) {
      EXPECT_EQ(batch->proceeds + batch->hijacks, 1);
    }
    ExpectAtRest(directory_, environment_);
  }

 private:
  void Act() {
    switch (script_.Choose(7)) {
      case 0:
      case 1:
        return Intercept(NewBatch(ChooseSome(
            script_, {Hook::PRE_SEND_INITIAL_METADATA, Hook::PRE_SEND_MESSAGE,
                      Hook::PRE_SEND_CLOSE})));
      case 2:
        return Intercept(NewBatch(ChooseReceives()));
      case 3:
      case 4:
        return Intercept(NewBatch(ChooseSome(
            script_, {Hook::POST_SEND_MESSAGE, Hook::POST_RECV_INITIAL_METADATA,
                      Hook::POST_RECV_MESSAGE, Hook::POST_RECV_STATUS})));
      case 5:
        return Cancel();
      default:
        environment_.AdvanceToNextTimer();
    }
  }
  std::set<Hook> ChooseReceives() {
    return ChooseSome(script_, {Hook::PRE_RECV_INITIAL_METADATA,
                                Hook::PRE_RECV_MESSAGE, Hook::PRE_RECV_STATUS});
  }

  FakeBatch& NewBatch(std::set<Hook> hooks) {
    batches_.push_back(std::make_unique<FakeBatch>(bare_, std::move(hooks)));
    FakeBatch& batch = *batches_.back();
    batch.ends_with_status = script_.Flip();
    batch.has_message = script_.Choose(4) != 3;
    batch.status = ChooseStatus(script_);
    if (script_.Flip()) {
      batch.on_hijack = [this, receives = ChooseReceives()] {
        Intercept(NewBatch(receives));
      };
    }
    return batch;
  }
  void Intercept(FakeBatch& batch) { call_->interceptor->Intercept(&batch); }

  void Cancel() { CancelAt(*call_->interceptor, bare_); }

  Script script_;
  ManualEnvironment environment_;
  Directory directory_;
  Options options_;
  TestServer server_;
  const std::shared_ptr<grpc::Channel> bare_ =
      grpc::CreateChannel(server_.target(), grpc::InsecureChannelCredentials());
  bool streams_;
  std::unique_ptr<PreparedCall> call_;
  std::vector<std::unique_ptr<FakeBatch>> batches_;
};

}  // namespace

void PlayHooks(Script script) { HookPlayer(script).Play(); }

}  // namespace grpc_breaker::e2e
