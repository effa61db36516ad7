#ifndef GRPC_BREAKER_RPC_REPLAY_BUFFER_H_
#define GRPC_BREAKER_RPC_REPLAY_BUFFER_H_

// What a streaming call has sent, to be sent once more: its messages, in order,
// and its end. The bytes are shared with gRPC, not copied. The slices of all
// messages lie in one buffer, since a grpc::ByteBuffer each would take more
// memory than a small message, and more time than all else that is done for it.
//
// What it takes of gRPC is in registry/grpc_compat.h; without that, there is no
// room.
//
// Thread-compatible.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "grpc/compression.h"
#include "grpc/slice.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/retry/replay_bytes.h"
#include "grpcpp/impl/call_op_set.h"
#include "grpcpp/support/byte_buffer.h"

namespace grpc_breaker::internal {

class GRPC_BREAKER_EXPORT ReplayBuffer {
 public:
  struct Entry {
    grpc::ByteBuffer message;  // Invalid if there is none.
    grpc::WriteOptions options;
    bool last = false;  // The half-close goes with it.
  };

  explicit ReplayBuffer(int64_t most_bytes);
  ~ReplayBuffer();
  ReplayBuffer(const ReplayBuffer&) = delete;
  ReplayBuffer& operator=(const ReplayBuffer&) = delete;

  // `message` may be null. False, and nothing is kept of it, if there is no
  // room.
  bool Add(const grpc::ByteBuffer* message, const grpc::WriteOptions& options,
           bool last);
  void Clear();

  size_t size() const { return records_.size(); }
  Entry at(size_t index) const;
  // With what is kept beside the messages.
  int64_t bytes() const { return bytes_.bytes(); }

 private:
  struct Record {
    size_t slices_end;  // Of its message's; they begin where the last one ends.
    grpc::WriteOptions options;
    grpc_compression_algorithm compression;
    bool has_message;
    bool last;
  };

  ReplayBytes bytes_;
  grpc_slice_buffer slices_;
  std::vector<Record> records_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_REPLAY_BUFFER_H_
