#ifndef GRPC_BREAKER_TESTS_E2E_TEST_SERVER_H_
#define GRPC_BREAKER_TESTS_E2E_TEST_SERVER_H_

// A gRPC server on a loopback TCP port that answers as its script says and
// remembers what it was asked.
//
//   TestServer server;
//   server.Push(Answer::Error(grpc::StatusCode::UNAVAILABLE));
//   ... the first call fails, later ones get the default answer ...
//   EXPECT_EQ(server.calls(), 2);
//
// The default answer echoes: unary and client-streaming reply with what was
// sent, server-streaming replies three times, bidi once per message.
//
// Thread-safe.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/server.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"
#include "test_service.grpc.pb.h"

namespace grpc_breaker::e2e {

using Metadata = std::multimap<std::string, std::string>;

// Where handlers wait until a test lets them go on, or until their call is
// cancelled.
class Gate {
 public:
  void Open() ABSL_LOCKS_EXCLUDED(mutex_);
  // Until that many handlers have come to the gate, all told.
  void WaitForArrivals(int arrivals) ABSL_LOCKS_EXCLUDED(mutex_);
  // Until that many handlers have left the gate because of a cancellation.
  void WaitForCancellations(int cancellations) ABSL_LOCKS_EXCLUDED(mutex_);

  // For handlers.
  void Pass(const grpc::ServerContext& context) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::Mutex mutex_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
  int arrivals_ ABSL_GUARDED_BY(mutex_) = 0;
  int cancellations_ ABSL_GUARDED_BY(mutex_) = 0;
};

struct Answer {
  grpc::Status status;
  std::optional<std::string> text;  // Instead of the echo.
  Metadata initial_metadata;
  Metadata trailing_metadata;
  // Passed before anything is sent, and before the status is.
  std::shared_ptr<Gate> gate;
  std::shared_ptr<Gate> last_gate;
  // Of streams: initial metadata go out as soon as the gate is passed.
  bool headers_first = false;
  // Of streams: messages that are answered, or of a stream of the client's
  // read, before the status. All, if unset.
  std::optional<int> messages;
  // Of bidi: all is read and nothing answered.
  bool silent = false;
  // Runs in the handler, after the gate; its status is the answer's.
  std::function<grpc::Status(grpc::ServerContext&)> handler;

  static Answer Error(grpc::StatusCode code, std::string message = "scripted");
  static Answer Blocked(std::shared_ptr<Gate> gate);
  // Before any answer, of a stream: at once, or when the client has sent all.
  static Answer ErrorAtOnce(grpc::StatusCode code);
  static Answer ErrorAtTheEnd(grpc::StatusCode code);
};

struct ReceivedCall {
  std::string method;
  std::string text;  // Of all messages, joined.
  Metadata metadata;
  std::string authority;
  std::chrono::system_clock::time_point deadline;
};

class TestServer {
 public:
  // On `port` of 127.0.0.1, or on one that is free.
  explicit TestServer(int port = 0);
  ~TestServer();

  int port() const { return port_; }
  std::string target() const;

  // What the next call gets, then the one after it, ...
  void Push(Answer answer) ABSL_LOCKS_EXCLUDED(mutex_);
  void Push(int times, const Answer& answer) ABSL_LOCKS_EXCLUDED(mutex_);
  // What calls get when nothing is pushed.
  void SetDefault(Answer answer) ABSL_LOCKS_EXCLUDED(mutex_);
  // The same, made anew for each.
  void SetDefault(std::function<Answer()> answer) ABSL_LOCKS_EXCLUDED(mutex_);

  // Handlers that were entered.
  int calls() const ABSL_LOCKS_EXCLUDED(mutex_);
  void WaitForCalls(int calls) const ABSL_LOCKS_EXCLUDED(mutex_);
  // Calls whose handler has ended, in order of their end.
  std::vector<ReceivedCall> received() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  class Service;

  Answer Next() ABSL_LOCKS_EXCLUDED(mutex_);
  void Record(ReceivedCall call) ABSL_LOCKS_EXCLUDED(mutex_);

  mutable absl::Mutex mutex_;
  std::deque<Answer> answers_ ABSL_GUARDED_BY(mutex_);
  std::function<Answer()> default_answer_ ABSL_GUARDED_BY(mutex_) = [] {
    return Answer();
  };
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<ReceivedCall> received_ ABSL_GUARDED_BY(mutex_);

  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_;
};

}  // namespace grpc_breaker::e2e

#endif  // GRPC_BREAKER_TESTS_E2E_TEST_SERVER_H_
