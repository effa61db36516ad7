#ifndef GRPC_BREAKER_CONFIG_FILE_PARSED_CONFIG_H_
#define GRPC_BREAKER_CONFIG_FILE_PARSED_CONFIG_H_

// What a file says, as a message, with the lines on which it says so.
//
// Thread-compatible: plain values.

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "grpc_breaker/config/field_violation.h"
#include "grpc_breaker/config/v1/config.pb.h"
#include "grpc_breaker/config_file/document.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

struct ParsedConfig {
  config::v1::Config message;
  // By field, named as in FieldViolation.
  std::map<std::string, int> lines;
  // Of what could not be read, which the message lacks.
  std::vector<FileError> errors;
};

// With the line of the field, or of the innermost that is in the file.
GRPC_BREAKER_EXPORT FileError Located(const ParsedConfig& parsed,
                                      FieldViolation violation);

// OK if there are none, else InvalidArgument, a line "name:line: field:
// description" for each in the order of the file; of many, the first ones.
GRPC_BREAKER_EXPORT absl::Status ToStatus(const std::string& name,
                                          std::vector<FileError> errors);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_CONFIG_FILE_PARSED_CONFIG_H_
