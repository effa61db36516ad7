#ifndef GRPC_BREAKER_TESTS_E2E_FAKE_BATCH_H_
#define GRPC_BREAKER_TESTS_E2E_FAKE_BATCH_H_

// Calls whose batches come from a test instead of from gRPC.
//
// Thread-compatible; a batch may proceed on any thread.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "grpc_breaker/channel.h"
#include "grpc_breaker/registry.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/impl/call_op_set.h"
#include "grpcpp/impl/codegen/delegating_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"
#include "grpcpp/support/client_interceptor.h"
#include "gtest/gtest.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/known_leaks.h"
#include "tests/e2e/queue.h"
#include "tests/e2e/test_server.h"
#include "tests/e2e/wait.h"

namespace grpc_breaker::e2e {

using Hook = ::grpc::experimental::InterceptionHookPoints;

// One batch of operations, as an interceptor sees it; of gRPC's own class,
// whose operations tell the type of the reply.
class FakeBatch final : public grpc::internal::InterceptorBatchMethodsImpl {
 public:
  using Received = std::multimap<grpc::string_ref, grpc::string_ref>;

  FakeBatch(std::shared_ptr<grpc::Channel> channel, std::set<Hook> hooks)
      : channel_(std::move(channel)), hooks_(std::move(hooks)) {
    SetCallOpSetInterface(&operations_);
    Request request;
    request.set_text("hello");
    grpc::Slice slice(request.SerializeAsString());
    request_ = grpc::ByteBuffer(&slice, 1);
  }

  bool QueryInterceptionHookPoint(Hook hook) override {
    return hooks_.count(hook) > 0;
  }
  void Proceed() override {
    proceeded_on = std::this_thread::get_id();
    const std::function<void()> then = on_proceed;
    // From here on the test may destroy everything.
    ++proceeds;
    if (then) then();
  }
  void Hijack() override {
    ++hijacks;
    if (on_hijack) on_hijack();
  }

  grpc::ByteBuffer* GetSerializedSendMessage() override { return &request_; }
  const void* GetSendMessage() override { return nullptr; }
  void ModifySendMessage(const void*) override {}
  bool GetSendMessageStatus() override { return true; }
  std::multimap<std::string, std::string>* GetSendInitialMetadata() override {
    return &send_metadata_;
  }
  grpc::Status GetSendStatus() override { return grpc::Status::OK; }
  void ModifySendStatus(const grpc::Status&) override {}
  std::multimap<std::string, std::string>* GetSendTrailingMetadata() override {
    return nullptr;
  }
  void* GetRecvMessage() override { return has_message ? &reply : nullptr; }
  Received* GetRecvInitialMetadata() override { return &initial; }
  grpc::Status* GetRecvStatus() override {
    const bool begins = hooks_.count(Hook::PRE_SEND_INITIAL_METADATA) > 0;
    return begins && !ends_with_status ? nullptr : &status;
  }
  Received* GetRecvTrailingMetadata() override { return &trailing; }
  std::unique_ptr<grpc::ChannelInterface> GetInterceptedChannel() override {
    return std::make_unique<grpc::experimental::DelegatingChannel>(channel_);
  }
  void FailHijackedRecvMessage() override { ++failed_receives; }
  void FailHijackedSendMessage() override { ++failed_sends; }

  void WaitUntilProceeded() {
    WaitUntil([this] { return proceeds > 0; }, "Proceed");
  }

  std::atomic<int> proceeds{0};
  std::atomic<int> hijacks{0};
  std::atomic<int> failed_receives{0};
  std::atomic<int> failed_sends{0};
  std::atomic<std::thread::id> proceeded_on;
  std::function<void()> on_proceed;
  std::function<void()> on_hijack;

  Reply reply;
  bool has_message = true;
  bool ends_with_status = false;  // Of one that begins a call.
  Received initial;
  Received trailing;
  grpc::Status status;

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  const std::set<Hook> hooks_;
  grpc::internal::CallOpSet<
      grpc::internal::CallOpRecvMessage<google::protobuf::MessageLite>>
      operations_;
  std::multimap<std::string, std::string> send_metadata_;
  grpc::ByteBuffer request_;
};

// As an application's TryCancel tells an interceptor; it goes no further.
inline void CancelAt(grpc::experimental::Interceptor& interceptor,
                     const std::shared_ptr<grpc::Channel>& channel) {
  FakeBatch cancel(channel, {Hook::PRE_SEND_CANCEL});
  interceptor.Intercept(&cancel);
  EXPECT_EQ(cancel.proceeds, 0);
  EXPECT_EQ(cancel.hijacks, 0);
}

// Asks `ours` for an interceptor and keeps it from gRPC.
class CapturingFactory final
    : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  CapturingFactory(
      std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>
          ours,
      std::unique_ptr<grpc::experimental::Interceptor>* captured)
      : ours_(std::move(ours)), captured_(*captured) {}

  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo* info) override {
    captured_.reset(ours_->CreateClientInterceptor(info));
    return nullptr;
  }

 private:
  const std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>
      ours_;
  std::unique_ptr<grpc::experimental::Interceptor>& captured_;
};

// A call that gRPC never starts, with an interceptor that it never sees.
struct PreparedCall {
  std::unique_ptr<grpc::experimental::Interceptor> interceptor;
  std::shared_ptr<grpc::Channel> channel;
  grpc::ClientContext context;
  Queue queue;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Reply>> unary;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<Request, Reply>> bidi;
};

inline std::unique_ptr<PreparedCall> PrepareCall(const Options& options,
                                                 const std::string& target,
                                                 bool stream) {
  auto prepared = std::make_unique<PreparedCall>();
  auto registry = Registry::Create(options);
  EXPECT_TRUE(registry.ok());
  FactoryList factories;
  factories.push_back(std::make_unique<CapturingFactory>(
      MakeInterceptorFactory(*registry), &prepared->interceptor));
  prepared->channel = grpc::experimental::CreateCustomChannelWithInterceptors(
      target, grpc::InsecureChannelCredentials(), grpc::ChannelArguments(),
      std::move(factories));
  const auto stub = TestService::NewStub(prepared->channel);
  if (stream) {
    prepared->bidi =
        stub->PrepareAsyncBidi(&prepared->context, prepared->queue.get());
  } else {
    const UnstartedCallScope scope;
    prepared->unary = stub->PrepareAsyncUnary(&prepared->context, Request(),
                                              prepared->queue.get());
  }
  EXPECT_NE(prepared->interceptor, nullptr);
  return prepared;
}

}  // namespace grpc_breaker::e2e

#endif  // GRPC_BREAKER_TESTS_E2E_FAKE_BATCH_H_
