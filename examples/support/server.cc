#include "examples/support/server.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "examples/shop.grpc.pb.h"
#include "examples/support/check.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"

namespace shop {

class Server::Inventory final : public shop::Inventory::Service {
 public:
  explicit Inventory(Server* server) : server_(*server) {}

  grpc::Status GetStock(grpc::ServerContext* context,
                        const GetStockRequest* /*request*/,
                        Stock* reply) override {
    reply->set_count(kStock);
    return server_.Handle("GetStock", *context);
  }

  grpc::Status Reserve(grpc::ServerContext* context, const Order* /*request*/,
                       Done* /*reply*/) override {
    return server_.Handle("Reserve", *context);
  }

 private:
  Server& server_;
};

class Server::Payments final : public shop::Payments::Service {
 public:
  explicit Payments(Server* server) : server_(*server) {}

  grpc::Status Charge(grpc::ServerContext* context, const Order* /*request*/,
                      Done* /*reply*/) override {
    return server_.Handle("Charge", *context);
  }

  grpc::Status Refund(grpc::ServerContext* context, const Order* /*request*/,
                      Done* /*reply*/) override {
    return server_.Handle("Refund", *context);
  }

 private:
  Server& server_;
};

Server::Server()
    : inventory_(std::make_unique<Inventory>(this)),
      payments_(std::make_unique<Payments>(this)) {
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(inventory_.get());
  builder.RegisterService(payments_.get());
  server_ = builder.BuildAndStart();
  Check(server_ != nullptr, "the server starts");
  target_ = absl::StrCat("127.0.0.1:", port);
}

Server::~Server() {
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
}

void Server::FailNext(int times, const grpc::Status& status) {
  HandleNext(times, [status](grpc::ServerContext&) { return status; });
}

void Server::HandleNext(int times, const Handler& handler) {
  const std::lock_guard<std::mutex> lock(mutex_);
  next_.insert(next_.end(), times, handler);
}

grpc::Status Server::Hang(grpc::ServerContext& context) {
  // A synchronous handler is not told of a cancellation; it has to ask.
  absl::Notification never;
  while (!context.IsCancelled()) {
    never.WaitForNotificationWithTimeout(absl::Milliseconds(1));
  }
  return grpc::Status::CANCELLED;
}

int Server::calls(const std::string& method) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto it = calls_.find(method);
  return it == calls_.end() ? 0 : it->second;
}

int Server::calls() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  int sum = 0;
  for (const auto& [method, calls] : calls_) sum += calls;
  return sum;
}

grpc::Status Server::Handle(const std::string& method,
                            grpc::ServerContext& context) {
  Handler handler;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++calls_[method];
    if (!next_.empty()) {
      handler = std::move(next_.front());
      next_.pop_front();
    }
  }
  return handler ? handler(context) : grpc::Status::OK;
}

}  // namespace shop
