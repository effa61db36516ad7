#ifndef GRPC_BREAKER_DASHBOARD_JSON_TEXT_H_
#define GRPC_BREAKER_DASHBOARD_JSON_TEXT_H_

// Thread-safe: a pure function.

#include <nlohmann/json.hpp>
#include <string>

namespace grpc_breaker::internal {

// Bytes that are not UTF-8 become U+FFFD: nothing throws.
inline std::string JsonText(const nlohmann::json& json) {
  return json.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/false,
                   nlohmann::json::error_handler_t::replace);
}

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_DASHBOARD_JSON_TEXT_H_
