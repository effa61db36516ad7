#ifndef GRPC_BREAKER_CONFIG_FILE_DOCUMENT_CONFIG_H_
#define GRPC_BREAKER_CONFIG_FILE_DOCUMENT_CONFIG_H_

// From a document to a message, by the message's descriptors, so that a field
// which is added there can be read here.
//
// Stricter than JSON's mapping of protocol buffers: nothing is ignored, nothing
// is said twice, and truth values are not in quotes. Wider in this: durations
// may be written as Go and Abseil do ("250ms"), names of enumerators without
// their prefix, and null makes a field of a policy what it is by default.
//
// Thread-safe: a pure function over values.

#include "grpc_breaker/config_file/document.h"
#include "grpc_breaker/config_file/parsed_config.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

GRPC_BREAKER_EXPORT ParsedConfig ReadConfig(const DocumentNode& root);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_CONFIG_FILE_DOCUMENT_CONFIG_H_
