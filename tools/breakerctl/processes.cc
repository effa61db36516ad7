#include "tools/breakerctl/processes.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <numeric>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "grpc_breaker/mutex_lock.h"
#include "tools/breakerctl/json.h"

namespace grpc_breaker::breakerctl {
namespace {

// Tells the terminal how many of several have answered, on a line that is gone
// at the end.
//
// Thread-safe.
class Progress {
 public:
  explicit Progress(size_t total) : total_(total) {
    if (total < 2 || isatty(STDERR_FILENO) == 0) return;
    thread_ = std::thread([this] { Tell(); });
  }
  ~Progress() {
    if (!thread_.joinable()) return;
    {
      internal::MutexLock lock(mutex_);
      answered_ = total_;
    }
    thread_.join();
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void NoteAnswer() ABSL_LOCKS_EXCLUDED(mutex_) {
    internal::MutexLock lock(mutex_);
    ++answered_;
  }

 private:
  // Nothing of what is done sooner.
  static constexpr absl::Duration kPatience = absl::Seconds(1);

  void Tell() ABSL_LOCKS_EXCLUDED(mutex_) {
    const auto is_done = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return answered_ >= total_;
    };
    size_t told = total_;
    const auto is_news = [this, &told]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return answered_ != told;
    };
    internal::MutexLock lock(mutex_);
    if (mutex_.AwaitWithTimeout(absl::Condition(&is_done), kPatience)) return;
    while (!is_done()) {
      told = answered_;
      std::fprintf(stderr, "\r%zu of %zu answered", told, total_);
      mutex_.Await(absl::Condition(&is_news));
    }
    const std::string line = absl::StrCat(total_, " of ", total_, " answered");
    std::fprintf(stderr, "\r%s\r", std::string(line.size(), ' ').c_str());
  }

  const size_t total_;
  absl::Mutex mutex_;
  size_t answered_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<Processes> Processes::Find(const ConnectionFlags& flags) {
  const absl::StatusOr<Targets> targets =
      FindTargets(flags.address, flags.timeout);
  if (!targets.ok()) return targets.status();
  Processes processes;
  processes.several_ = targets->several;
  for (const Target& target : targets->all) {
    ConnectionFlags one = flags;
    one.address = target.address;
    if (one.server_name.empty()) one.server_name = target.host;
    processes.clients_.push_back(std::make_unique<Client>(one));
  }
  return processes;
}

void Processes::ForEach(
    absl::FunctionRef<void(size_t index, const Client& client)> function)
    const {
  ForThese(AllIndices(), function);
}

void Processes::ForEachWithProgress(
    absl::FunctionRef<void(size_t index, const Client& client)> function)
    const {
  Progress progress(clients_.size());
  ForEach([&](size_t index, const Client& client) {
    function(index, client);
    progress.NoteAnswer();
  });
}

std::vector<size_t> Processes::AllIndices() const {
  std::vector<size_t> indices(clients_.size());
  std::iota(indices.begin(), indices.end(), size_t{0});
  return indices;
}

void Processes::ForThese(
    const std::vector<size_t>& indices,
    absl::FunctionRef<void(size_t place, const Client& client)> function)
    const {
  std::vector<std::thread> threads;
  for (size_t i = 1; i < indices.size(); ++i) {
    threads.emplace_back([&, i] { function(i, *clients_[indices[i]]); });
  }
  if (!indices.empty()) function(0, *clients_[indices[0]]);
  for (std::thread& thread : threads) thread.join();
}

ExitCode FailSeveral(const std::vector<Outcome>& outcomes) {
  const bool is_found =
      std::any_of(outcomes.begin(), outcomes.end(),
                  [](const Outcome& outcome) { return outcome.status.ok(); });
  ExitCode code = ExitCode::kDone;
  for (const Outcome& outcome : outcomes) {
    if (outcome.status.ok()) continue;
    const ExitCode of_this = CodeOf(outcome.status);
    if (of_this == ExitCode::kNotFound && is_found) continue;
    Note(absl::StrCat(outcome.address, ": ", Describe(outcome.status)));
    if (code == ExitCode::kDone) code = of_this;
  }
  return code;
}

absl::StatusOr<std::string> AnswerToJson(
    const Outcome& outcome, const google::protobuf::Message& response) {
  const std::string address =
      absl::StrCat("{\n   \"address\": ", JsonString(outcome.address), ",\n");
  if (!outcome.status.ok()) {
    return absl::StrCat(address,
                        "   \"error\": ", JsonString(Describe(outcome.status)),
                        "\n  }");
  }
  const absl::StatusOr<std::string> json =
      ToJson(response, /*on_one_line=*/false);
  if (!json.ok()) return json.status();
  return absl::StrCat(
      address, "   \"answer\": ",
      absl::StrReplaceAll(absl::StripSuffix(*json, "\n"), {{"\n", "\n   "}}),
      "\n  }");
}

ExitCode PrintAnswers(const std::vector<std::string>& answers) {
  return Print(absl::StrCat("{\n \"processes\": [\n  ",
                            absl::StrJoin(answers, ",\n  "), "\n ]\n}\n"));
}

}  // namespace grpc_breaker::breakerctl
