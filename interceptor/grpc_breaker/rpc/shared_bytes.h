#ifndef GRPC_BREAKER_RPC_SHARED_BYTES_H_
#define GRPC_BREAKER_RPC_SHARED_BYTES_H_

// A grpc::ByteBuffer that can be moved. gRPC's own is copied then, which shares
// the bytes, but makes and frees a buffer of a few hundred bytes each time.
//
// Thread-compatible: a value.

#include "grpcpp/support/byte_buffer.h"

namespace grpc_breaker::internal {

class SharedBytes {
 public:
  SharedBytes() = default;
  explicit SharedBytes(const grpc::ByteBuffer& buffer) : buffer_(buffer) {}
  SharedBytes(const SharedBytes&) = default;
  SharedBytes& operator=(const SharedBytes&) = default;
  // What was moved from is another one that is valid.
  SharedBytes(SharedBytes&& other) noexcept { buffer_.Swap(&other.buffer_); }
  SharedBytes& operator=(SharedBytes&& other) noexcept {
    buffer_.Swap(&other.buffer_);
    return *this;
  }

  const grpc::ByteBuffer& buffer() const { return buffer_; }
  grpc::ByteBuffer* mutable_buffer() { return &buffer_; }

 private:
  grpc::ByteBuffer buffer_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_RPC_SHARED_BYTES_H_
