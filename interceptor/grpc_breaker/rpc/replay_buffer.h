#ifndef GRPC_BREAKER_RPC_REPLAY_BUFFER_H_
#define GRPC_BREAKER_RPC_REPLAY_BUFFER_H_

// What a streaming call has sent, to be sent once more: its messages, in order,
// and its end. The bytes are shared with gRPC, not copied.
//
// Thread-compatible.

#include <cstddef>
#include <cstdint>
#include <deque>

#include "grpc_breaker/retry/replay_bytes.h"
#include "grpcpp/impl/call_op_set.h"
#include "grpcpp/support/byte_buffer.h"

namespace grpc_breaker::internal {

class ReplayBuffer {
 public:
  struct Entry {
    grpc::ByteBuffer message;  // Invalid if there is none.
    grpc::WriteOptions options;
    bool last = false;  // The half-close goes with it.
  };

  explicit ReplayBuffer(int64_t most_bytes) : bytes_(most_bytes) {}

  // False, and nothing is kept of it, if there is no room.
  bool Add(Entry entry) {
    const auto size = static_cast<int64_t>(entry.message.Length());
    // What an empty message takes as well.
    if (!bytes_.Add(size + static_cast<int64_t>(sizeof(Entry)))) return false;
    entries_.push_back(std::move(entry));
    return true;
  }
  void Clear() {
    entries_.clear();
    bytes_.Release();
  }

  size_t size() const { return entries_.size(); }
  // Entries stay where they are until Clear.
  const Entry& at(size_t index) const { return entries_[index]; }
  int64_t bytes() const { return bytes_.bytes(); }

 private:
  ReplayBytes bytes_;
  std::deque<Entry> entries_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_REPLAY_BUFFER_H_
