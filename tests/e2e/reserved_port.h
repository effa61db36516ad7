#ifndef GRPC_BREAKER_TESTS_E2E_RESERVED_PORT_H_
#define GRPC_BREAKER_TESTS_E2E_RESERVED_PORT_H_

// A port of 127.0.0.1 for a server that comes late, or goes: nobody listens
// there meanwhile, and the servers of other tests, whose ports the system
// chooses, do not get it. gRPC's servers share a port with it.
//
// Thread-safe.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"

namespace grpc_breaker::e2e {

class ReservedPort {
 public:
  ReservedPort() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int yes = 1;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (setsockopt(socket_, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)) != 0 ||
        bind(socket_, generic, size) != 0 ||
        getsockname(socket_, generic, &size) != 0) {
      std::abort();
    }
    port_ = ntohs(address.sin_port);
  }
  ~ReservedPort() { close(socket_); }
  ReservedPort(const ReservedPort&) = delete;
  ReservedPort& operator=(const ReservedPort&) = delete;

  int port() const { return port_; }
  std::string target() const { return absl::StrCat("127.0.0.1:", port_); }

 private:
  const int socket_;
  int port_;
};

}  // namespace grpc_breaker::e2e

#endif  // GRPC_BREAKER_TESTS_E2E_RESERVED_PORT_H_
