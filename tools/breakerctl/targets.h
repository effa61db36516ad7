#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_TARGETS_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_TARGETS_H_

// The processes that an address means: one, or several.
//
// Thread-safe: functions over values.

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace grpc_breaker::breakerctl {

struct Target {
  std::string address;  // As gRPC takes it.
  // The name that it was found by; empty: that is the address.
  std::string host;
};

struct Targets {
  std::vector<Target> all;  // Not empty, each once.
  // Whether more than one was meant, be it that there is one.
  bool several = false;
};

// The numeric addresses of a host, within that time; empty if there are none.
using Resolver = std::function<std::vector<std::string>(
    const std::string& host, absl::Duration timeout)>;

// What getaddrinfo() knows: of the family of addresses that it prefers, so that
// a host with one of each is taken for one.
std::vector<std::string> ResolveHost(const std::string& host,
                                     absl::Duration timeout);

// `address` is a target of gRPC; or several of them between commas; or "@FILE",
// a file with one on each line, where what follows '#' does not count. A name
// that stands for several addresses, and for nothing on this machine, means a
// process at each of them. At most 1000 processes.
absl::StatusOr<Targets> FindTargets(const std::string& address,
                                    absl::Duration timeout,
                                    const Resolver& resolve = ResolveHost);

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_TARGETS_H_
