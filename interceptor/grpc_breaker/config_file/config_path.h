#ifndef GRPC_BREAKER_CONFIG_FILE_CONFIG_PATH_H_
#define GRPC_BREAKER_CONFIG_FILE_CONFIG_PATH_H_

// Which file an application means.
//
// Thread-safe, unless another thread changes the environment's variables.

#include <string>

namespace grpc_breaker::internal {

// `path`, or where that is empty what GRPC_BREAKER_CONFIG says; empty if that
// is not set.
std::string PathOrVariable(const std::string& path);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_CONFIG_FILE_CONFIG_PATH_H_
