#include "grpc_breaker/dashboard/http_gate.h"

#include <httplib.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "grpc_breaker/admin/same_token.h"

namespace grpc_breaker::internal {
namespace {

// What a browser leaves out.
constexpr absl::string_view kHttpPort = ":80";

// What the header says, if it is there once; `*count` is how often it is.
std::string Header(const httplib::Request& request, const char* name,
                   size_t* count) {
  *count = request.get_header_value_count(name);
  return *count == 0 ? "" : request.get_header_value(name);
}

bool IsJson(absl::string_view content_type) {
  const absl::string_view type = content_type.substr(0, content_type.find(';'));
  return absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(type),
                                "application/json");
}

// Whether somebody follows a link to the page, to see it by itself.
bool IsLinkToPage(const httplib::Request& request) {
  return request.path == "/" && request.method == "GET" &&
         request.get_header_value("Sec-Fetch-Mode") == "navigate" &&
         request.get_header_value("Sec-Fetch-Dest") == "document";
}

}  // namespace

absl::Status CheckHostNames(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const bool is_good =
        !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
          return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                 absl::StrContains("-._:[]", absl::string_view(&c, 1));
        });
    if (is_good) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "host_names: must be names as browsers say them, such as "
        "breakers.example.com or breakers.example.com:8443, got \"",
        absl::CHexEscape(name), "\""));
  }
  return absl::OkStatus();
}

HttpGate::HttpGate(absl::string_view address,
                   const std::vector<std::string>& names, std::string token)
    : token_(std::move(token)) {
  const absl::string_view port = address.substr(address.rfind(':'));
  const auto add = [&](absl::string_view scheme, absl::string_view host) {
    hosts_.emplace(host);
    origins_.insert(absl::StrCat(scheme, "://", host));
  };
  for (const absl::string_view host :
       {absl::StripSuffix(address, port), absl::string_view("127.0.0.1"),
        absl::string_view("[::1]"), absl::string_view("localhost")}) {
    add("http", absl::StrCat(host, port));
    if (port == kHttpPort) add("http", host);
  }
  for (const std::string& given : names) {
    const std::string name = absl::AsciiStrToLower(given);
    for (const absl::string_view scheme : {"http", "https"}) {
      add(scheme, name);
      add(scheme, absl::StrCat(name, port));
    }
  }
}

std::optional<Refusal> HttpGate::Check(const httplib::Request& request) const {
  if (request.method != "GET" && request.method != "HEAD" &&
      request.method != "POST") {
    return Refuse(405, "method", request.method, "must be GET, HEAD or POST");
  }
  size_t count;
  const std::string host = Header(request, "Host", &count);
  if (count != 1 || hosts_.count(absl::AsciiStrToLower(host)) == 0) {
    return Refuse(421, "Host", host,
                  "must be a name of this server, with its port");
  }
  const std::string origin = Header(request, "Origin", &count);
  if (count > 1 || (count == 1 && origins_.count(origin) == 0)) {
    return Refuse(403, "Origin", origin, "must be this server");
  }
  const std::string site = Header(request, "Sec-Fetch-Site", &count);
  if (count > 0 && site != "same-origin" && site != "none" &&
      !IsLinkToPage(request)) {
    return Refuse(403, "Sec-Fetch-Site", site,
                  "must be same-origin: pages of other sites get nothing");
  }
  return std::nullopt;
}

std::optional<Refusal> HttpGate::CheckChange(
    const httplib::Request& request) const {
  size_t count;
  if (Header(request, "Origin", &count); count != 1) {
    return Refuse(403, "Origin", "", "must be there, and be this server");
  }
  const std::string type = Header(request, "Content-Type", &count);
  if (count != 1 || !IsJson(type)) {
    return Refuse(415, "Content-Type", type, "must be application/json");
  }
  const std::string token = Header(request, kTokenHeader, &count);
  if (count != 1 || !SameToken(token, token_)) {
    // The value might be one of another server.
    return Refuse(403, kTokenHeader, count == 0 ? "" : "another",
                  "must be the token that this server's page has; reload it");
  }
  return std::nullopt;
}

}  // namespace grpc_breaker::internal
