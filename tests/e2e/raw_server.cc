#include "tests/e2e/raw_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "grpc_breaker/mutex_lock.h"

namespace grpc_breaker::e2e {
namespace {

// RFC 9113, section 6.
constexpr uint8_t kData = 0x0;
constexpr uint8_t kHeaders = 0x1;
constexpr uint8_t kResetStream = 0x3;
constexpr uint8_t kSettings = 0x4;
constexpr uint8_t kPing = 0x6;
constexpr uint8_t kGoAway = 0x7;
constexpr uint8_t kWindowUpdate = 0x8;
constexpr uint8_t kContinuation = 0x9;

constexpr uint8_t kAck = 0x1;
constexpr uint8_t kEndStream = 0x1;
constexpr uint8_t kEndHeaders = 0x4;

// What every receiver takes in one frame.
constexpr size_t kMaxFrame = 16384;

constexpr absl::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

std::string BigEndian(uint32_t value, int bytes) {
  std::string text;
  while (bytes-- > 0) text += static_cast<char>(value >> (8 * bytes));
  return text;
}

uint32_t FromBigEndian(absl::string_view text) {
  uint32_t value = 0;
  for (const char c : text) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

// RFC 7541, sections 5.1 and 5.2: a length with a prefix of seven bits, and no
// Huffman code.
std::string HpackString(absl::string_view text) {
  constexpr size_t kPrefix = 127;
  std::string encoded;
  if (text.size() < kPrefix) {
    encoded += static_cast<char>(text.size());
  } else {
    encoded += static_cast<char>(kPrefix);
    size_t rest = text.size() - kPrefix;
    for (; rest >= 128; rest /= 128) {
      encoded += static_cast<char>(rest % 128 | 128);
    }
    encoded += static_cast<char>(rest);
  }
  return absl::StrCat(encoded, text);
}

// Section 6.2.2: literal fields that are not indexed, with new names.
std::string HpackFields(const HeaderList& headers) {
  std::string block;
  for (const auto& [name, value] : headers) {
    block += '\0';
    absl::StrAppend(&block, HpackString(name), HpackString(value));
  }
  return block;
}

struct Frame {
  uint8_t type;
  uint8_t flags;
  uint32_t stream;
  std::string payload;
};

}  // namespace

// A socket that one thread reads and any thread writes. Thread-safe, but for
// Read, which is for one thread.
class RawConnection {
 public:
  explicit RawConnection(int socket) : socket_(socket) {
    // Frames go out at once, whatever the client has acknowledged.
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  ~RawConnection() { Close(); }
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  // Nothing at the connection's end.
  std::optional<std::string> Read(size_t size) {
    std::string data(size, '\0');
    for (size_t have = 0; have < size;) {
      const ssize_t got = read(socket_, &data[have], size - have);
      if (got <= 0) return std::nullopt;
      have += static_cast<size_t>(got);
    }
    return data;
  }

  std::optional<Frame> ReadFrame() {
    const std::optional<std::string> head = Read(9);
    if (!head.has_value()) return std::nullopt;
    const absl::string_view bytes = *head;
    std::optional<std::string> payload =
        Read(FromBigEndian(bytes.substr(0, 3)));
    if (!payload.has_value()) return std::nullopt;
    return Frame{static_cast<uint8_t>(bytes[3]), static_cast<uint8_t>(bytes[4]),
                 FromBigEndian(bytes.substr(5, 4)), *std::move(payload)};
  }

  void Write(absl::Span<const Frame> frames) ABSL_LOCKS_EXCLUDED(mutex_) {
    std::string bytes;
    for (const Frame& frame : frames) {
      absl::StrAppend(&bytes,
                      BigEndian(static_cast<uint32_t>(frame.payload.size()), 3),
                      BigEndian(frame.type, 1), BigEndian(frame.flags, 1),
                      BigEndian(frame.stream, 4), frame.payload);
    }
    internal::MutexLock lock(mutex_);
    if (closed_) return;
    for (absl::string_view rest = bytes; !rest.empty();) {
      const ssize_t sent =
          send(socket_, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      rest.remove_prefix(static_cast<size_t>(sent));
    }
  }

  // A block of `type` in as many frames as it needs, `last_flags` on the last.
  void WriteSplit(uint8_t type, uint8_t next_type, uint8_t first_flags,
                  uint8_t last_flags, uint32_t stream,
                  absl::string_view payload) {
    std::vector<Frame> frames;
    do {
      frames.push_back({frames.empty() ? type : next_type,
                        frames.empty() ? first_flags : uint8_t{0}, stream,
                        std::string(payload.substr(0, kMaxFrame))});
      payload.remove_prefix(std::min(payload.size(), kMaxFrame));
    } while (!payload.empty());
    frames.back().flags |= last_flags;
    Write(frames);
  }

  // SHUT_WR: a FIN. SHUT_RD: ends Read. SHUT_RDWR: both.
  void Shutdown(int how) ABSL_LOCKS_EXCLUDED(mutex_) {
    internal::MutexLock lock(mutex_);
    if (!closed_) shutdown(socket_, how);
  }

  // Takes effect when the reader, which this ends, closes the socket.
  void ResetWhenClosed() ABSL_LOCKS_EXCLUDED(mutex_) {
    internal::MutexLock lock(mutex_);
    if (closed_) return;
    const linger abort{1, 0};
    setsockopt(socket_, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
    shutdown(socket_, SHUT_RD);
    is_to_be_reset_.store(true, std::memory_order_relaxed);
  }

  // What was sent meanwhile is still there to be read.
  bool is_to_be_reset() const {
    return is_to_be_reset_.load(std::memory_order_relaxed);
  }

  // For the reader, when it has read all.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_) {
    internal::MutexLock lock(mutex_);
    if (closed_) return;
    closed_ = true;
    close(socket_);
  }

 private:
  const int socket_;
  std::atomic<bool> is_to_be_reset_{false};
  absl::Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

HeaderList ResponseHeaders(const HeaderList& more) {
  HeaderList headers = {{":status", "200"},
                        {"content-type", "application/grpc"}};
  headers.insert(headers.end(), more.begin(), more.end());
  return headers;
}

HeaderList StatusTrailers(int code, absl::string_view message,
                          const HeaderList& more) {
  HeaderList trailers = {{"grpc-status", absl::StrCat(code)}};
  if (!message.empty()) trailers.emplace_back("grpc-message", message);
  trailers.insert(trailers.end(), more.begin(), more.end());
  return trailers;
}

RawCall::RawCall(std::shared_ptr<RawConnection> connection, uint32_t stream,
                 int number)
    : connection_(std::move(connection)), stream_(stream), number_(number) {}

void RawCall::SendHeaders(const HeaderList& headers, bool end_stream) const {
  connection_->WriteSplit(kHeaders, kContinuation,
                          end_stream ? kEndStream : uint8_t{0}, kEndHeaders,
                          stream_, HpackFields(headers));
}

void RawCall::SendData(absl::string_view data, bool end_stream) const {
  connection_->WriteSplit(kData, kData, 0, end_stream ? kEndStream : uint8_t{0},
                          stream_, data);
}

void RawCall::SendMessage(absl::string_view message, bool end_stream) const {
  SendData(absl::StrCat(absl::string_view("\0", 1),
                        BigEndian(static_cast<uint32_t>(message.size()), 4),
                        message),
           end_stream);
}

void RawCall::SendTrailers(const HeaderList& trailers) const {
  SendHeaders(trailers, /*end_stream=*/true);
}

void RawCall::SendTrailersOnly(int code, absl::string_view message,
                               const HeaderList& more) const {
  SendTrailers(ResponseHeaders(StatusTrailers(code, message, more)));
}

void RawCall::SendReply(absl::string_view message) const {
  SendHeaders(ResponseHeaders());
  SendMessage(message);
  SendTrailers(StatusTrailers(0));
}

void RawCall::Reset(Http2Error error) const {
  SendFrame(kResetStream, 0, BigEndian(static_cast<uint32_t>(error), 4));
}

void RawCall::GoAway(uint32_t last_stream, Http2Error error,
                     absl::string_view debug_data) const {
  connection_->Write(
      {{kGoAway, 0, 0,
        absl::StrCat(BigEndian(last_stream, 4),
                     BigEndian(static_cast<uint32_t>(error), 4), debug_data)}});
}

void RawCall::SendFrame(uint8_t type, uint8_t flags,
                        absl::string_view payload) const {
  connection_->Write({{type, flags, stream_, std::string(payload)}});
}

void RawCall::CloseConnection() const { connection_->Shutdown(SHUT_WR); }

void RawCall::ResetConnection() const { connection_->ResetWhenClosed(); }

RawServer::RawServer(Script script, When when)
    : script_(std::move(script)),
      when_(when),
      listener_(socket(AF_INET, SOCK_STREAM, 0)) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener_, generic, size) != 0 || listen(listener_, 16) != 0 ||
      getsockname(listener_, generic, &size) != 0) {
    std::abort();
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

RawServer::~RawServer() {
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  close(listener_);
  std::vector<std::thread> servers;
  {
    internal::MutexLock lock(mutex_);
    for (const auto& connection : served_) connection->Shutdown(SHUT_RDWR);
    servers.swap(servers_);
  }
  for (std::thread& server : servers) server.join();
}

std::string RawServer::target() const {
  return absl::StrCat("127.0.0.1:", port_);
}

void RawServer::Accept() {
  for (;;) {
    const int socket = accept(listener_, nullptr, nullptr);
    if (socket < 0) return;
    ++connections_;
    auto connection = std::make_shared<RawConnection>(socket);
    internal::MutexLock lock(mutex_);
    served_.push_back(connection);
    servers_.emplace_back([this, connection] {
      Serve(connection);
      connection->Close();
    });
  }
}

void RawServer::Serve(const std::shared_ptr<RawConnection>& connection) {
  if (when_ == When::kConnected) {
    return script_(RawCall(connection, 0, ++scripted_));
  }
  if (!connection->Read(kPreface.size()).has_value()) return;
  connection->Write({{kSettings, 0, 0, ""}});
  while (std::optional<Frame> frame = connection->ReadFrame()) {
    const bool is_ack = (frame->flags & kAck) != 0;
    if ((frame->type == kSettings || frame->type == kPing) && !is_ack) {
      connection->Write(
          {{frame->type, kAck, 0, frame->type == kPing ? frame->payload : ""}});
    }
    if (frame->type != kHeaders && frame->type != kData) continue;

    const bool begins = frame->type == kHeaders;
    const bool ends = (frame->flags & kEndStream) != 0;
    if (begins) ++streams_;
    if (ends) ++requests_;
    if (!begins && !frame->payload.empty()) {
      const std::string taken =
          BigEndian(static_cast<uint32_t>(frame->payload.size()), 4);
      connection->Write({{kWindowUpdate, 0, 0, taken}});
      if (!ends) connection->Write({{kWindowUpdate, 0, frame->stream, taken}});
    }
    if (when_ == When::kRequestBegun ? begins : ends) {
      script_(RawCall(connection, frame->stream, ++scripted_));
    }
    if (connection->is_to_be_reset()) return;
  }
}

RawServer::Script AfterHeaders(std::function<void(RawCall)> rest) {
  return [rest = std::move(rest)](RawCall call) {
    call.SendHeaders(ResponseHeaders());
    rest(call);
  };
}

}  // namespace grpc_breaker::e2e
