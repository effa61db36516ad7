// Sends or receives so many messages of 64 B in synchronous streams of one
// kind, for a tool that counts instructions to look at: see paths.h.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "grpcpp/support/byte_buffer.h"
#include "tests/bench/bench_util.h"
#include "tests/bench/paths.h"
#include "tests/bench/stream_service.h"

namespace grpc_breaker::bench {
namespace {

// As many as are kept for another attempt.
constexpr int kMessagesPerStream = 1000;
constexpr int kSize = 64;

// Keeps what is sent, and does nothing with it: what gRPC itself takes for
// that.
class KeepingInterceptor final : public grpc::experimental::Interceptor {
 public:
  KeepingInterceptor() { kept_.reserve(kMessagesPerStream); }

 private:
  void Intercept(grpc::experimental::InterceptorBatchMethods* batch) override {
    using Hook = grpc::experimental::InterceptionHookPoints;
    if (batch->QueryInterceptionHookPoint(Hook::PRE_SEND_MESSAGE)) {
      kept_.push_back(*batch->GetSerializedSendMessage());
    }
    batch->Proceed();
  }

  std::vector<grpc::ByteBuffer> kept_;
};

grpc::Status Walk(const std::shared_ptr<grpc::Channel>& channel, Kind kind,
                  bool fails_once, int times) {
  const auto stub = Streams::NewStub(channel);
  Order order;
  order.set_size(kSize);
  Chunk sent;
  sent.set_data(std::string(kSize, 'x'));
  grpc::Status status;
  while (times > 0 && status.ok()) {
    order.set_messages(std::min(times, kMessagesPerStream));
    times -= order.messages();
    status = RunStream(*stub, kind, fails_once, order, sent);
  }
  return status;
}

// `channel` makes one to an address.
template <typename Function>
Path StreamsOn(Kind kind, const char* name, bool fails_once, Function channel) {
  const char* const kinds[] = {"down", "up", "ping_pong"};
  return {absl::StrCat(kinds[static_cast<int>(kind)], "_", name),
          [kind, fails_once, channel](const std::string& address, int times) {
            return Walk(channel(address), kind, fails_once, times);
          }};
}

template <typename Interceptor>
Path StreamsWith(Kind kind, const char* name) {
  return StreamsOn(
      kind, name, /*fails_once=*/false, [](const std::string& address) {
        return ChannelWith<Interceptor>(address, StreamArguments());
      });
}

Path StreamsOf(Kind kind, const char* name, Row row) {
  return StreamsOn(
      kind, name, row == Row::kSecondAttempt,
      [row](const std::string& address) { return ChannelFor(row, address); });
}

std::vector<Path> AllPaths() {
  std::vector<Path> paths;
  for (const Kind kind : {Kind::kDown, Kind::kUp, Kind::kPingPong}) {
    paths.push_back(StreamsOf(kind, "bare", Row::kBare));
    paths.push_back(StreamsWith<IdleInterceptor>(kind, "idle_interceptor"));
    if (kind == Kind::kUp) {
      paths.push_back(
          StreamsWith<KeepingInterceptor>(kind, "keeping_interceptor"));
    }
    paths.push_back(StreamsOf(kind, "observed", Row::kObserved));
    paths.push_back(StreamsOf(kind, "retried", Row::kRetried));
    if (kind != Kind::kUp) {
      paths.push_back(StreamsOf(kind, "second_attempt", Row::kSecondAttempt));
    }
  }
  return paths;
}

}  // namespace
}  // namespace grpc_breaker::bench

int main(int argc, char** argv) {
  using namespace grpc_breaker::bench;
  return WalkPath<StreamService>(argc, argv, AllPaths());
}
