#include "tools/breakerctl/targets.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "tools/breakerctl/address.h"
#include "tools/breakerctl/files.h"

namespace grpc_breaker::breakerctl {
namespace {

// Each is asked on a thread of its own.
constexpr size_t kMostTargets = 1000;

absl::StatusOr<std::vector<std::string>> ReadTargets(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--address: ", text.status().message()));
  }
  std::vector<std::string> addresses;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    line = absl::StripAsciiWhitespace(line.substr(0, line.find('#')));
    if (!line.empty()) addresses.emplace_back(line);
  }
  if (addresses.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--address: no address is in ", path));
  }
  return addresses;
}

// "HOST:PORT", perhaps as "dns:HOST:PORT" or "dns:///HOST:PORT", of a host that
// is a name; a pair of empty ones otherwise.
std::pair<std::string, std::string> NameAndPort(absl::string_view address) {
  if (absl::ConsumePrefix(&address, "dns:")) {
    absl::ConsumePrefix(&address, "///");
  }
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(address, absl::MaxSplits(':', 1));
  const bool is_port =
      !parts.second.empty() &&
      std::all_of(parts.second.begin(), parts.second.end(),
                  [](char c) { return absl::ascii_isdigit(c); });
  // No name ends in a number.
  if (!is_port || parts.first.empty() ||
      absl::ascii_isdigit(parts.first.back())) {
    return {};
  }
  return {std::string(parts.first), std::string(parts.second)};
}

// The processes that one address without commas means.
std::vector<Target> Expand(const std::string& address, absl::Duration timeout,
                           const Resolver& resolve) {
  const auto [name, port] = NameAndPort(address);
  if (!name.empty() && !IsLocalAddress(address)) {
    const std::vector<std::string> hosts = resolve(name, timeout);
    // A single one is left to gRPC, which may know a proxy for it.
    if (hosts.size() > 1) {
      std::vector<Target> targets;
      for (const std::string& host : hosts) {
        targets.push_back({absl::StrContains(host, ':')
                               ? absl::StrCat("[", host, "]:", port)
                               : absl::StrCat(host, ":", port),
                           name});
      }
      return targets;
    }
  }
  return {{address, ""}};
}

absl::Status CheckNumber(size_t processes) {
  if (processes <= kMostTargets) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--address: must mean at most ", kMostTargets,
                   " processes, got ", processes));
}

std::vector<std::string> Resolve(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return {};
  std::vector<std::string> addresses;
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    char text[NI_MAXHOST];
    if (info->ai_family == found->ai_family &&
        getnameinfo(info->ai_addr, info->ai_addrlen, text, sizeof(text),
                    nullptr, 0, NI_NUMERICHOST) == 0) {
      addresses.emplace_back(text);
    }
  }
  freeaddrinfo(found);
  std::sort(addresses.begin(), addresses.end());
  return addresses;
}

}  // namespace

std::vector<std::string> ResolveHost(const std::string& host,
                                     absl::Duration timeout) {
  // getaddrinfo() knows no deadline: who is late is left behind.
  std::promise<std::vector<std::string>> promise;
  std::future<std::vector<std::string>> addresses = promise.get_future();
  std::thread([host, promise = std::move(promise)]() mutable {
    promise.set_value(Resolve(host));
  }).detach();
  return addresses.wait_for(absl::ToChronoNanoseconds(timeout)) ==
                 std::future_status::ready
             ? addresses.get()
             : std::vector<std::string>();
}

absl::StatusOr<Targets> FindTargets(const std::string& address,
                                    absl::Duration timeout,
                                    const Resolver& resolve) {
  Targets targets;
  std::vector<std::string> addresses;
  if (absl::StartsWith(address, "@")) {
    absl::StatusOr<std::vector<std::string>> read =
        ReadTargets(address.substr(1));
    if (!read.ok()) return read.status();
    addresses = *std::move(read);
    targets.several = true;
  } else {
    addresses = absl::StrSplit(address, ',', absl::SkipWhitespace());
    targets.several = addresses.size() > 1;
  }
  for (std::string& one : addresses) absl::StripAsciiWhitespace(&one);
  absl::flat_hash_set<std::string> seen;
  addresses.erase(std::remove_if(addresses.begin(), addresses.end(),
                                 [&](const std::string& one) {
                                   return !seen.insert(one).second;
                                 }),
                  addresses.end());
  // Before there is a thread for each.
  if (absl::Status status = CheckNumber(addresses.size()); !status.ok()) {
    return status;
  }
  // At the same time, since each may take its time.
  std::vector<std::future<std::vector<Target>>> expansions;
  for (const std::string& one : addresses) {
    expansions.push_back(std::async(
        std::launch::async,
        [&resolve, timeout, one] { return Expand(one, timeout, resolve); }));
  }
  for (auto& expansion : expansions) {
    for (Target& target : expansion.get()) {
      const bool is_known = std::any_of(
          targets.all.begin(), targets.all.end(),
          [&](const Target& known) { return known.address == target.address; });
      if (!is_known) targets.all.push_back(std::move(target));
    }
  }
  if (targets.all.empty()) {
    return absl::InvalidArgumentError("--address: must not be empty");
  }
  if (absl::Status status = CheckNumber(targets.all.size()); !status.ok()) {
    return status;
  }
  targets.several = targets.several || targets.all.size() > 1;
  return targets;
}

}  // namespace grpc_breaker::breakerctl
