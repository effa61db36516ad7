#include "grpc_breaker/rpc/replay_buffer.h"

#include "grpc/byte_buffer.h"
#include "grpc/slice_buffer.h"
#include "grpc_breaker/registry/grpc_compat.h"

namespace grpc_breaker::internal {

ReplayBuffer::ReplayBuffer(int64_t most_bytes) : bytes_(most_bytes) {
  grpc_slice_buffer_init(&slices_);
}

ReplayBuffer::~ReplayBuffer() { grpc_slice_buffer_destroy(&slices_); }

void ReplayBuffer::Clear() {
  // Also gives back the room.
  grpc_slice_buffer_destroy(&slices_);
  grpc_slice_buffer_init(&slices_);
  std::vector<Record>().swap(records_);
  bytes_.Release();
}

#if GRPC_BREAKER_HAS_PRIVATE_ACCESS

bool ReplayBuffer::Add(const grpc::ByteBuffer* message,
                       const grpc::WriteOptions& options, bool last) {
  Record record{slices_.count, options, GRPC_COMPRESS_NONE,
                message != nullptr && message->Valid(), last};
  // What an empty message takes as well.
  auto size = static_cast<int64_t>(sizeof(Record));
  const grpc_slice_buffer* added = nullptr;
  if (record.has_message) {
    const auto& raw = (message->*Get(Buffer()))->data.raw;
    record.compression = raw.compression;
    added = &raw.slice_buffer;
    record.slices_end += added->count;
    size +=
        static_cast<int64_t>(added->length + added->count * sizeof(grpc_slice));
  }
  if (!bytes_.Add(size)) return false;
  for (size_t i = 0; added != nullptr && i < added->count; ++i) {
    grpc_slice_buffer_add_indexed(&slices_, grpc_slice_ref(added->slices[i]));
  }
  records_.push_back(record);
  return true;
}

ReplayBuffer::Entry ReplayBuffer::at(size_t index) const {
  const Record& record = records_[index];
  Entry entry;
  entry.options = record.options;
  entry.last = record.last;
  if (record.has_message) {
    const size_t begin = index == 0 ? 0 : records_[index - 1].slices_end;
    entry.message.*Get(Buffer()) = grpc_raw_compressed_byte_buffer_create(
        slices_.slices + begin, record.slices_end - begin, record.compression);
  }
  return entry;
}

#else

bool ReplayBuffer::Add(const grpc::ByteBuffer* /*message*/,
                       const grpc::WriteOptions& /*options*/, bool /*last*/) {
  return false;
}

ReplayBuffer::Entry ReplayBuffer::at(size_t /*index*/) const { return {}; }

#endif  // GRPC_BREAKER_HAS_PRIVATE_ACCESS

}  // namespace grpc_breaker::internal
