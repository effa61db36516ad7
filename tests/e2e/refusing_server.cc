#include "tests/e2e/refusing_server.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace grpc_breaker {
namespace e2e {
namespace {

// RFC 9113, section 6.
constexpr uint8_t kHeaders = 0x1;
constexpr uint8_t kSettings = 0x4;
constexpr uint8_t kPing = 0x6;
constexpr uint8_t kGoAway = 0x7;
constexpr uint8_t kAck = 0x1;
constexpr uint8_t kEndStreamAndHeaders = 0x1 | 0x4;

constexpr absl::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// HPACK (RFC 7541): ":status: 200" by index, the others as literals.
constexpr absl::string_view kNotFound(
    "\x88"
    "\x5f\x10"
    "application/grpc"
    "\x00\x0bgrpc-status\x01"
    "5",
    34);

bool ReadAll(int socket, size_t size, std::string* data) {
  data->resize(size);
  for (size_t have = 0; have < size;) {
    const ssize_t got = read(socket, &(*data)[have], size - have);
    if (got <= 0) return false;
    have += static_cast<size_t>(got);
  }
  return true;
}

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

void WriteFrame(int socket, uint8_t type, uint8_t flags, uint32_t stream,
                absl::string_view payload) {
  const std::string frame = absl::StrCat(
      BigEndian(static_cast<uint32_t>(payload.size()), 3), BigEndian(type, 1),
      BigEndian(flags, 1), BigEndian(stream, 4), payload);
  if (send(socket, frame.data(), frame.size(), MSG_NOSIGNAL) < 0) return;
}

}  // namespace

RefusingServer::RefusingServer(int refusals)
    : refusals_(refusals), listener_(socket(AF_INET, SOCK_STREAM, 0)) {
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

RefusingServer::~RefusingServer() {
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  close(listener_);
  std::vector<std::thread> servers;
  {
    absl::MutexLock lock(&mutex_);
    for (const int socket : sockets_) shutdown(socket, SHUT_RDWR);
    servers.swap(servers_);
  }
  for (std::thread& server : servers) server.join();
  absl::MutexLock lock(&mutex_);
  for (const int socket : sockets_) close(socket);
}

std::string RefusingServer::target() const {
  return absl::StrCat("127.0.0.1:", port_);
}

void RefusingServer::Accept() {
  for (;;) {
    const int socket = accept(listener_, nullptr, nullptr);
    if (socket < 0) return;
    absl::MutexLock lock(&mutex_);
    sockets_.push_back(socket);
    servers_.emplace_back([this, socket] { Serve(socket); });
  }
}

void RefusingServer::Serve(int socket) {
  std::string data;
  if (!ReadAll(socket, kPreface.size(), &data)) return;
  WriteFrame(socket, kSettings, 0, 0, "");
  while (ReadAll(socket, 9, &data)) {
    const uint32_t size = FromBigEndian(data.substr(0, 3));
    const auto type = static_cast<uint8_t>(data[3]);
    const bool is_ack = (data[4] & kAck) != 0;
    const uint32_t stream = FromBigEndian(data.substr(5, 4));
    if (!ReadAll(socket, size, &data)) return;
    if (type == kSettings && !is_ack) {
      WriteFrame(socket, kSettings, kAck, 0, "");
    } else if (type == kPing && !is_ack) {
      WriteFrame(socket, kPing, kAck, 0, data);
    } else if (type == kHeaders) {
      ++streams_;
      if (refusals_-- > 0) {
        // Last stream that was looked at, error code: none.
        WriteFrame(socket, kGoAway, 0, 0, BigEndian(0, 4) + BigEndian(0, 4));
      } else {
        WriteFrame(socket, kHeaders, kEndStreamAndHeaders, stream, kNotFound);
      }
    }
  }
}

}  // namespace e2e
}  // namespace grpc_breaker
