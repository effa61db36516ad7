// How soon calls succeed again after an outage: of a bare channel, and of one
// under breakers, to the same server, which goes away for a while. Both are
// called all the time, and connect again every 500 ms at most.
//
// rpc_recovery [ROUNDS [SECONDS_OF_OUTAGE]]

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "tests/bench/bench_util.h"
#include "tests/bench/echo_service.h"

namespace grpc_breaker::bench {
namespace {

using admin::v1::Breaker;
using admin::v1::CircuitBreakerAdmin;
using admin::v1::GetBreakerRequest;

// Always on the same port.
class Server {
 public:
  void Start() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port_),
                             grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) std::abort();
  }
  void Stop() {
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    server_.reset();
  }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

 private:
  EchoService service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

grpc::ChannelArguments Arguments() {
  grpc::ChannelArguments arguments = OwnConnection();
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 500);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 500);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  return arguments;
}

// Calls every 10 ms, and remembers the last change for the better.
class Caller {
 public:
  explicit Caller(std::shared_ptr<grpc::Channel> channel)
      : stub_(CircuitBreakerAdmin::NewStub(std::move(channel))) {}
  ~Caller() {
    ends_ = true;
    thread_.join();
  }

  bool succeeds() const { return succeeds_; }
  absl::Time succeeds_since() const {
    return absl::FromUnixNanos(succeeds_since_);
  }

 private:
  void Run() {
    while (!ends_) {
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() +
                           std::chrono::seconds(1));
      Breaker reply;
      const bool succeeds =
          stub_->GetBreaker(&context, GetBreakerRequest(), &reply).ok();
      if (succeeds && !succeeds_) {
        succeeds_since_ = absl::ToUnixNanos(absl::Now());
      }
      succeeds_ = succeeds;
      absl::SleepFor(absl::Milliseconds(10));
    }
  }

  const std::unique_ptr<CircuitBreakerAdmin::Stub> stub_;
  std::atomic<bool> ends_{false};
  std::atomic<bool> succeeds_{false};
  std::atomic<int64_t> succeeds_since_{0};
  std::thread thread_{[this] { Run(); }};
};

void WaitUntil(const Caller& caller, bool succeeds) {
  while (caller.succeeds() != succeeds) absl::SleepFor(absl::Milliseconds(1));
}

absl::Duration MedianOf(std::vector<absl::Duration> durations) {
  const auto middle = durations.begin() + durations.size() / 2;
  std::nth_element(durations.begin(), middle, durations.end());
  return *middle;
}

void Measure(int rounds, absl::Duration outage) {
  Server server;
  server.Start();
  Options options;
  options.Service<CircuitBreakerAdmin>().breaker.open_duration =
      absl::Seconds(1);
  options.Service<CircuitBreakerAdmin>().retry.max_retries = 0;
  const Caller bare(BareChannel(server.address(), Arguments()));
  const Caller ours(
      ChannelUnder(std::move(options), server.address(), Arguments()));
  std::vector<absl::Duration> of_bare;
  std::vector<absl::Duration> of_ours;
  for (int i = 0; i < rounds; ++i) {
    for (const Caller* caller : {&bare, &ours}) WaitUntil(*caller, true);
    absl::SleepFor(absl::Seconds(1));  // So that the breaker is CLOSED.
    server.Stop();
    for (const Caller* caller : {&bare, &ours}) WaitUntil(*caller, false);
    // Servers come back at any time between two attempts to connect.
    absl::SleepFor(outage + absl::Milliseconds(37) * i);
    server.Start();
    const absl::Time up = absl::Now();
    for (const Caller* caller : {&bare, &ours}) WaitUntil(*caller, true);
    of_bare.push_back(bare.succeeds_since() - up);
    of_ours.push_back(ours.succeeds_since() - up);
    std::cout << "bare " << of_bare.back() << ", ours " << of_ours.back()
              << std::endl;
  }
  std::cout << "medians: bare " << MedianOf(of_bare) << ", ours "
            << MedianOf(of_ours) << ", ratio "
            << absl::FDivDuration(MedianOf(of_ours), MedianOf(of_bare)) << "\n";
}

}  // namespace
}  // namespace grpc_breaker::bench

int main(int argc, char** argv) {
  int rounds = 15;
  int outage_s = 6;
  if (argc > 3 || (argc > 1 && !absl::SimpleAtoi(argv[1], &rounds)) ||
      (argc > 2 && !absl::SimpleAtoi(argv[2], &outage_s)) || rounds < 1) {
    std::cerr << "usage: rpc_recovery [ROUNDS [SECONDS_OF_OUTAGE]]\n";
    return 2;
  }
  grpc_breaker::bench::Measure(rounds, absl::Seconds(outage_s));
}
