#ifndef GRPC_BREAKER_RPC_STREAM_ATTEMPT_H_
#define GRPC_BREAKER_RPC_STREAM_ATTEMPT_H_

// One try of a streaming call on the wire: a call of the core, on the
// application's completion queue. The first is the application's own call; the
// others are the library's.
//
// The operations of an attempt run under the tag of a batch of the
// application's that is held (stream_batch.h). When that batch comes back, the
// Finish function of the operation says what came of it.
//
// Lifetime: the metadata that were received live as long as the attempt.
//
// Thread-compatible: operations of different kinds may run at the same time,
// but each only once at a time.

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "grpc_breaker/rpc/added_trailers.h"
#include "grpc_breaker/rpc/context_access.h"
#include "grpc_breaker/rpc/deadline.h"
#include "grpc_breaker/rpc/replay_buffer.h"
#include "grpcpp/client_context.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/impl/call.h"
#include "grpcpp/impl/call_op_set.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/status.h"

namespace grpc_breaker::internal {

class StreamAttempt {
 public:
  using SentMetadata = std::multimap<std::string, std::string>;

  // The application's own: `call` is what its batches run on.
  StreamAttempt(grpc::ClientContext& context, const grpc::internal::Call& call);
  // A further one, to be set up and begun.
  StreamAttempt(const ContextSettings& settings, const Deadline& deadline,
                SentMetadata metadata);
  StreamAttempt(const StreamAttempt&) = delete;
  StreamAttempt& operator=(const StreamAttempt&) = delete;

  // Makes a further attempt's call, whose batches belong to those of `first`.
  void SetUp(grpc::GenericStub& stub, const std::string& method,
             const StreamAttempt& first);

  bool first() const { return own_context_ == nullptr; }
  grpc::ClientContext& context() { return *context_; }
  // For batches of the application's.
  const grpc::internal::Call& call() const { return call_; }
  void Cancel() { context_->TryCancel(); }

  // Sends the first entry with the initial metadata; these alone if there is
  // none.
  void Begin(const std::optional<ReplayBuffer::Entry>& entry, bool more,
             void* tag);
  // `more`: another one follows at once.
  void Send(const ReplayBuffer::Entry& entry, bool more, void* tag);
  void FinishSend();

  void ReceiveMetadata(void* tag);
  void FinishMetadata();

  // The end of the call: its status; the initial metadata and a reply if
  // nothing else receives them.
  void ReceiveEnd(bool metadata, bool reply, void* tag);
  grpc::Status FinishEnd();
  // Invalid if there was none.
  grpc::ByteBuffer& reply() { return reply_; }

  // What this attempt's own operations received; empty if they did not.
  const ReceivedMetadata& initial_metadata() const;
  const ReceivedMetadata& trailers() const {
    return context_->GetServerTrailingMetadata();
  }

  // Whether one of its own operations, or a batch of the application's, has
  // asked for it. Guarded by whose attempt it is.
  bool metadata_asked_for = false;
  bool status_asked_for = false;

 private:
  using SendOps =
      grpc::internal::CallOpSet<grpc::internal::CallOpSendInitialMetadata,
                                grpc::internal::CallOpSendMessage,
                                grpc::internal::CallOpClientSendClose>;
  using MetadataOps =
      grpc::internal::CallOpSet<grpc::internal::CallOpRecvInitialMetadata>;
  using EndOps = grpc::internal::CallOpSet<
      grpc::internal::CallOpRecvInitialMetadata,
      grpc::internal::CallOpRecvMessage<grpc::ByteBuffer>,
      grpc::internal::CallOpClientRecvStatus>;

  void AskForMetadata(grpc::internal::CallOpRecvInitialMetadata& operation);
  // No interceptor sees it.
  void Run(grpc::internal::CallOpSetInterface& operations);

  // Null for the first attempt.
  const std::unique_ptr<grpc::ClientContext> own_context_;
  grpc::ClientContext* const context_;
  SentMetadata metadata_;
  uint32_t metadata_flags_ = 0;
  // Takes initial metadata in place of the application's context, which may be
  // asked for them still.
  std::unique_ptr<grpc::ClientContext> metadata_context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  grpc::internal::Call call_;

  std::optional<SendOps> send_ops_;
  std::optional<MetadataOps> metadata_ops_;
  std::optional<EndOps> end_ops_;
  grpc::Status status_;
  grpc::ByteBuffer reply_;
  bool end_brings_metadata_ = false;
  bool metadata_received_ = false;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_STREAM_ATTEMPT_H_
