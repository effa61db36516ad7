#ifndef GRPC_BREAKER_TESTS_E2E_STREAM_FLAVOURS_H_
#define GRPC_BREAKER_TESTS_E2E_STREAM_FLAVOURS_H_

// The ways in which an application can make a streaming call, behind one
// blocking interface, so that every test runs with each of them.
//
// Thread-compatible, but for Cancel.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"
#include "tests/e2e/unary_flavours.h"

namespace grpc_breaker::e2e {

enum class StreamKind { kClient, kServer, kBidi };
enum class StreamApi { kSync, kQueue, kReactor };

struct StreamFlavour {
  StreamKind kind;
  StreamApi api;
  bool corked = false;  // The first message takes the initial metadata along.
};

std::vector<StreamFlavour> AllStreamFlavours();
std::string ToString(const StreamFlavour& flavour);
// "/grpc_breaker.e2e.TestService/Bidi", ...
std::string MethodOf(StreamKind kind);

// A stream that was started, whose stub is gone already. What does not go with
// its kind does nothing and returns false. Destroying it without Finish
// abandons it, where the API lets an application do that.
class Stream {
 public:
  virtual ~Stream() = default;

  void Cancel() { context_.TryCancel(); }

  // True unless the stream is broken. `last` half-closes as well.
  virtual bool Write(const std::string& text, bool last = false) = 0;
  virtual bool WritesDone() = 0;
  // The next message, or nothing at the end of the stream.
  virtual std::optional<std::string> Read() = 0;
  // Once.
  virtual CallResult Finish() = 0;

 protected:
  CallResult ResultOf(const grpc::Status& status, const std::string& text = "");

  grpc::ClientContext context_;
};

std::unique_ptr<Stream> StartStream(
    const StreamFlavour& flavour, const std::shared_ptr<grpc::Channel>& channel,
    const Configure& configure = nullptr);

// Writes and reads as the kind has it, to the end: what came back, and the
// final status.
struct StreamResult {
  CallResult call;
  std::vector<std::string> replies;
  bool all_written = true;
};
StreamResult RunStream(Stream& stream, StreamKind kind,
                       const std::vector<std::string>& texts);

}  // namespace grpc_breaker::e2e

#endif  // GRPC_BREAKER_TESTS_E2E_STREAM_FLAVOURS_H_
