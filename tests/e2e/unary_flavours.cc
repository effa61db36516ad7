#include "tests/e2e/unary_flavours.h"

#include <thread>
#include <utility>

#include "grpc_breaker/trailing_metadata.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/client_callback.h"
#include "gtest/gtest.h"
#include "tests/e2e/queue.h"
#include "tests/e2e/wait.h"

namespace grpc_breaker::e2e {
namespace {

using Channel = std::shared_ptr<grpc::Channel>;
using Stub = std::unique_ptr<TestService::Stub>;

Request RequestOf(const std::string& text) {
  Request request;
  request.set_text(text);
  return request;
}

grpc::ByteBuffer BytesOf(const std::string& text) {
  grpc::Slice slice(RequestOf(text).SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

void SetReply(const Reply& reply, CallResult* result) {
  result->has_reply = result->status.ok();
  if (result->status.ok()) result->text = reply.text();
}

void SetReply(grpc::ByteBuffer bytes, CallResult* result) {
  result->has_reply = bytes.Valid();
  if (!result->status.ok() || !bytes.Valid()) return;
  Reply reply;
  result->status =
      grpc::SerializationTraits<Reply>::Deserialize(&bytes, &reply);
  result->text = reply.text();
}

class SyncCall final : public UnderWay {
 public:
  SyncCall(const Channel& channel, const std::string& text,
           const Configure& configure)
      : stub_(TestService::NewStub(channel)), request_(RequestOf(text)) {
    if (configure) configure(&context_);
    thread_ = std::thread(
        [this] { done_.Put(stub_->Unary(&context_, request_, &reply_)); });
  }

  CallResult Wait() override {
    CallResult result = ResultOf(context_, done_.Take("a synchronous call"));
    thread_.join();
    SetReply(reply_, &result);
    return result;
  }

 private:
  const Stub stub_;
  const Request request_;
  Reply reply_;
  Slot<grpc::Status> done_;
  std::thread thread_;
};

class QueueCall final : public UnderWay {
 public:
  QueueCall(const Channel& channel, const std::string& text, bool prepare,
            bool read_metadata, const Configure& configure)
      : read_metadata_(read_metadata) {
    if (configure) configure(&context_);
    const Stub stub = TestService::NewStub(channel);
    const Request request = RequestOf(text);
    if (prepare) {
      reader_ = stub->PrepareAsyncUnary(&context_, request, queue_.get());
      reader_->StartCall();
    } else {
      reader_ = stub->AsyncUnary(&context_, request, queue_.get());
    }
    if (read_metadata_) {
      reader_->ReadInitialMetadata(&read_metadata_);
    } else {
      reader_->Finish(&reply_, &status_, &status_);
    }
  }

  CallResult Wait() override {
    if (read_metadata_) {
      queue_.Next(&read_metadata_, "ReadInitialMetadata of a CQ call");
      reader_->Finish(&reply_, &status_, &status_);
    }
    const bool ok = queue_.Next(&status_, "Finish of a CQ call");
    CallResult result = ResultOf(context_, status_);
    result.finished_ok = ok;
    SetReply(reply_, &result);
    return result;
  }

  bool ShutDownQueue() override {
    if (read_metadata_) return false;
    queue_.ShutDown();
    return true;
  }

 private:
  bool read_metadata_;
  Queue queue_;
  Reply reply_;
  grpc::Status status_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Reply>> reader_;
};

class GenericQueueCall final : public UnderWay {
 public:
  GenericQueueCall(const Channel& channel, const std::string& text,
                   const Configure& configure) {
    if (configure) configure(&context_);
    reader_ = grpc::GenericStub(channel).PrepareUnaryCall(
        &context_, kUnary, BytesOf(text), queue_.get());
    reader_->StartCall();
    reader_->Finish(&reply_, &status_, &status_);
  }

  CallResult Wait() override {
    const bool ok = queue_.Next(&status_, "Finish of a generic CQ call");
    CallResult result = ResultOf(context_, status_);
    result.finished_ok = ok;
    SetReply(reply_, &result);
    return result;
  }

  bool ShutDownQueue() override {
    queue_.ShutDown();
    return true;
  }

 private:
  Queue queue_;
  grpc::ByteBuffer reply_;
  grpc::Status status_;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader_;
};

class CallbackCall final : public UnderWay {
 public:
  CallbackCall(const Channel& channel, const std::string& text,
               const Configure& configure)
      : request_(RequestOf(text)) {
    if (configure) configure(&context_);
    TestService::NewStub(channel)->async()->Unary(
        &context_, &request_, &reply_,
        [this](grpc::Status status) { done_.Put(std::move(status)); });
  }

  CallResult Wait() override {
    CallResult result = ResultOf(context_, done_.Take("a callback call"));
    SetReply(reply_, &result);
    return result;
  }

 private:
  const Request request_;
  Reply reply_;
  Slot<grpc::Status> done_;
};

class GenericCallbackCall final : public UnderWay {
 public:
  GenericCallbackCall(const Channel& channel, const std::string& text,
                      const Configure& configure)
      : request_(BytesOf(text)) {
    if (configure) configure(&context_);
    grpc::GenericStub(channel).UnaryCall(
        &context_, kUnary, grpc::StubOptions(), &request_, &reply_,
        [this](grpc::Status status) { done_.Put(std::move(status)); });
  }

  CallResult Wait() override {
    CallResult result =
        ResultOf(context_, done_.Take("a generic callback call"));
    SetReply(reply_, &result);
    return result;
  }

 private:
  const grpc::ByteBuffer request_;
  grpc::ByteBuffer reply_;
  Slot<grpc::Status> done_;
};

class Reactor final : public grpc::ClientUnaryReactor {
 public:
  void OnDone(const grpc::Status& status) override { done_.Put(status); }
  grpc::Status Wait() { return done_.Take("a reactor call"); }

 private:
  Slot<grpc::Status> done_;
};

class ReactorCall final : public UnderWay {
 public:
  ReactorCall(const Channel& channel, const std::string& text,
              const Configure& configure)
      : request_(RequestOf(text)) {
    if (configure) configure(&context_);
    TestService::NewStub(channel)->async()->Unary(&context_, &request_, &reply_,
                                                  &reactor_);
    reactor_.StartCall();
  }

  CallResult Wait() override {
    CallResult result = ResultOf(context_, reactor_.Wait());
    SetReply(reply_, &result);
    return result;
  }

 private:
  const Request request_;
  Reply reply_;
  Reactor reactor_;
};

class GenericReactorCall final : public UnderWay {
 public:
  GenericReactorCall(const Channel& channel, const std::string& text,
                     const Configure& configure)
      : request_(BytesOf(text)) {
    if (configure) configure(&context_);
    grpc::GenericStub(channel).PrepareUnaryCall(
        &context_, kUnary, grpc::StubOptions(), &request_, &reply_, &reactor_);
    reactor_.StartCall();
  }

  CallResult Wait() override {
    CallResult result = ResultOf(context_, reactor_.Wait());
    SetReply(reply_, &result);
    return result;
  }

 private:
  const grpc::ByteBuffer request_;
  grpc::ByteBuffer reply_;
  Reactor reactor_;
};

Metadata Copy(const std::multimap<grpc::string_ref, grpc::string_ref>& from) {
  Metadata to;
  for (const auto& [key, value] : from) {
    to.emplace(std::string(key.data(), key.size()),
               std::string(value.data(), value.size()));
  }
  return to;
}

}  // namespace

std::vector<Flavour> AllFlavours() {
  return {Flavour::kSync,
          Flavour::kQueue,
          Flavour::kQueueMetadata,
          Flavour::kQueuePrepared,
          Flavour::kCallback,
          Flavour::kReactor,
          Flavour::kGenericCallback,
          Flavour::kGenericQueue,
          Flavour::kGenericReactor};
}

std::vector<UnaryWay> AllUnaryWays() {
  std::vector<UnaryWay> ways;
  for (const Flavour flavour : AllFlavours()) {
    // Their initial metadata come in a batch of their own.
    const bool always_hijacked = flavour == Flavour::kQueueMetadata ||
                                 flavour == Flavour::kReactor ||
                                 flavour == Flavour::kGenericReactor;
    if (!always_hijacked) ways.push_back({flavour, false});
    ways.push_back({flavour, true});
  }
  return ways;
}

std::string ToString(const UnaryWay& way) {
  return ToString(way.flavour) + (way.hijacked ? "Hijacked" : "");
}

bool IsGeneric(Flavour flavour) {
  return flavour == Flavour::kGenericCallback ||
         flavour == Flavour::kGenericQueue ||
         flavour == Flavour::kGenericReactor;
}

std::string ToString(Flavour flavour) {
  switch (flavour) {
    case Flavour::kSync:
      return "Sync";
    case Flavour::kQueue:
      return "Queue";
    case Flavour::kQueueMetadata:
      return "QueueMetadata";
    case Flavour::kQueuePrepared:
      return "QueuePrepared";
    case Flavour::kCallback:
      return "Callback";
    case Flavour::kReactor:
      return "Reactor";
    case Flavour::kGenericCallback:
      return "GenericCallback";
    case Flavour::kGenericQueue:
      return "GenericQueue";
    case Flavour::kGenericReactor:
      return "GenericReactor";
  }
  return "?";
}

CallResult ResultOf(const grpc::ClientContext& context,
                    const grpc::Status& status) {
  CallResult result;
  result.status = status;
  result.initial_metadata = Copy(context.GetServerInitialMetadata());
  result.trailing_metadata = Copy(context.GetServerTrailingMetadata());
  result.debug_error_string = context.debug_error_string();
  return result;
}

std::unique_ptr<UnderWay> StartCall(Flavour flavour, const Channel& channel,
                                    const std::string& text,
                                    const Configure& configure) {
  switch (flavour) {
    case Flavour::kSync:
      return std::make_unique<SyncCall>(channel, text, configure);
    case Flavour::kQueue:
      return std::make_unique<QueueCall>(channel, text, /*prepare=*/false,
                                         /*read_metadata=*/false, configure);
    case Flavour::kQueueMetadata:
      return std::make_unique<QueueCall>(channel, text, /*prepare=*/false,
                                         /*read_metadata=*/true, configure);
    case Flavour::kQueuePrepared:
      return std::make_unique<QueueCall>(channel, text, /*prepare=*/true,
                                         /*read_metadata=*/false, configure);
    case Flavour::kCallback:
      return std::make_unique<CallbackCall>(channel, text, configure);
    case Flavour::kReactor:
      return std::make_unique<ReactorCall>(channel, text, configure);
    case Flavour::kGenericCallback:
      return std::make_unique<GenericCallbackCall>(channel, text, configure);
    case Flavour::kGenericQueue:
      return std::make_unique<GenericQueueCall>(channel, text, configure);
    case Flavour::kGenericReactor:
      return std::make_unique<GenericReactorCall>(channel, text, configure);
  }
  Hangs("a flavour that does not exist");
}

CallResult Call(Flavour flavour, const Channel& channel,
                const std::string& text, const Configure& configure) {
  return StartCall(flavour, channel, text, configure)->Wait();
}

std::string ValueOf(const Metadata& metadata, const std::string& key) {
  const auto it = metadata.find(key);
  return it == metadata.end() ? "" : it->second;
}

Metadata WithoutHistory(Metadata metadata) {
  for (const char* key : {kAttemptsKey, kAttemptHistoryKey, kStoppedKey}) {
    metadata.erase(key);
  }
  return metadata;
}

void ExpectSame(const CallResult& ours, const CallResult& bare) {
  EXPECT_EQ(ours.status.error_code(), bare.status.error_code());
  EXPECT_EQ(ours.status.error_message(), bare.status.error_message());
  EXPECT_EQ(ours.status.error_details(), bare.status.error_details());
  EXPECT_EQ(ours.text, bare.text);
  EXPECT_EQ(ours.has_reply, bare.has_reply);
  EXPECT_EQ(ours.initial_metadata, bare.initial_metadata);
  EXPECT_EQ(WithoutHistory(ours.trailing_metadata), bare.trailing_metadata);
  EXPECT_EQ(ours.finished_ok, bare.finished_ok);
}

}  // namespace grpc_breaker::e2e
