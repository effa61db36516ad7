#ifndef GRPC_BREAKER_CONFIG_FILE_CONFIG_DOCUMENT_H_
#define GRPC_BREAKER_CONFIG_FILE_CONFIG_DOCUMENT_H_

// The way back from document_config.h: a message as people would write it.
//
// Thread-safe: a pure function over values.

#include "grpc_breaker/config/v1/config.pb.h"
#include "grpc_breaker/config_file/document.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

// What is set, fields in the order of the proto file and names in theirs.
GRPC_BREAKER_EXPORT DocumentNode ToDocument(const config::v1::Config& message);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_CONFIG_FILE_CONFIG_DOCUMENT_H_
