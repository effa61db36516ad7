#ifndef GRPC_BREAKER_TESTS_E2E_SCRIPT_H_
#define GRPC_BREAKER_TESTS_E2E_SCRIPT_H_

// What a fuzzer, or a random generator, gives a test to do: bytes that are read
// as choices.
//
// Thread-compatible.

#include <cstddef>
#include <cstdint>

namespace grpc_breaker::e2e {

class Script {
 public:
  // The bytes live as long.
  Script(const uint8_t* bytes, size_t size)
      : next_(bytes), end_(bytes + size) {}

  bool over() const { return next_ == end_; }
  // One of 0 to `options` - 1; 0 if it is over.
  int Choose(int options) { return over() ? 0 : *next_++ % options; }
  bool Flip() { return Choose(2) == 1; }

 private:
  const uint8_t* next_;
  const uint8_t* const end_;
};

// Each plays a script against a real server. What is not as it should be is a
// failure of GoogleTest's, and what hangs ends the process.
//
// The hooks of one call's interceptor, in orders that gRPC knows and in others.
void PlayHooks(Script script);
// The operations of a stream on a completion queue, as an application may order
// them; it sees what it would of a bare channel, whatever was retried.
void PlayStream(Script script);

}  // namespace grpc_breaker::e2e

#endif  // GRPC_BREAKER_TESTS_E2E_SCRIPT_H_
