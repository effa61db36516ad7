#ifndef GRPC_BREAKER_TESTS_BENCH_BENCH_UTIL_H_
#define GRPC_BREAKER_TESTS_BENCH_BENCH_UTIL_H_

// What the benchmarks of calls share: a server in this process, channels to it
// with connections of their own, and a table of ratios to the bare channel.
//
// Thread-compatible.

#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "benchmark/benchmark.h"
#include "grpc_breaker/channel.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"

namespace grpc_breaker::bench {

// Of a server with this service, which runs until the process ends.
template <typename Service>
const std::string& ServerAddress() {
  static const std::string* const address = [] {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(new Service);
    builder.BuildAndStart().release();
    return new std::string("127.0.0.1:" + std::to_string(port));
  }();
  return *address;
}

// Channels to one address share connections, unless they have a pool each.
inline grpc::ChannelArguments OwnConnection() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return arguments;
}

inline std::shared_ptr<grpc::Channel> BareChannel(
    const std::string& address, const grpc::ChannelArguments& arguments) {
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(),
                                   arguments);
}

inline std::shared_ptr<grpc::Channel> ChannelUnder(
    Options options, const std::string& address,
    const grpc::ChannelArguments& arguments) {
  options.directory = nullptr;
  auto channel = CreateChannel(address, grpc::InsecureChannelCredentials(),
                               std::move(options), arguments);
  if (!channel.ok()) {
    std::cerr << channel.status() << "\n";
    std::abort();
  }
  return *std::move(channel);
}

// Adds, after the usual table, each row's median time as a ratio to that of the
// row "Bare" of the same name before the last slash, or the inverse of it.
class RatioReporter final : public benchmark::ConsoleReporter {
 public:
  RatioReporter(std::string title, bool inverse)
      : title_(std::move(title)), inverse_(inverse) {}

  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      if (run.run_type == Run::RT_Aggregate && run.aggregate_name == "median") {
        medians_[run.run_name.function_name] = run.GetAdjustedRealTime();
      }
    }
  }

  void Finalize() override {
    std::cout << "\n" << title_ << ", as a ratio to Bare:\n";
    for (const auto& [name, median] : medians_) {
      const double ratio =
          median / medians_[name.substr(0, name.rfind('/')) + "/Bare"];
      std::cout << absl::StrFormat("  %-30s %.3f\n", name,
                                   inverse_ ? 1 / ratio : ratio);
    }
  }

 private:
  const std::string title_;
  const bool inverse_;
  std::map<std::string, double> medians_;
};

// Runs what is registered, in many short rounds in random order, so that a
// change of the machine's mood meets all rows. Returns the exit status.
inline int RunInRounds(int argc, char** argv, int rounds, double seconds,
                       benchmark::ConsoleReporter& reporter) {
  std::vector<std::string> defaults = {
      argv[0], "--benchmark_enable_random_interleaving=true",
      absl::StrFormat("--benchmark_repetitions=%d", rounds),
      absl::StrFormat("--benchmark_min_time=%g", seconds),
      "--benchmark_report_aggregates_only=true"};
  std::vector<char*> arguments;
  for (std::string& argument : defaults) arguments.push_back(argument.data());
  arguments.insert(arguments.end(), argv + 1, argv + argc);
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  return 0;
}

}  // namespace grpc_breaker::bench

#endif  // GRPC_BREAKER_TESTS_BENCH_BENCH_UTIL_H_
