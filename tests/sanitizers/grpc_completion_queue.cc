// Tells ThreadSanitizer what gRPC does: what comes before the start of an
// operation comes before what follows its completion; so does what comes before
// the call is cancelled, though that may complete it otherwise too.
//
// A packaged gRPC is not compiled with -fsanitize=thread, as Abseil is not; see
// absl_synchronization.cc, and suppressions.cc for what it frees.

#include <mutex>
#include <unordered_map>

#include "grpc/grpc.h"
#include "sanitizer/tsan_interface.h"
#include "tests/sanitizers/next_definition.h"

// Of ThreadSanitizer's, which declares them nowhere.
extern "C" {
void AnnotateIgnoreSyncBegin(const char* file, int line);
void AnnotateIgnoreSyncEnd(const char* file, int line);
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}

namespace {

using grpc_breaker::NextDefinition;

// ThreadSanitizer is to see nothing of this: neither would it order what the
// program does.
class Unseen {
 public:
  Unseen() {
    AnnotateIgnoreSyncBegin(__FILE__, __LINE__);
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  ~Unseen() {
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
    AnnotateIgnoreSyncEnd(__FILE__, __LINE__);
  }
};

// The calls of the operations that are under way, by their tags.
class Operations {
 public:
  static void Begin(void* tag, grpc_call* call) {
    const Unseen unseen;
    const std::lock_guard<std::mutex> lock(Instance().mutex_);
    Instance().calls_[tag] = call;
  }
  // Null if it is none of a call.
  static grpc_call* End(void* tag) {
    const Unseen unseen;
    const std::lock_guard<std::mutex> lock(Instance().mutex_);
    const auto node = Instance().calls_.extract(tag);
    return node.empty() ? nullptr : node.mapped();
  }

 private:
  static Operations& Instance() {
    static Operations& operations = *new Operations;
    return operations;
  }

  std::mutex mutex_;
  std::unordered_map<void*, grpc_call*> calls_;
};

grpc_event Ended(const grpc_event& event) {
  if (event.type != GRPC_OP_COMPLETE) return event;
  __tsan_acquire(event.tag);
  if (grpc_call* call = Operations::End(event.tag)) __tsan_acquire(call);
  return event;
}

}  // namespace

extern "C" {

grpc_call_error grpc_call_start_batch(grpc_call* call, const grpc_op* ops,
                                      size_t count, void* tag, void* reserved) {
  static auto* const original =
      NextDefinition<decltype(grpc_call_start_batch)>("grpc_call_start_batch");
  __tsan_release(tag);
  Operations::Begin(tag, call);
  return original(call, ops, count, tag, reserved);
}

grpc_call_error grpc_call_cancel(grpc_call* call, void* reserved) {
  static auto* const original =
      NextDefinition<decltype(grpc_call_cancel)>("grpc_call_cancel");
  __tsan_release(call);
  return original(call, reserved);
}

grpc_call_error grpc_server_request_registered_call(
    grpc_server* server, void* method, grpc_call** call, gpr_timespec* deadline,
    grpc_metadata_array* metadata, grpc_byte_buffer** payload,
    grpc_completion_queue* bound, grpc_completion_queue* notification,
    void* tag) {
  static auto* const original =
      NextDefinition<decltype(grpc_server_request_registered_call)>(
          "grpc_server_request_registered_call");
  __tsan_release(tag);
  return original(server, method, call, deadline, metadata, payload, bound,
                  notification, tag);
}

void grpc_channel_watch_connectivity_state(grpc_channel* channel,
                                           grpc_connectivity_state last,
                                           gpr_timespec deadline,
                                           grpc_completion_queue* queue,
                                           void* tag) {
  static auto* const original =
      NextDefinition<decltype(grpc_channel_watch_connectivity_state)>(
          "grpc_channel_watch_connectivity_state");
  __tsan_release(tag);
  original(channel, last, deadline, queue, tag);
}

grpc_event grpc_completion_queue_next(grpc_completion_queue* queue,
                                      gpr_timespec deadline, void* reserved) {
  static auto* const original =
      NextDefinition<decltype(grpc_completion_queue_next)>(
          "grpc_completion_queue_next");
  return Ended(original(queue, deadline, reserved));
}

grpc_event grpc_completion_queue_pluck(grpc_completion_queue* queue, void* tag,
                                       gpr_timespec deadline, void* reserved) {
  static auto* const original =
      NextDefinition<decltype(grpc_completion_queue_pluck)>(
          "grpc_completion_queue_pluck");
  return Ended(original(queue, tag, deadline, reserved));
}

}  // extern "C"
