#include "tools/breakerctl/lines.h"

#include <algorithm>
#include <cstddef>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "tools/breakerctl/json.h"

namespace grpc_breaker::breakerctl {

using internal::MutexLock;

Lines::Lines(const Processes& processes, const OutputFlags& flags)
    : several_(processes.several()),
      json_(flags.json),
      style_(OutputStyle(flags)) {
  for (const auto& client : processes.clients()) {
    width_ = std::max(width_, Width(Printable(client->address())));
  }
}

bool Lines::Write(const Client& client, const google::protobuf::Message& event,
                  absl::string_view text) {
  std::string line(text);
  const std::string address = Printable(client.address());
  if (json_) {
    const absl::StatusOr<std::string> json =
        ToJson(event, /*on_one_line=*/true);
    line = json.ok() ? *json : "";
    if (several_) {
      line = absl::StrCat("{\"process\":", JsonString(client.address()),
                          ",\"event\":", absl::StripSuffix(line, "\n"), "}\n");
    }
  } else if (several_ && !line.empty()) {
    line = absl::StrCat(address, std::string(width_ + 1 - Width(address), ' '),
                        line);
  }
  MutexLock lock(mutex_);
  const ExitCode written = Print(line);
  if (code_ == ExitCode::kDone) code_ = written;
  return written == ExitCode::kDone;
}

void Lines::Note(const Client& client, absl::string_view message) {
  MutexLock lock(mutex_);
  breakerctl::Note(several_ ? absl::StrCat(client.address(), ": ", message)
                            : std::string(message));
}

void Lines::Fail(const Client& client, const grpc::Status& status) {
  MutexLock lock(mutex_);
  if (several_) {
    breakerctl::Note(absl::StrCat(client.address(), ": ", Describe(status)));
  } else {
    breakerctl::Fail(status, client.address());
  }
  if (code_ == ExitCode::kDone) code_ = CodeOf(status);
}

ExitCode Lines::code() const {
  MutexLock lock(mutex_);
  return code_;
}

}  // namespace grpc_breaker::breakerctl
