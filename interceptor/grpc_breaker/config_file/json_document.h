#ifndef GRPC_BREAKER_CONFIG_FILE_JSON_DOCUMENT_H_
#define GRPC_BREAKER_CONFIG_FILE_JSON_DOCUMENT_H_

// JSON as RFC 8259 has it, no more: no comments, no commas that end a list.
//
// Thread-safe: a pure function over values.

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "grpc_breaker/config_file/document.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

// What is wrong with the text, if anything is; else `root` is what it says.
GRPC_BREAKER_EXPORT std::optional<FileError> ParseJson(absl::string_view text,
                                                       DocumentNode* root);

// The other way, indented, with a line break at the end. Empty where this build
// cannot.
GRPC_BREAKER_EXPORT std::string FormatJson(const DocumentNode& root);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_CONFIG_FILE_JSON_DOCUMENT_H_
