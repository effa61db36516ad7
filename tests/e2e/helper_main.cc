// The other process of process_test. It lives until its standard input ends,
// or is killed.
//
//   e2e_helper serve PORT [block]   serves on PORT (0: a free one), and prints
//                                   "PORT\n"; with block, calls are not
//                                   answered, and "call\n" is printed for each
//   e2e_helper chaos PORT SEED      serves on PORT, and is well, fails, waits
//                                   and pushes back as the dice fall
//   e2e_helper pending TARGET       makes calls to TARGET, half of them with
//   the
//                                   metadata "fail", and returns from main with
//                                   all of them pending
//   e2e_helper fork TARGET          calls TARGET, lets go of all of gRPC,
//                                   forks, and calls TARGET again in the child
//                                   and in the parent

#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpc/grpc.h"
#include "grpc_breaker/channel.h"
#include "tests/e2e/test_server.h"
#include "tests/e2e/unary_flavours.h"
#include "tests/e2e/wait.h"

namespace grpc_breaker::e2e {
namespace {

void WaitForEndOfInput() {
  std::string line;
  while (std::getline(std::cin, line)) {
  }
}

int Serve(int port, bool block) {
  // Announced only once calls can come.
  TestServer server(port);
  if (block) {
    Answer answer;
    answer.handler = [](grpc::ServerContext& context) {
      std::cout << "call" << std::endl;
      Gate().Pass(context);
      return grpc::Status::OK;
    };
    server.SetDefault(answer);
  }
  std::cout << server.port() << std::endl;
  WaitForEndOfInput();
  return EXIT_SUCCESS;
}

// Of ten calls, six are answered as they should be.
Answer ChaoticAnswer(std::mt19937_64& dice) {
  Answer answer;
  const auto roll = [&](int sides) {
    return std::uniform_int_distribution<int>(0, sides - 1)(dice);
  };
  switch (roll(10)) {
    case 0:
      answer = Answer::Error(grpc::StatusCode::UNAVAILABLE);
      answer.messages = roll(3);
      break;
    case 1: {
      constexpr grpc::StatusCode kCodes[] = {
          grpc::StatusCode::NOT_FOUND, grpc::StatusCode::RESOURCE_EXHAUSTED,
          grpc::StatusCode::ABORTED};
      answer = Answer::Error(kCodes[roll(3)]);
      answer.headers_first = roll(2) == 0;
      break;
    }
    case 2:
      answer = Answer::Error(grpc::StatusCode::UNAVAILABLE);
      answer.trailing_metadata = {
          {"grpc-retry-pushback-ms", absl::StrCat(roll(40) - 5)}};
      break;
    case 3:
      answer.handler =
          [delay = absl::Milliseconds(roll(60))](grpc::ServerContext& context) {
            absl::SleepFor(delay);
            return context.IsCancelled() ? grpc::Status::CANCELLED
                                         : grpc::Status::OK;
          };
      break;
    default:
      answer.headers_first = roll(2) == 0;
  }
  return answer;
}

int ServeChaos(int port, uint64_t seed) {
  std::mt19937_64 dice(seed);
  TestServer server(port);
  // One at a time, since the server asks under its lock.
  server.SetDefault([&dice] { return ChaoticAnswer(dice); });
  std::cout << server.port() << std::endl;
  WaitForEndOfInput();
  return EXIT_SUCCESS;
}

// What an application that just returns from main leaves behind.
int LeavePending(const std::string& target) {
  Options options;
  Policy& policy = options.services["/grpc_breaker.e2e.TestService/"];
  policy.idempotency = Idempotency::kRepeatable;
  policy.retry.base_delay = absl::Hours(1);
  policy.retry.max_delay = absl::Hours(1);
  policy.breaker.enabled = false;
  auto channel =
      CreateChannel(target, grpc::InsecureChannelCredentials(), options);
  if (!channel.ok()) return EXIT_FAILURE;
  static auto* const calls = new std::vector<std::unique_ptr<UnderWay>>;
  const Flavour flavours[] = {Flavour::kQueue, Flavour::kCallback,
                              Flavour::kReactor};
  for (int i = 0; i < 10; ++i) {
    for (const bool fail : {false, true}) {
      calls->push_back(StartCall(flavours[i % 3], *channel, "hello",
                                 [fail](grpc::ClientContext* context) {
                                   if (fail) context->AddMetadata("fail", "");
                                 }));
    }
  }
  WaitForEndOfInput();
  return EXIT_SUCCESS;
}

bool CallOnce(const std::string& target) {
  Options options;
  Policy& policy = options.services["/grpc_breaker.e2e.TestService/"];
  policy.idempotency = Idempotency::kRepeatable;
  policy.retry.base_delay = absl::Milliseconds(1);
  auto channel =
      CreateChannel(target, grpc::InsecureChannelCredentials(), options);
  return channel.ok() && Call(Flavour::kSync, *channel, "hello").status.ok();
}

// Whether a thread of gRPC's is left: it gives them names, and the library does
// not.
bool HasNamedThreads() {
  std::set<std::string> names;
  for (const auto& thread :
       std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    if (std::ifstream(thread.path() / "comm") >> name) names.insert(name);
  }
  return names.size() > 1;
}

// As a server does that reads its configuration and forks then. Since gRPC has
// an event engine, its threads take a little longer to go than it says.
int Fork(const std::string& target) {
  if (!CallOnce(target)) return 1;
  WaitUntil([] { return grpc_is_initialized() == 0 && !HasNamedThreads(); },
            "gRPC to shut down");
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);  // Rather than hang.
    _exit(CallOnce(target) ? EXIT_SUCCESS : EXIT_FAILURE);
  }
  int status = -1;
  if (waitpid(child, &status, 0) != child || status != 0) return 2;
  return CallOnce(target) ? EXIT_SUCCESS : 3;
}

int Main(int argc, char** argv) {
  const std::string mode = argc > 2 ? argv[1] : "";
  int port;
  if (mode == "serve" && absl::SimpleAtoi(argv[2], &port)) {
    return Serve(port, argc > 3 && std::strcmp(argv[3], "block") == 0);
  }
  uint64_t seed;
  if (mode == "chaos" && argc > 3 && absl::SimpleAtoi(argv[2], &port) &&
      absl::SimpleAtoi(argv[3], &seed)) {
    return ServeChaos(port, seed);
  }
  if (mode == "pending") return LeavePending(argv[2]);
  if (mode == "fork") return Fork(argv[2]);
  std::cerr
      << "usage: e2e_helper serve PORT [block] | chaos PORT SEED | pending "
         "TARGET | fork TARGET\n";
  return EXIT_FAILURE;
}

}  // namespace
}  // namespace grpc_breaker::e2e

int main(int argc, char** argv) { return grpc_breaker::e2e::Main(argc, argv); }
