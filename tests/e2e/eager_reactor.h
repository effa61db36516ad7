#ifndef GRPC_BREAKER_TESTS_E2E_EAGER_REACTOR_H_
#define GRPC_BREAKER_TESTS_E2E_EAGER_REACTOR_H_

// A bidi stream that starts all its operations before the call, as reactors
// usually do: one message, and then reads to the end.
//
// Thread-compatible.

#include <memory>
#include <string>
#include <vector>

#include "grpcpp/support/client_callback.h"
#include "test_service.grpc.pb.h"
#include "tests/e2e/stream_flavours.h"
#include "tests/e2e/unary_flavours.h"
#include "tests/e2e/wait.h"

namespace grpc_breaker::e2e {

class EagerReactor final : public grpc::ClientBidiReactor<Request, Reply> {
 public:
  EagerReactor(const std::shared_ptr<grpc::Channel>& channel, bool corked)
      : stub_(TestService::NewStub(channel)) {
    context_.set_initial_metadata_corked(corked);
    request_.set_text("eager");
    stub_->async()->Bidi(&context_, this);
    StartRead(&reply_);
    StartWriteLast(&request_, grpc::WriteOptions());
    StartCall();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    replies_.push_back(reply_.text());
    StartRead(&reply_);
  }
  void OnWriteDone(bool ok) override { written_ = ok; }
  void OnDone(const grpc::Status& status) override { done_.Put(status); }

  StreamResult Wait() {
    StreamResult result;
    result.call = ResultOf(context_, done_.Take("OnDone of an eager reactor"));
    result.replies = replies_;
    result.all_written = written_;
    return result;
  }

 private:
  const std::unique_ptr<TestService::Stub> stub_;
  grpc::ClientContext context_;
  Request request_;
  Reply reply_;
  std::vector<std::string> replies_;
  bool written_ = false;
  Slot<grpc::Status> done_;
};

}  // namespace grpc_breaker::e2e

#endif  // GRPC_BREAKER_TESTS_E2E_EAGER_REACTOR_H_
