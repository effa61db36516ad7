#ifndef GRPC_BREAKER_TESTS_ADMIN_FIXTURE_H_
#define GRPC_BREAKER_TESTS_ADMIN_FIXTURE_H_

// The admin service in a server of the application's own, and channels that it
// shows, on a manual clock.

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "grpc_breaker/admin_service.h"
#include "grpc_breaker/breaker_events.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/channels_fixture.h"

namespace grpc_breaker {

// Far longer than anything here takes: ends a test that would hang.
inline void GiveUpLater(grpc::ClientContext* context) {
  context->set_deadline(std::chrono::system_clock::now() +
                        std::chrono::seconds(60));
}

// Keeps the audits that it hears.
class Auditor : public BreakerListener {
 public:
  void OnAudit(const BreakerAudit& audit) override {
    internal::MutexLock lock(mutex_);
    audits_.push_back(audit);
  }
  std::vector<BreakerAudit> audits() const {
    internal::MutexLock lock(mutex_);
    return audits_;
  }

 private:
  mutable absl::Mutex mutex_;
  std::vector<BreakerAudit> audits_ ABSL_GUARDED_BY(mutex_);
};

class AdminFixture : public ChannelsFixture<ManualEnvironment> {
 protected:
  using Stub = admin::v1::CircuitBreakerAdmin::Stub;

  ~AdminFixture() override { Stop(); }

  void Serve(AdminServiceOptions options = AdminServiceOptions(),
             const std::string& address = "127.0.0.1:0") {
    options.directory = &directory_;
    Stop();
    service_ = MakeAdminService(std::move(options));
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    stub_ = admin::v1::CircuitBreakerAdmin::NewStub(grpc::CreateChannel(
        address == "127.0.0.1:0" ? absl::StrCat("127.0.0.1:", port) : address,
        grpc::InsecureChannelCredentials()));
  }

  // Ends the calls that are under way.
  void Stop() {
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    server_.reset();
    service_.reset();
  }

  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Stub> stub_;
};

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_TESTS_ADMIN_FIXTURE_H_
