// What the interceptor costs per message of a stream, over TCP loopback to a
// server in this process: synchronous streams of 64 B and 64 KiB messages on
// channels that differ only in what is attached to them. Compare the rows of
// one run with each other, and with Bare; absolute times belong to the machine.

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "benchmark/benchmark.h"
#include "stream_bench.grpc.pb.h"
#include "tests/bench/bench_util.h"

namespace grpc_breaker::bench {
namespace {

// The key in a call's metadata that asks for a first attempt that fails.
constexpr char kFailOnce[] = "fail-once";

grpc::Status Beginning(const grpc::ServerContext& context) {
  const auto& metadata = context.client_metadata();
  const bool fails = metadata.count(kFailOnce) > 0 &&
                     metadata.count("grpc-previous-rpc-attempts") == 0;
  return fails ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "as asked")
               : grpc::Status::OK;
}

class StreamService final : public Streams::Service {
  grpc::Status Down(grpc::ServerContext* context, const Order* order,
                    grpc::ServerWriter<Chunk>* writer) override {
    grpc::Status status = Beginning(*context);
    if (!status.ok()) return status;
    Chunk chunk;
    chunk.set_data(std::string(order->size(), 'x'));
    for (int i = 0; i < order->messages(); ++i) writer->Write(chunk);
    return grpc::Status::OK;
  }

  grpc::Status Up(grpc::ServerContext* context,
                  grpc::ServerReader<Chunk>* reader, Chunk*) override {
    grpc::Status status = Beginning(*context);
    if (!status.ok()) return status;
    Chunk chunk;
    while (reader->Read(&chunk)) {
    }
    return grpc::Status::OK;
  }

  grpc::Status Both(grpc::ServerContext* context,
                    grpc::ServerReaderWriter<Chunk, Chunk>* stream) override {
    grpc::Status status = Beginning(*context);
    if (!status.ok()) return status;
    Chunk chunk;
    while (stream->Read(&chunk)) stream->Write(chunk);
    return grpc::Status::OK;
  }
};

// What is attached to a channel.
enum class Row { kBare, kObserved, kRetried, kSecondAttempt };
constexpr const char* kRows[] = {"Bare", "Observed", "Retried",
                                 "SecondAttempt"};

std::shared_ptr<grpc::Channel> ChannelFor(Row row) {
  const std::string& address = ServerAddress<StreamService>();
  grpc::ChannelArguments arguments = OwnConnection();
  // Of the core's own, for the server to see which attempt it is.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  if (row == Row::kBare) return BareChannel(address, arguments);
  Options options;
  Policy& policy = options.Service<Streams>();
  policy.idempotency = Idempotency::kRepeatable;
  policy.stream_retry.enabled = row != Row::kObserved;
  policy.retry.base_delay = absl::Nanoseconds(1);
  // Half of all attempts fail there.
  policy.breaker.enabled = row != Row::kSecondAttempt;
  return ChannelUnder(std::move(options), address, arguments);
}

enum class Kind { kDown, kUp, kPingPong };
constexpr const char* kKinds[] = {"Down", "Up", "PingPong"};

grpc::Status RunStream(Streams::Stub& stub, Kind kind, Row row,
                       const Order& order, const Chunk& sent) {
  grpc::ClientContext context;
  if (row == Row::kSecondAttempt) context.AddMetadata(kFailOnce, "1");
  Chunk received;
  switch (kind) {
    case Kind::kDown: {
      const auto stream = stub.Down(&context, order);
      while (stream->Read(&received)) {
      }
      return stream->Finish();
    }
    case Kind::kUp: {
      const auto stream = stub.Up(&context, &received);
      for (int i = 0; i < order.messages(); ++i) stream->Write(sent);
      stream->WritesDone();
      return stream->Finish();
    }
    case Kind::kPingPong: {
      const auto stream = stub.Both(&context);
      // A small one, that is there to be sent again.
      stream->Write(Chunk());
      stream->Read(&received);
      for (int i = 0; i < order.messages(); ++i) {
        stream->Write(sent);
        stream->Read(&received);
      }
      stream->WritesDone();
      return stream->Finish();
    }
  }
  return grpc::Status::OK;
}

void StreamsUntilDone(benchmark::State& state, Kind kind, Row row, int size) {
  const auto stub = Streams::NewStub(ChannelFor(row));
  Order order;
  order.set_messages(size < 1024 ? 1000 : 100);
  order.set_size(size);
  Chunk sent;
  sent.set_data(std::string(size, 'x'));
  for (auto _ : state) {
    const grpc::Status status = RunStream(*stub, kind, row, order, sent);
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
      for (const Row row :
           {Row::kBare, Row::kObserved, Row::kRetried, Row::kSecondAttempt}) {
        // Has sent more than is kept before it hears of the failure.
        if (row == Row::kSecondAttempt && kind == Kind::kUp) continue;
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
