// The demo's server: answers GetPrice, and fails or is late as often as it is
// told to. Writes its address to stdout, and ends when stdin does, so that it
// does not outlive whoever started it.

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <thread>

#include "absl/strings/str_cat.h"
#include "examples/demo/demo.grpc.pb.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"

namespace {

// Looking up a price takes a little.
constexpr std::chrono::milliseconds kWork(2);
constexpr std::chrono::milliseconds kDelay(200);

// Befalls a share of the calls. Thread-safe.
class Fault {
 public:
  // `name` is that of the rate. InvalidArgument if it is none.
  grpc::Status SetRate(const char* name, double rate) {
    if (!(rate >= 0 && rate <= 1)) {
      return grpc::Status(
          grpc::StatusCode::INVALID_ARGUMENT,
          absl::StrCat(name, ": must be in [0, 1], got ", rate));
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    rate_ = rate;
    return grpc::Status::OK;
  }

  // Counts a call; true if it is one that it befalls.
  bool BefallsNext() {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++calls_;
    due_ += rate_;
    if (due_ < 1) return false;
    due_ -= 1;
    return true;
  }

  int64_t calls() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return calls_;
  }

 private:
  mutable std::mutex mutex_;
  double rate_ = 0;
  double due_ = 0;  // Owed, in [0, 1).
  int64_t calls_ = 0;
};

struct Faults {
  Fault failure;
  Fault delay;
};

class Prices final : public demo::Prices::Service {
 public:
  explicit Prices(Faults* faults) : faults_(*faults) {}

  grpc::Status GetPrice(grpc::ServerContext* /*context*/,
                        const demo::GetPriceRequest* request,
                        demo::Price* price) override {
    const bool fails = faults_.failure.BefallsNext();
    const bool is_late = faults_.delay.BefallsNext();
    std::this_thread::sleep_for(is_late ? kWork + kDelay : kWork);
    if (fails) {
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "told to fail");
    }
    price->set_cents(static_cast<int64_t>(request->article().size()) * 100);
    return grpc::Status::OK;
  }

 private:
  Faults& faults_;
};

class Control final : public demo::Control::Service {
 public:
  explicit Control(Faults* faults) : faults_(*faults) {}

  grpc::Status SetFailureRate(
      grpc::ServerContext* /*context*/,
      const demo::SetFailureRateRequest* request,
      demo::SetFailureRateResponse* /*response*/) override {
    return faults_.failure.SetRate("failure_rate", request->failure_rate());
  }

  grpc::Status SetDelayRate(grpc::ServerContext* /*context*/,
                            const demo::SetDelayRateRequest* request,
                            demo::SetDelayRateResponse* /*response*/) override {
    return faults_.delay.SetRate("delay_rate", request->delay_rate());
  }

  grpc::Status GetStatistics(grpc::ServerContext* /*context*/,
                             const demo::GetStatisticsRequest* /*request*/,
                             demo::Statistics* statistics) override {
    statistics->set_calls(faults_.failure.calls());
    return grpc::Status::OK;
  }

 private:
  Faults& faults_;
};

}  // namespace

int main() {
  Faults faults;
  Prices prices(&faults);
  Control control(&faults);
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(&prices);
  builder.RegisterService(&control);
  const auto server = builder.BuildAndStart();
  if (server == nullptr) {
    std::cerr << "demo_server: cannot listen on 127.0.0.1" << std::endl;
    return EXIT_FAILURE;
  }
  std::cout << "127.0.0.1:" << port << std::endl;
  while (std::cin.get() != std::istream::traits_type::eof()) {
  }
  server->Shutdown(std::chrono::system_clock::now());
  return EXIT_SUCCESS;
}
