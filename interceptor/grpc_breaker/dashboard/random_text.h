#ifndef GRPC_BREAKER_DASHBOARD_RANDOM_TEXT_H_
#define GRPC_BREAKER_DASHBOARD_RANDOM_TEXT_H_

// What nobody can guess.
//
// Thread-safe.

#include <string>

namespace grpc_breaker::internal {

// 128 bits of the system's randomness, in hexadecimal digits.
std::string RandomText();

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_DASHBOARD_RANDOM_TEXT_H_
