#ifndef GRPC_BREAKER_TESTS_E2E_RAW_SERVER_H_
#define GRPC_BREAKER_TESTS_E2E_RAW_SERVER_H_

// The least of an HTTP/2 server, for answers that gRPC's own server never
// gives. It answers SETTINGS and PING by itself, keeps the flow control windows
// of clients open, and leaves all else to a script:
//
//   RawServer server([](RawCall call) {
//     if (call.number() == 1) return call.GoAway(/*last_stream=*/0);
//     call.SendHeaders(ResponseHeaders());
//     call.SendMessage(reply.SerializeAsString());
//     call.SendTrailers(StatusTrailers(0));
//   });
//
// Requests are not decoded. Answers do not heed the client's windows: 64 KiB of
// data on a connection is what every client takes.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace grpc_breaker::e2e {

// In the order in which they are sent; names in lower case.
using HeaderList = std::vector<std::pair<std::string, std::string>>;

// What begins an answer of gRPC's.
HeaderList ResponseHeaders(const HeaderList& more = {});
// What ends one; `message` is sent as it is.
HeaderList StatusTrailers(int code, absl::string_view message = "",
                          const HeaderList& more = {});

// A message of 32 bytes that breaks off.
inline constexpr absl::string_view kHalfAMessage("\0\0\0\0\x20half", 9);

// RFC 9113, section 7.
enum class Http2Error : uint32_t {
  kNoError = 0x0,
  kProtocolError = 0x1,
  kInternalError = 0x2,
  kRefusedStream = 0x7,
  kCancel = 0x8,
  kEnhanceYourCalm = 0xb,
};

class RawConnection;

// One request and the connection it came by. Cheap to copy: a script may keep
// it and answer later. What is sent after the connection's end is dropped.
// Thread-safe.
class RawCall {
 public:
  RawCall(std::shared_ptr<RawConnection> connection, uint32_t stream,
          int number);

  uint32_t stream() const { return stream_; }
  // Of the server's calls, from 1 on.
  int number() const { return number_; }

  void SendHeaders(const HeaderList& headers, bool end_stream = false) const;
  // Bytes as they are.
  void SendData(absl::string_view data, bool end_stream = false) const;
  // With gRPC's prefix of five bytes.
  void SendMessage(absl::string_view message, bool end_stream = false) const;
  void SendTrailers(const HeaderList& trailers) const;
  // Headers and trailers in one, as servers do that have no reply.
  void SendTrailersOnly(int code, absl::string_view message = "",
                        const HeaderList& more = {}) const;
  // A whole answer, with status OK.
  void SendReply(absl::string_view message) const;

  // RST_STREAM.
  void Reset(Http2Error error) const;
  // Streams above `last_stream` were not looked at.
  void GoAway(uint32_t last_stream, Http2Error error = Http2Error::kNoError,
              absl::string_view debug_data = "") const;
  // Any other frame.
  void SendFrame(uint8_t type, uint8_t flags, absl::string_view payload) const;

  // FIN: the client sees the end of the connection, and may still send.
  void CloseConnection() const;
  // RST: whatever was not read yet is lost.
  void ResetConnection() const;

 private:
  std::shared_ptr<RawConnection> connection_;
  uint32_t stream_;
  int number_;
};

// Thread-safe.
class RawServer {
 public:
  // Runs on its connection's thread, which meanwhile reads nothing: it may
  // wait, and delays PING then.
  using Script = std::function<void(RawCall)>;

  // kConnected: for each connection, which the server then gives up; the script
  // may close or reset it.
  enum class When { kConnected, kRequestBegun, kRequestFinished };

  explicit RawServer(Script script, When when = When::kRequestFinished);
  ~RawServer();
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  std::string target() const;

  int connections() const { return connections_; }
  // That were opened.
  int streams() const { return streams_; }
  // That the client has sent to their end.
  int requests() const { return requests_; }

 private:
  void Accept();
  void Serve(const std::shared_ptr<RawConnection>& connection);

  const Script script_;
  const When when_;
  std::atomic<int> connections_{0};
  std::atomic<int> streams_{0};
  std::atomic<int> requests_{0};
  std::atomic<int> scripted_{0};
  int listener_;
  int port_;
  absl::Mutex mutex_;
  std::vector<std::shared_ptr<RawConnection>> served_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> servers_ ABSL_GUARDED_BY(mutex_);
  std::thread acceptor_;
};

// Answers the headers, then does the rest.
RawServer::Script AfterHeaders(std::function<void(RawCall)> rest);

}  // namespace grpc_breaker::e2e

#endif  // GRPC_BREAKER_TESTS_E2E_RAW_SERVER_H_
