#ifndef GRPC_BREAKER_CONFIG_FILE_TEXT_CONFIG_H_
#define GRPC_BREAKER_CONFIG_FILE_TEXT_CONFIG_H_

// A message as protocol buffers write it for people.
//
// Thread-safe: a pure function over values.

#include "absl/strings/string_view.h"
#include "grpc_breaker/config_file/parsed_config.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

GRPC_BREAKER_EXPORT ParsedConfig ParseTextConfig(absl::string_view text);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_CONFIG_FILE_TEXT_CONFIG_H_
