#ifndef GRPC_BREAKER_TESTS_BENCH_PATHS_H_
#define GRPC_BREAKER_TESTS_BENCH_PATHS_H_

// What programs share that go one path of calls so many times, for a tool that
// counts instructions to look at: PROGRAM PATH TIMES. The server is a process
// of its own, which that tool does not follow.
//
// Thread-compatible.

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/support/client_interceptor.h"
#include "tests/bench/bench_util.h"

extern char** environ;

namespace grpc_breaker::bench {

struct Path {
  std::string name;
  // To the server at `address`; returns the first failure.
  std::function<grpc::Status(const std::string& address, int times)> walk;
};

// This program once more, as the server; it ends with this process.
inline std::string StartServer(char* program) {
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

// The main function. Returns the exit status.
template <typename Service>
int WalkPath(int argc, char** argv, const std::vector<Path>& paths) {
  const std::string first = argc > 1 ? argv[1] : "";
  if (argc == 2 && first == "--serve") {
    // Says where, and serves until its input ends.
    std::cout << ServerAddress<Service>() << std::endl;
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    _exit(0);
  }
  if (argc == 2 && first == "--list") {
    for (const Path& path : paths) std::cout << path.name << "\n";
    return 0;
  }
  int times = 0;
  for (const Path& path : paths) {
    if (argc != 3 || first != path.name || !absl::SimpleAtoi(argv[2], &times)) {
      continue;
    }
    const grpc::Status status = path.walk(StartServer(argv[0]), times);
    if (status.ok()) return 0;
    std::cerr << status.error_message() << "\n";
    return 1;
  }
  std::cerr << "usage: " << argv[0] << " PATH TIMES | --list\n";
  return 2;
}

// Makes interceptors of a class that knows nothing of its call: what gRPC
// itself takes for having one.
template <typename Interceptor>
class FactoryOf final
    : public grpc::experimental::ClientInterceptorFactoryInterface {
  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo* /*info*/) override {
    return new Interceptor;
  }
};

class IdleInterceptor final : public grpc::experimental::Interceptor {
  void Intercept(grpc::experimental::InterceptorBatchMethods* batch) override {
    batch->Proceed();
  }
};

template <typename Interceptor>
std::shared_ptr<grpc::Channel> ChannelWith(
    const std::string& address, const grpc::ChannelArguments& arguments) {
  std::vector<
      std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>>
      factories;
  factories.push_back(std::make_unique<FactoryOf<Interceptor>>());
  return grpc::experimental::CreateCustomChannelWithInterceptors(
      address, grpc::InsecureChannelCredentials(), arguments,
      std::move(factories));
}

}  // namespace grpc_breaker::bench

#endif  // GRPC_BREAKER_TESTS_BENCH_PATHS_H_
