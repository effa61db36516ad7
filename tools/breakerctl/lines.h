#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_LINES_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_LINES_H_

// Lines about what happens in one process or in several: which it is of stands
// before it where there are several, or is part of it as JSON.
//
// Thread-safe.

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpcpp/grpcpp.h"
#include "tools/breakerctl/client.h"
#include "tools/breakerctl/output.h"
#include "tools/breakerctl/processes.h"
#include "tools/breakerctl/text.h"

namespace grpc_breaker::breakerctl {

class Lines {
 public:
  Lines(const Processes& processes, const OutputFlags& flags);

  const Style& style() const { return style_; }

  // The event as JSON if that is asked for, else the text, a line or nothing.
  // False if it cannot be written.
  bool Write(const Client& client, const google::protobuf::Message& event,
             absl::string_view text) ABSL_LOCKS_EXCLUDED(mutex_);
  // On standard error.
  void Note(const Client& client, absl::string_view message)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // There will be nothing more of this process.
  void Fail(const Client& client, const grpc::Status& status)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Of the first failure.
  ExitCode code() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const bool several_;
  const bool json_;
  const Style style_;
  size_t width_ = 0;  // Of the longest address.

  mutable internal::Mutex mutex_;
  ExitCode code_ ABSL_GUARDED_BY(mutex_) = ExitCode::kDone;
};

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_LINES_H_
