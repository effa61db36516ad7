#ifndef GRPC_BREAKER_TESTS_BENCH_STREAM_SERVICE_H_
#define GRPC_BREAKER_TESTS_BENCH_STREAM_SERVICE_H_

// What the benchmarks of streams call, synchronously, and what they attach to
// their channels.
//
// Thread-safe.

#include <memory>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "stream_bench.grpc.pb.h"
#include "tests/bench/bench_util.h"

namespace grpc_breaker::bench {

// The key in a call's metadata that asks for a first attempt that fails.
inline constexpr char kFailOnce[] = "fail-once";

class StreamService final : public Streams::Service {
  static grpc::Status Beginning(const grpc::ServerContext& context) {
    const auto& metadata = context.client_metadata();
    const bool fails = metadata.count(kFailOnce) > 0 &&
                       metadata.count("grpc-previous-rpc-attempts") == 0;
    return fails ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "as asked")
                 : grpc::Status::OK;
  }

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

// Of the core's own, for the server to see which attempt it is.
inline grpc::ChannelArguments StreamArguments() {
  grpc::ChannelArguments arguments = OwnConnection();
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  return arguments;
}

// What is attached to a channel. In kBareTwice, as in kSecondAttempt, each
// first attempt fails; but it is the application that makes the second one.
enum class Row { kBare, kBareTwice, kObserved, kRetried, kSecondAttempt };

inline std::shared_ptr<grpc::Channel> ChannelFor(Row row,
                                                 const std::string& address) {
  if (row == Row::kBare || row == Row::kBareTwice) {
    return BareChannel(address, StreamArguments());
  }
  Options options;
  Policy& policy = options.Service<Streams>();
  policy.idempotency = Idempotency::kRepeatable;
  policy.stream_retry.enabled = row != Row::kObserved;
  policy.retry.base_delay = absl::Nanoseconds(1);
  // Half of all attempts fail there.
  policy.breaker.enabled = row != Row::kSecondAttempt;
  return ChannelUnder(std::move(options), address, StreamArguments());
}

enum class Kind { kDown, kUp, kPingPong };

// `fails_once`: so that the first attempt fails, and the next one succeeds.
inline grpc::Status RunStream(Streams::Stub& stub, Kind kind, bool fails_once,
                              const Order& order, const Chunk& sent) {
  grpc::ClientContext context;
  if (fails_once) context.AddMetadata(kFailOnce, "1");
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
      bool goes_on = stream->Write(Chunk()) && stream->Read(&received);
      for (int i = 0; i < order.messages() && goes_on; ++i) {
        goes_on = stream->Write(sent) && stream->Read(&received);
      }
      stream->WritesDone();
      return stream->Finish();
    }
  }
  return grpc::Status::OK;
}

}  // namespace grpc_breaker::bench

#endif  // GRPC_BREAKER_TESTS_BENCH_STREAM_SERVICE_H_
