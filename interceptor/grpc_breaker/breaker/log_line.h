#ifndef GRPC_BREAKER_BREAKER_LOG_LINE_H_
#define GRPC_BREAKER_BREAKER_LOG_LINE_H_

// One line of a log, made of fields, in logfmt or as an object of JSON.
//
// Thread-compatible.

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/logging_listener.h"

namespace grpc_breaker::internal {

class GRPC_BREAKER_EXPORT LogLine {
 public:
  explicit LogLine(LogFormat format) : format_(format) {}

  // `key` is of the library: a word in lower case. `value` may be any bytes.
  LogLine& Add(absl::string_view key, absl::string_view value);
  LogLine& AddNumber(absl::string_view key, uint64_t value);
  LogLine& AddBool(absl::string_view key, bool value);

  // Without the end of the line.
  std::string Text() const;

 private:
  void AddKey(absl::string_view key);

  const LogFormat format_;
  std::string fields_;
};

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BREAKER_LOG_LINE_H_
