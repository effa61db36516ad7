#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_PROCESSES_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_PROCESSES_H_

// The processes that a command asks, all at the same time: one that does not
// answer delays what is known of the others by --timeout at most.

#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "grpcpp/grpcpp.h"
#include "tools/breakerctl/client.h"
#include "tools/breakerctl/output.h"
#include "tools/breakerctl/targets.h"

namespace grpc_breaker::breakerctl {

// How it went with one process.
struct Outcome {
  std::string address;
  grpc::Status status;
};

template <typename Response>
struct Answer : Outcome {
  Response response;
};

// Thread-safe.
class Processes {
 public:
  // Those that the address means; an InvalidArgumentError says what is wrong.
  static absl::StatusOr<Processes> Find(const ConnectionFlags& flags);

  const std::vector<std::unique_ptr<Client>>& clients() const {
    return clients_;
  }
  // Whether it is to be said which of them something is of.
  bool several() const { return several_; }

  // Runs `function` for each client, on threads of their own.
  void ForEach(absl::FunctionRef<void(size_t index, const Client& client)>
                   function) const;

  // What `ask` gets from each. If that takes more than a second, a terminal is
  // told on standard error how many have answered, until all have.
  template <typename Response>
  std::vector<Answer<Response>> Ask(
      absl::FunctionRef<grpc::Status(const Client& client, Response* response)>
          ask) const {
    std::vector<Answer<Response>> answers(clients_.size());
    ForEachWithProgress([&](size_t index, const Client& client) {
      answers[index].address = client.address();
      answers[index].status = ask(client, &answers[index].response);
    });
    return answers;
  }

  // What it gets from those of these indices, and nothing else.
  template <typename Response>
  std::vector<Answer<Response>> AskThese(
      const std::vector<size_t>& indices,
      absl::FunctionRef<grpc::Status(const Client& client, Response* response)>
          ask) const {
    std::vector<Answer<Response>> answers(indices.size());
    ForThese(indices, [&](size_t place, const Client& client) {
      answers[place].address = client.address();
      answers[place].status = ask(client, &answers[place].response);
    });
    return answers;
  }

 private:
  void ForEachWithProgress(
      absl::FunctionRef<void(size_t index, const Client& client)> function)
      const;
  std::vector<size_t> AllIndices() const;
  void ForThese(const std::vector<size_t>& indices,
                absl::FunctionRef<void(size_t place, const Client& client)>
                    function) const;

  std::vector<std::unique_ptr<Client>> clients_;
  bool several_ = false;
};

// Says which of several processes failed, and why. That one of them has no such
// breaker is no failure where another one has.
ExitCode FailSeveral(const std::vector<Outcome>& outcomes);

// {"address": ..., "answer": ...}, or with the "error" instead.
absl::StatusOr<std::string> AnswerToJson(
    const Outcome& outcome, const google::protobuf::Message& response);

// {"processes": [...]}.
ExitCode PrintAnswers(const std::vector<std::string>& answers);

// Writes what the processes have answered: as JSON, or what `format` makes of
// the answers, of which there is at least one that is OK. A single answer is
// written as such. Then says what has failed.
template <typename Response>
ExitCode Conclude(
    const Processes& processes, const std::vector<Answer<Response>>& answers,
    const OutputFlags& output,
    absl::FunctionRef<std::string(const std::vector<Answer<Response>>& answers)>
        format) {
  if (!processes.several()) {
    const Answer<Response>& only = answers[0];
    if (!only.status.ok()) return Fail(only.status, only.address);
    return output.json ? PrintJson(only.response, /*on_one_line=*/false)
                       : Print(format(answers));
  }
  std::vector<Answer<Response>> good;
  std::vector<Outcome> outcomes;
  std::vector<std::string> texts;
  for (const Answer<Response>& answer : answers) {
    outcomes.push_back(answer);
    if (answer.status.ok()) good.push_back(answer);
    if (!output.json) continue;
    absl::StatusOr<std::string> text = AnswerToJson(answer, answer.response);
    if (!text.ok()) return Fail(ExitCode::kFailed, text.status().message());
    texts.push_back(*std::move(text));
  }
  ExitCode code = ExitCode::kDone;
  if (output.json) {
    code = PrintAnswers(texts);
  } else if (!good.empty()) {
    code = Print(format(good));
  }
  const ExitCode failed = FailSeveral(outcomes);
  return code == ExitCode::kDone ? failed : code;
}

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_PROCESSES_H_
