#ifndef GRPC_BREAKER_EXAMPLES_SUPPORT_SERVER_H_
#define GRPC_BREAKER_EXAMPLES_SUPPORT_SERVER_H_

// The shop's server, in this process, on a free port of 127.0.0.1. It does what
// it is asked, except where it is told to fail:
//
//   shop::Server server;
//   server.FailNext(2, {grpc::StatusCode::UNAVAILABLE, "restarting"});
//
// Thread-safe.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "grpcpp/server.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"

namespace shop {

inline constexpr int kStock = 42;  // Of everything.

class Server {
 public:
  // Decides what becomes of a call.
  using Handler = std::function<grpc::Status(grpc::ServerContext&)>;

  Server();
  ~Server();

  const std::string& target() const { return target_; }

  // The next `times` calls, of whatever method, fail or are handled so.
  void FailNext(int times, const grpc::Status& status);
  void HandleNext(int times, const Handler& handler);

  // Never answers: returns when the caller has given up.
  static grpc::Status Hang(grpc::ServerContext& context);

  // How many calls arrived, of one method ("Charge") or of all.
  int calls(const std::string& method) const;
  int calls() const;

 private:
  class Inventory;
  class Payments;

  grpc::Status Handle(const std::string& method, grpc::ServerContext& context);

  mutable std::mutex mutex_;
  std::deque<Handler> next_;
  std::map<std::string, int> calls_;

  std::unique_ptr<Inventory> inventory_;
  std::unique_ptr<Payments> payments_;
  std::string target_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace shop

#endif  // GRPC_BREAKER_EXAMPLES_SUPPORT_SERVER_H_
