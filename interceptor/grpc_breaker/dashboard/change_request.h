#ifndef GRPC_BREAKER_DASHBOARD_CHANGE_REQUEST_H_
#define GRPC_BREAKER_DASHBOARD_CHANGE_REQUEST_H_

// What the page asks to be changed: one breaker.
//
// Thread-safe: pure functions over values.

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpc_breaker/dashboard/refusal.h"

namespace grpc_breaker::internal {

struct ChangeRequest {
  enum class Action { kOpen, kClose, kReset };

  std::string process;
  std::string channel;
  std::string method;
  Action action = Action::kReset;
  std::string reason;
  std::string actor;
  // How long a state is held; 0: for ever.
  absl::Duration ttl;
};

// Of a body such as
//
//   {"process": "10.0.0.1:8089", "channel": "prices",
//    "method": "/demo.Prices/GetPrice", "action": "open",
//    "reason": "bad deploy", "actor": "bob", "ttl_seconds": 600}
//
// of which process, channel, method and action must be there: so it is one
// breaker. False: `*refusal` says what is wrong; no other fields, no other
// types.
bool ParseChange(absl::string_view body, ChangeRequest* request,
                 Refusal* refusal);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_DASHBOARD_CHANGE_REQUEST_H_
