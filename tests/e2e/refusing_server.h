#ifndef GRPC_BREAKER_TESTS_E2E_REFUSING_SERVER_H_
#define GRPC_BREAKER_TESTS_E2E_REFUSING_SERVER_H_

// The least of an HTTP/2 server: it sends the first streams away unseen (GOAWAY
// with last stream 0), which lets gRPC's core repeat them by itself, and ends
// all others with status NOT_FOUND.
//
// Thread-safe.

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace grpc_breaker {
namespace e2e {

class RefusingServer {
 public:
  explicit RefusingServer(int refusals);
  ~RefusingServer();

  std::string target() const;
  // Streams that were opened, refused ones included.
  int streams() const { return streams_; }

 private:
  void Accept();
  void Serve(int socket);

  std::atomic<int> refusals_;
  std::atomic<int> streams_{0};
  int listener_;
  int port_;
  absl::Mutex mutex_;
  std::vector<int> sockets_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> servers_ ABSL_GUARDED_BY(mutex_);
  std::thread acceptor_;
};

}  // namespace e2e
}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_TESTS_E2E_REFUSING_SERVER_H_
