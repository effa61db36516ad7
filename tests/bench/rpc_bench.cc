// What the interceptor costs per call, over TCP loopback to a server in this
// process: the same unary call on channels that differ only in what is attached
// to them; one at a time by a synchronous stub, and 64 at a time by a
// completion queue and by callback functions. Compare the rows of one run with
// each other, and with Bare; absolute times belong to the machine.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "benchmark/benchmark.h"
#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "grpcpp/completion_queue.h"
#include "tests/bench/bench_util.h"
#include "tests/bench/echo_service.h"

namespace grpc_breaker::bench {
namespace {

const std::string& Address() { return ServerAddress<EchoService>(); }

std::shared_ptr<grpc::Channel> Under(Policy policy) {
  return ChannelUnder(std::move(policy), Address());
}

// ---- What is attached

using MakeChannel = std::shared_ptr<grpc::Channel> (*)();

std::shared_ptr<grpc::Channel> Bare() {
  return BareChannel(Address(), OwnConnection());
}

std::shared_ptr<grpc::Channel> GrpcRetryPolicy() {
  grpc::ChannelArguments arguments = OwnConnection();
  arguments.SetServiceConfigJSON(R"json({"methodConfig": [{
    "name": [{"service": "grpc_breaker.admin.v1.CircuitBreakerAdmin"}],
    "retryPolicy": {"maxAttempts": 4, "initialBackoff": "1s",
      "maxBackoff": "60s", "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE"]}}]})json");
  return BareChannel(Address(), arguments);
}

std::shared_ptr<grpc::Channel> BreakerOnly() {
  return Under(BreakerOnlyPolicy());
}

std::shared_ptr<grpc::Channel> BreakerAndRetry() { return Under(Policy()); }

std::shared_ptr<grpc::Channel> Hijacked() { return Under(HijackingPolicy()); }

std::shared_ptr<grpc::Channel> Open() {
  Policy policy = BreakerOnlyPolicy();
  policy.breaker.consecutive_failures = 1;
  std::shared_ptr<grpc::Channel> channel = Under(policy);
  const auto stub = admin::v1::CircuitBreakerAdmin::NewStub(channel);
  admin::v1::GetBreakerRequest request;
  request.set_method("fail");
  grpc::ClientContext context;
  admin::v1::Breaker reply;
  (void)stub->GetBreaker(&context, request, &reply);
  return channel;
}

// ---- Who calls

using Stub = admin::v1::CircuitBreakerAdmin::Stub;

// One call, of whichever kind.
struct OneCall {
  grpc::ClientContext context;
  admin::v1::Breaker reply;
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncResponseReader<admin::v1::Breaker>> reader;
};

const admin::v1::GetBreakerRequest& TheRequest() {
  static const auto* const request = [] {
    auto* made = new admin::v1::GetBreakerRequest;
    made->set_method("hello");
    return made;
  }();
  return *request;
}

void CallInTurn(benchmark::State& state, MakeChannel make_channel,
                grpc::StatusCode expected) {
  const auto stub = admin::v1::CircuitBreakerAdmin::NewStub(make_channel());
  for (auto _ : state) {
    OneCall call;
    call.status = stub->GetBreaker(&call.context, TheRequest(), &call.reply);
    if (call.status.error_code() != expected) {
      return state.SkipWithError(call.status.error_message().c_str());
    }
  }
}

constexpr int kInFlight = 64;

void CallByQueue(benchmark::State& state, MakeChannel make_channel,
                 grpc::StatusCode expected) {
  const auto stub = admin::v1::CircuitBreakerAdmin::NewStub(make_channel());
  grpc::CompletionQueue queue;
  const auto start = [&] {
    auto* call = new OneCall;
    call->reader = stub->AsyncGetBreaker(&call->context, TheRequest(), &queue);
    call->reader->Finish(&call->reply, &call->status, call);
  };
  const auto finish = [&] {
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    const std::unique_ptr<OneCall> call(static_cast<OneCall*>(tag));
    return ok && call->status.error_code() == expected;
  };
  for (int i = 0; i < kInFlight; ++i) start();
  bool all_well = true;
  for (auto _ : state) {
    all_well &= finish();
    start();
  }
  for (int i = 0; i < kInFlight; ++i) all_well &= finish();
  if (!all_well) state.SkipWithError("a call did not end as it should");
}

// A window of calls by callback functions, which start their successors.
class CallbackCalls {
 public:
  CallbackCalls(Stub* stub, int64_t calls, grpc::StatusCode expected)
      : stub_(*stub),
        unstarted_(calls),
        unfinished_(calls),
        expected_(expected) {}

  // True if all ended as they should.
  bool Run() {
    for (int i = 0; i < kInFlight; ++i) StartOne();
    done_.WaitForNotification();
    return all_well_;
  }

 private:
  void StartOne() {
    if (unstarted_.fetch_sub(1) <= 0) return;
    auto* call = new OneCall;
    stub_.async()->GetBreaker(&call->context, &TheRequest(), &call->reply,
                              [this, call](const grpc::Status& status) {
                                if (status.error_code() != expected_) {
                                  all_well_ = false;
                                }
                                delete call;
                                StartOne();
                                if (unfinished_.fetch_sub(1) == 1) {
                                  done_.Notify();
                                }
                              });
  }

  Stub& stub_;
  std::atomic<int64_t> unstarted_;
  std::atomic<int64_t> unfinished_;
  std::atomic<bool> all_well_{true};
  const grpc::StatusCode expected_;
  absl::Notification done_;
};

void CallByCallback(benchmark::State& state, MakeChannel make_channel,
                    grpc::StatusCode expected) {
  constexpr int64_t kCalls = 500;
  const auto stub = admin::v1::CircuitBreakerAdmin::NewStub(make_channel());
  while (state.KeepRunningBatch(kCalls)) {
    if (!CallbackCalls(stub.get(), kCalls, expected).Run()) {
      return state.SkipWithError("a call did not end as it should");
    }
  }
}

void RegisterAll() {
  const std::pair<const char*, MakeChannel> channels[] = {
      {"Bare", Bare},
      {"GrpcRetryPolicy", GrpcRetryPolicy},
      {"BreakerOnly", BreakerOnly},
      {"BreakerAndRetry", BreakerAndRetry},
      {"Hijacked", Hijacked}};
  const std::pair<const char*,
                  void (*)(benchmark::State&, MakeChannel, grpc::StatusCode)>
      callers[] = {{"Sync", CallInTurn},
                   {"Queue", CallByQueue},
                   {"Callback", CallByCallback}};
  for (const auto& [caller_name, caller] : callers) {
    for (const auto& [channel_name, channel] : channels) {
      benchmark::RegisterBenchmark(
          absl::StrCat(caller_name, "/", channel_name).c_str(), caller, channel,
          grpc::StatusCode::OK)
          ->UseRealTime();
    }
  }
  benchmark::RegisterBenchmark("Sync/Open", CallInTurn, Open,
                               grpc::StatusCode::UNAVAILABLE)
      ->UseRealTime();
}

}  // namespace
}  // namespace grpc_breaker::bench

int main(int argc, char** argv) {
  grpc_breaker::bench::RegisterAll();
  grpc_breaker::bench::RatioReporter reporter("Median time of a call",
                                              /*inverse=*/false);
  return grpc_breaker::bench::RunInRounds(argc, argv, 25, 0.2, reporter);
}
