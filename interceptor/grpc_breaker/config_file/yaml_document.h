#ifndef GRPC_BREAKER_CONFIG_FILE_YAML_DOCUMENT_H_
#define GRPC_BREAKER_CONFIG_FILE_YAML_DOCUMENT_H_

// One document of YAML. What is not in quotes has no type of its own, so that
// no text turns into a number or a truth value.
//
// Thread-safe: a pure function over values.

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "grpc_breaker/config_file/document.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

// What is wrong with the text, if anything is; else `root` is what it says,
// null if that is nothing.
GRPC_BREAKER_EXPORT std::optional<FileError> ParseYaml(absl::string_view text,
                                                       DocumentNode* root);

// The other way, with a line break at the end. Empty where this build cannot.
GRPC_BREAKER_EXPORT std::string FormatYaml(const DocumentNode& root);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_CONFIG_FILE_YAML_DOCUMENT_H_
