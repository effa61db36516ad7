// What the interceptor costs per message of a stream, over TCP loopback to a
// server in this process: synchronous streams of 64 B and 64 KiB messages on
// channels that differ only in what is attached to them. Compare the rows of
// one run with each other, and with Bare; absolute times belong to the machine.

#include <cstdlib>
#include <iostream>
#include <string>

#include "absl/strings/str_format.h"
#include "benchmark/benchmark.h"
#include "tests/bench/bench_util.h"
#include "tests/bench/stream_service.h"

namespace grpc_breaker::bench {
namespace {

constexpr const char* kRows[] = {"Bare", "BareTwice", "Observed", "Retried",
                                 "SecondAttempt"};
constexpr const char* kKinds[] = {"Down", "Up", "PingPong"};

void StreamsUntilDone(benchmark::State& state, Kind kind, Row row, int size) {
  const auto stub =
      Streams::NewStub(ChannelFor(row, ServerAddress<StreamService>()));
  Order order;
  order.set_messages(size < 1024 ? 1000 : 100);
  order.set_size(size);
  Chunk sent;
  sent.set_data(std::string(size, 'x'));
  for (auto _ : state) {
    if (row == Row::kBareTwice) {
      static_cast<void>(
          RunStream(*stub, kind, /*fails_once=*/true, order, sent));
    }
    const grpc::Status status =
        RunStream(*stub, kind, row == Row::kSecondAttempt, order, sent);
    if (!status.ok()) {
      std::cerr << status.error_message() << "\n";
      std::abort();
    }
  }
  state.SetItemsProcessed(state.iterations() * order.messages());
}

void RegisterAll() {
  for (const Kind kind : {Kind::kDown, Kind::kUp, Kind::kPingPong}) {
    for (const int size : {64, 64 * 1024}) {
      for (const Row row : {Row::kBare, Row::kBareTwice, Row::kObserved,
                            Row::kRetried, Row::kSecondAttempt}) {
        // Has sent more than is kept before it hears of the failure.
        if (kind == Kind::kUp &&
            (row == Row::kBareTwice || row == Row::kSecondAttempt)) {
          continue;
        }
        const std::string name =
            absl::StrFormat("%s/%d/%s", kKinds[static_cast<int>(kind)], size,
                            kRows[static_cast<int>(row)]);
        benchmark::RegisterBenchmark(name.c_str(),
                                     [=](benchmark::State& state) {
                                       StreamsUntilDone(state, kind, row, size);
                                     })
            ->UseRealTime();
      }
    }
  }
}

}  // namespace
}  // namespace grpc_breaker::bench

int main(int argc, char** argv) {
  grpc_breaker::bench::RegisterAll();
  grpc_breaker::bench::RatioReporter reporter(
      "Median of the messages per second", /*inverse=*/true);
  return grpc_breaker::bench::RunInRounds(argc, argv, 15, 0.1, reporter);
}
