#include "tools/breakerctl/processes.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "tools/breakerctl/json.h"

namespace grpc_breaker::breakerctl {

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
  std::vector<std::thread> threads;
  for (size_t i = 1; i < clients_.size(); ++i) {
    threads.emplace_back([this, function, i] { function(i, *clients_[i]); });
  }
  function(0, *clients_[0]);
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
