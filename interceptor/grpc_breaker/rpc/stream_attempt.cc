#include "grpc_breaker/rpc/stream_attempt.h"

#include <utility>

#include "grpc_breaker/registry/grpc_compat.h"
#include "grpc_breaker/registry/wire_status.h"

namespace grpc_breaker::internal {
namespace {

// What an operation of ours came back with, as its batch has it: its `ok` is
// told to the application's batch. What failed shows in the status.
void Finalize(grpc::internal::CallOpSetInterface& operations) {
  void* tag;
  bool ok = true;
  operations.FinalizeResult(&tag, &ok);
}

}  // namespace

StreamAttempt::StreamAttempt(grpc::ClientContext& context,
                             const grpc::internal::Call& call)
    : context_(&context), call_(call) {}

StreamAttempt::StreamAttempt(const ContextSettings& settings,
                             const Deadline& deadline, SentMetadata metadata)
    : own_context_(std::make_unique<grpc::ClientContext>()),
      context_(own_context_.get()),
      metadata_(std::move(metadata)),
      metadata_flags_(settings.initial_metadata_flags()) {
  settings.ApplyTo(context_);
  context_->set_deadline(deadline.ForGrpc());
}

void StreamAttempt::SetUp(grpc::GenericStub& stub, const std::string& method,
                          const StreamAttempt& first) {
  const grpc::internal::Call& application = first.call();
  stream_ = stub.PrepareCall(context_, method, application.cq());
  call_ = MakeCoreCall(context_->c_call(), application.cq(),
                       application.client_rpc_info());
}

void StreamAttempt::Run(grpc::internal::CallOpSetInterface& operations) {
  grpc::internal::Call call = MakeCoreCall(call_.call(), call_.cq(), nullptr);
  operations.FillOps(&call);
}

void StreamAttempt::Begin(const std::optional<ReplayBuffer::Entry>& entry,
                          bool more, void* tag) {
  send_ops_.emplace();
  send_ops_->SendInitialMetadata(&metadata_, metadata_flags_);
  if (entry.has_value()) return Send(*entry, more, tag);
  send_ops_->set_core_cq_tag(tag);
  Run(*send_ops_);
}

void StreamAttempt::Send(const ReplayBuffer::Entry& entry, bool more,
                         void* tag) {
  grpc::WriteOptions options = entry.options;
  if (more || entry.last) options.set_buffer_hint();
  if (entry.message.Valid()) {
    SendBytes(*send_ops_, entry.message, options);
  }
  if (entry.last) send_ops_->ClientSendClose();
  send_ops_->set_core_cq_tag(tag);
  Run(*send_ops_);
}

void StreamAttempt::FinishSend() { Finalize(*send_ops_); }

void StreamAttempt::AskForMetadata(
    grpc::internal::CallOpRecvInitialMetadata& operation) {
  if (metadata_context_ == nullptr && first()) {
    metadata_context_ = std::make_unique<grpc::ClientContext>();
  }
  operation.RecvInitialMetadata(first() ? metadata_context_.get() : context_);
}

void StreamAttempt::ReceiveMetadata(void* tag) {
  metadata_ops_.emplace();
  AskForMetadata(*metadata_ops_);
  metadata_ops_->set_core_cq_tag(tag);
  Run(*metadata_ops_);
}

void StreamAttempt::FinishMetadata() {
  Finalize(*metadata_ops_);
  metadata_received_ = true;
}

void StreamAttempt::ReceiveEnd(bool metadata, bool reply, void* tag) {
  end_ops_.emplace();
  if (metadata) AskForMetadata(*end_ops_);
  end_brings_metadata_ = metadata;
  if (reply) {
    end_ops_->RecvMessage(&reply_);
    end_ops_->AllowNoMessage();
  }
  end_ops_->ClientRecvStatus(context_, &status_);
  end_ops_->set_core_cq_tag(tag);
  Run(*end_ops_);
}

grpc::Status StreamAttempt::FinishEnd() {
  Finalize(*end_ops_);
  // Another thread may just have received them otherwise.
  if (end_brings_metadata_) metadata_received_ = true;
  NormalizeReceived(&status_);
  return status_;
}

const ReceivedMetadata& StreamAttempt::initial_metadata() const {
  static const ReceivedMetadata& none = *new ReceivedMetadata;
  if (!metadata_received_) return none;
  return (first() ? *metadata_context_ : *context_).GetServerInitialMetadata();
}

}  // namespace grpc_breaker::internal
