#ifndef GRPC_BREAKER_TESTS_E2E_UNARY_FLAVOURS_H_
#define GRPC_BREAKER_TESTS_E2E_UNARY_FLAVOURS_H_

// The ways in which an application can make a unary call, behind one interface,
// so that every test runs with each of them.
//
// Thread-compatible, but for UnderWay::Cancel, which may race with the call.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"
#include "tests/e2e/test_server.h"

namespace grpc_breaker::e2e {

enum class Flavour {
  kSync,
  kQueue,          // CompletionQueue, Finish only.
  kQueueMetadata,  // CompletionQueue, ReadInitialMetadata and Finish.
  kQueuePrepared,  // CompletionQueue, Prepare, StartCall and Finish.
  kCallback,
  kReactor,
  kGenericCallback,
  kGenericQueue,
  kGenericReactor,
};

std::vector<Flavour> AllFlavours();

// The ways through the library: where the first attempt can be the
// application's own call, a policy can still ask for attempts that are all the
// library's.
struct UnaryWay {
  Flavour flavour;
  bool hijacked;
};
std::vector<UnaryWay> AllUnaryWays();
// "Sync", "SyncHijacked", "Queue", ...
std::string ToString(const UnaryWay& way);

bool IsGeneric(Flavour flavour);  // Its messages are ByteBuffers.
std::string ToString(Flavour flavour);

// What the application sees of a finished call.
struct CallResult {
  grpc::Status status;
  std::string text;  // Of the reply, if the status is OK.
  bool has_reply = false;
  Metadata initial_metadata;
  Metadata trailing_metadata;
  bool finished_ok = true;  // CompletionQueue flavours: Finish's `ok`.
  std::string debug_error_string;
};

// Without the reply.
CallResult ResultOf(const grpc::ClientContext& context,
                    const grpc::Status& status);

constexpr char kUnary[] = "/grpc_breaker.e2e.TestService/Unary";
constexpr char kUnaryReadOnly[] = "/grpc_breaker.e2e.TestService/UnaryReadOnly";
constexpr char kUnaryIdempotent[] =
    "/grpc_breaker.e2e.TestService/UnaryIdempotent";

using Configure = std::function<void(grpc::ClientContext*)>;

// A call that was started, whose stub is gone already; but that of a
// synchronous one. Destroy it only after Wait.
class UnderWay {
 public:
  virtual ~UnderWay() = default;

  void Cancel() { context_.TryCancel(); }
  grpc::ClientContext& context() { return context_; }
  // False if it has none, or has to start more operations.
  virtual bool ShutDownQueue() { return false; }
  // Once. The watchdog ends the process if the call does not.
  virtual CallResult Wait() = 0;

 protected:
  grpc::ClientContext context_;
};

std::unique_ptr<UnderWay> StartCall(
    Flavour flavour, const std::shared_ptr<grpc::Channel>& channel,
    const std::string& text, const Configure& configure = nullptr);

// Starts and waits.
CallResult Call(Flavour flavour, const std::shared_ptr<grpc::Channel>& channel,
                const std::string& text, const Configure& configure = nullptr);

// What the server sent of trailing metadata, and our notes on rejections.
Metadata WithoutHistory(Metadata metadata);

// Everything that the application can see, against a channel without us; that
// carries no history.
void ExpectSame(const CallResult& ours, const CallResult& bare);

std::string ValueOf(const Metadata& metadata, const std::string& key);

}  // namespace grpc_breaker::e2e

#endif  // GRPC_BREAKER_TESTS_E2E_UNARY_FLAVOURS_H_
