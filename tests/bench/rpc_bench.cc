// What the interceptor costs per call, over TCP loopback to a server in this
// process: the same synchronous unary call on channels that differ only in what
// is attached to them. Compare the rows of one run with each other, and with
// Bare; absolute times belong to the machine.

#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "benchmark/benchmark.h"
#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "grpc_breaker/channel.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"

namespace grpc_breaker {
namespace {

class EchoService final : public admin::v1::CircuitBreakerAdmin::Service {
  grpc::Status GetBreaker(grpc::ServerContext* /*context*/,
                          const admin::v1::GetBreakerRequest* request,
                          admin::v1::Breaker* reply) override {
    if (request->method() == "fail") {
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "as asked");
    }
    reply->set_method(request->method());
    return grpc::Status::OK;
  }
};

// Runs until the process ends.
const std::string& ServerAddress() {
  static const std::string* const address = [] {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(new EchoService);
    builder.BuildAndStart().release();
    return new std::string("127.0.0.1:" + std::to_string(port));
  }();
  return *address;
}

// Channels to one address share connections, unless they have a pool each.
grpc::ChannelArguments OwnConnection() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return arguments;
}

std::shared_ptr<grpc::Channel> ChannelUnder(Policy policy) {
  Options options;
  options.directory = nullptr;
  options.services["/grpc_breaker.admin.v1.CircuitBreakerAdmin/"] =
      std::move(policy);
  auto channel =
      CreateChannel(ServerAddress(), grpc::InsecureChannelCredentials(),
                    std::move(options), OwnConnection());
  if (!channel.ok()) {
    std::cerr << channel.status() << "\n";
    std::abort();
  }
  return *std::move(channel);
}

void CallUntilDone(benchmark::State& state,
                   const std::shared_ptr<grpc::Channel>& channel,
                   const std::string& method, grpc::StatusCode expected) {
  const auto stub = admin::v1::CircuitBreakerAdmin::NewStub(channel);
  admin::v1::GetBreakerRequest request;
  request.set_method(method);
  for (auto _ : state) {
    grpc::ClientContext context;
    admin::v1::Breaker reply;
    const grpc::Status status = stub->GetBreaker(&context, request, &reply);
    if (status.error_code() != expected) {
      state.SkipWithError(status.error_message().c_str());
      return;
    }
  }
}

void Bare(benchmark::State& state) {
  CallUntilDone(
      state,
      grpc::CreateCustomChannel(
          ServerAddress(), grpc::InsecureChannelCredentials(), OwnConnection()),
      "hello", grpc::StatusCode::OK);
}

void NativeRetryPolicy(benchmark::State& state) {
  grpc::ChannelArguments arguments = OwnConnection();
  arguments.SetServiceConfigJSON(R"json({"methodConfig": [{
    "name": [{"service": "grpc_breaker.admin.v1.CircuitBreakerAdmin"}],
    "retryPolicy": {"maxAttempts": 4, "initialBackoff": "1s",
      "maxBackoff": "60s", "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE"]}}]})json");
  CallUntilDone(
      state,
      grpc::CreateCustomChannel(ServerAddress(),
                                grpc::InsecureChannelCredentials(), arguments),
      "hello", grpc::StatusCode::OK);
}

void BreakerOnly(benchmark::State& state) {
  Policy policy;
  policy.retry.max_retries = 0;
  CallUntilDone(state, ChannelUnder(policy), "hello", grpc::StatusCode::OK);
}

void BreakerAndRetry(benchmark::State& state) {
  CallUntilDone(state, ChannelUnder(Policy()), "hello", grpc::StatusCode::OK);
}

void FailFast(benchmark::State& state) {
  Policy policy;
  policy.retry.max_retries = 0;
  policy.breaker.consecutive_failures = 1;
  const auto channel = ChannelUnder(policy);
  const auto stub = admin::v1::CircuitBreakerAdmin::NewStub(channel);
  admin::v1::GetBreakerRequest request;
  request.set_method("fail");
  grpc::ClientContext context;
  admin::v1::Breaker reply;
  (void)stub->GetBreaker(&context, request, &reply);
  CallUntilDone(state, channel, "hello", grpc::StatusCode::UNAVAILABLE);
}

BENCHMARK(Bare)->UseRealTime();
BENCHMARK(NativeRetryPolicy)->UseRealTime();
BENCHMARK(BreakerOnly)->UseRealTime();
BENCHMARK(BreakerAndRetry)->UseRealTime();
BENCHMARK(FailFast)->UseRealTime();

// Adds, after the usual table, each row's median as a ratio to Bare's.
class RatioReporter final : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      if (run.run_type == Run::RT_Aggregate && run.aggregate_name == "median") {
        medians_[run.run_name.function_name] = run.GetAdjustedRealTime();
      }
    }
  }

  void Finalize() override {
    std::cout << "\nMedian time of a call, as a ratio to Bare:\n";
    for (const auto& [name, median] : medians_) {
      std::cout << absl::StrFormat("  %-20s %.3f\n", name,
                                   median / medians_["Bare"]);
    }
  }

 private:
  std::map<std::string, double> medians_;
};

}  // namespace
}  // namespace grpc_breaker

int main(int argc, char** argv) {
  // Many short rounds in random order, so that a change of the machine's mood
  // meets all rows.
  std::vector<std::string> defaults = {
      argv[0], "--benchmark_enable_random_interleaving=true",
      "--benchmark_repetitions=25", "--benchmark_min_time=0.2",
      "--benchmark_report_aggregates_only=true"};
  std::vector<char*> arguments;
  for (std::string& argument : defaults) arguments.push_back(argument.data());
  arguments.insert(arguments.end(), argv + 1, argv + argc);
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;
  grpc_breaker::RatioReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
}
