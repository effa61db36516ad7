// Makes so many synchronous calls of one kind, for a tool that counts
// instructions to look at: rpc_paths PATH CALLS. The server is a process of its
// own, which that tool does not follow.

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "tests/bench/bench_util.h"
#include "tests/bench/echo_service.h"

extern char** environ;

namespace grpc_breaker::bench {
namespace {

using admin::v1::Breaker;
using admin::v1::CircuitBreakerAdmin;
using admin::v1::GetBreakerRequest;

// Says where, and serves until its input ends.
int Serve() {
  std::cout << ServerAddress<EchoService>() << std::endl;
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  _exit(0);
}

// This program once more, as the server; it ends with this process.
std::string StartServer(char* program) {
  int input[2];
  int output[2];
  if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0) {
    std::abort();
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
  char serve[] = "--serve";
  char* const arguments[] = {program, serve, nullptr};
  pid_t child;
  if (posix_spawn(&child, program, &actions, nullptr, arguments, environ) !=
      0) {
    std::abort();
  }
  posix_spawn_file_actions_destroy(&actions);
  close(input[0]);
  close(output[1]);
  std::string address;
  char byte;
  while (read(output[0], &byte, 1) == 1 && byte != '\n') address += byte;
  return address;
}

// An interceptor that does nothing: what gRPC itself takes for having one.
class IdleFactory final
    : public grpc::experimental::ClientInterceptorFactoryInterface {
  class Idle final : public grpc::experimental::Interceptor {
    void Intercept(
        grpc::experimental::InterceptorBatchMethods* batch) override {
      batch->Proceed();
    }
  };
  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo* /*info*/) override {
    return new Idle;
  }
};

std::shared_ptr<grpc::Channel> WithIdleInterceptor(const std::string& address) {
  std::vector<
      std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>>
      factories;
  factories.push_back(std::make_unique<IdleFactory>());
  return grpc::experimental::CreateCustomChannelWithInterceptors(
      address, grpc::InsecureChannelCredentials(), OwnConnection(),
      std::move(factories));
}

struct Path {
  const char* name;
  std::shared_ptr<grpc::Channel> (*channel)(const std::string& address);
};

const Path kPaths[] = {
    {"bare",
     [](const std::string& address) {
       return BareChannel(address, OwnConnection());
     }},
    {"idle_interceptor", WithIdleInterceptor},
    {"breaker_only",
     [](const std::string& address) {
       return ChannelUnder(BreakerOnlyPolicy(), address);
     }},
    {"breaker_and_retry",
     [](const std::string& address) {
       return ChannelUnder(Policy(), address);
     }},
    {"hijacked",
     [](const std::string& address) {
       return ChannelUnder(HijackingPolicy(), address);
     }},
};

int Walk(const Path& path, const std::string& address, int calls) {
  const auto stub = CircuitBreakerAdmin::NewStub(path.channel(address));
  GetBreakerRequest request;
  request.set_method("hello");
  for (int i = 0; i < calls; ++i) {
    grpc::ClientContext context;
    Breaker reply;
    const grpc::Status status = stub->GetBreaker(&context, request, &reply);
    if (!status.ok()) {
      std::cerr << status.error_message() << "\n";
      return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace grpc_breaker::bench

int main(int argc, char** argv) {
  using namespace grpc_breaker::bench;
  const std::string first = argc > 1 ? argv[1] : "";
  if (argc == 2 && first == "--serve") return Serve();
  if (argc == 2 && first == "--list") {
    for (const Path& path : kPaths) std::cout << path.name << "\n";
    return 0;
  }
  int calls = 0;
  for (const Path& path : kPaths) {
    if (argc == 3 && first == path.name && absl::SimpleAtoi(argv[2], &calls)) {
      return Walk(path, StartServer(argv[0]), calls);
    }
  }
  std::cerr << "usage: rpc_paths PATH CALLS | --list\n";
  return 2;
}
