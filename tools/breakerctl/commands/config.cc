// breakerctl config: files that say what the policies of a process are to be.

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/struct.pb.h"
#include "grpc_breaker/config/config_merge.h"
#include "grpc_breaker/config/config_message.h"
#include "grpc_breaker/config/policy_changes.h"
#include "grpc_breaker/config/policy_difference.h"
#include "grpc_breaker/config/policy_message.h"
#include "grpc_breaker/config_file.h"
#include "tools/breakerctl/client.h"
#include "tools/breakerctl/command.h"
#include "tools/breakerctl/config_schema.h"
#include "tools/breakerctl/files.h"
#include "tools/breakerctl/flags.h"
#include "tools/breakerctl/linked_names.h"
#include "tools/breakerctl/output.h"
#include "tools/breakerctl/processes.h"

namespace grpc_breaker::breakerctl {
namespace {

using config::v1::Config;
using internal::FieldChange;

// --- check ---

struct CheckFlags {
  std::vector<std::string> files;
  std::string descriptors;
};

absl::Status CheckFile(const std::string& path, const LinkedNames* names) {
  const absl::StatusOr<ConfigFile> file = LoadConfigFile(path);
  if (!file.ok()) return file.status();
  if (absl::Status status = file->Check(); !status.ok()) return status;
  return names == nullptr ? absl::OkStatus() : names->Check(*file);
}

ExitCode Check(const CheckFlags& flags) {
  std::unique_ptr<const LinkedNames> names;
  if (!flags.descriptors.empty()) {
    absl::StatusOr<std::unique_ptr<const LinkedNames>> read =
        LinkedNames::Read(flags.descriptors);
    if (!read.ok()) {
      return Fail(ExitCode::kFailed, read.status().message());
    }
    names = *std::move(read);
  }
  ExitCode code = ExitCode::kDone;
  for (const std::string& path : flags.files) {
    const absl::Status status = CheckFile(path, names.get());
    if (status.ok()) {
      Print(absl::StrCat(path, ": right\n"));
    } else {
      code = Fail(ExitCode::kFailed, status.message());
    }
  }
  return code;
}

// --- diff ---

struct DiffFlags {
  std::string file;
  std::string channel;
  ConnectionFlags connection;
  bool json = false;
};

// Sets in the policies what the message says, from where `source` is. The
// functions that it names are not here, and stand for some that do nothing.
absl::Status MergeInto(const Config& message, const std::string& source,
                       Policies* policies) {
  const internal::FieldViolations violations =
      internal::Merge(message, nullptr, policies);
  if (violations.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      source, ": ", violations[0].field, ": ", violations[0].description));
}

// What would be other policies if the process had the file.
absl::StatusOr<std::vector<FieldChange>> ChangesBy(
    const ConfigFile& file, const admin::v1::Channel& channel) {
  Policies now;
  Policies then;
  absl::Status status = MergeInto(channel.config(), channel.channel(), &now);
  status.Update(MergeInto(
      channel.has_policy_source() ? channel.given_config() : channel.config(),
      channel.channel(), &then));
  status.Update(MergeInto(file.message(), file.name(), &then));
  if (!status.ok()) return status;
  return internal::Changes(now, then);
}

std::string TextOf(const std::vector<FieldChange>& changes) {
  std::string text;
  for (const FieldChange& change : changes) {
    absl::StrAppend(&text,
                    Printable(absl::StrCat(change.field, ": ", change.from,
                                           " -> ", change.to)),
                    "\n");
  }
  return text;
}

google::protobuf::ListValue JsonOf(const std::vector<FieldChange>& changes) {
  google::protobuf::ListValue list;
  for (const FieldChange& change : changes) {
    auto& fields = *list.add_values()->mutable_struct_value()->mutable_fields();
    fields["field"].set_string_value(change.field);
    fields["from"].set_string_value(change.from);
    fields["to"].set_string_value(change.to);
  }
  return list;
}

ExitCode Different(ExitCode printed, bool differs) {
  if (printed != ExitCode::kDone) return printed;
  return differs ? ExitCode::kDifferent : ExitCode::kDone;
}

ExitCode Diff(const DiffFlags& flags) {
  const absl::StatusOr<ConfigFile> file = LoadConfigFile(flags.file);
  if (!file.ok()) return Fail(ExitCode::kFailed, file.status().message());
  if (const absl::Status status = file->Check(); !status.ok()) {
    return Fail(ExitCode::kFailed, status.message());
  }
  const absl::StatusOr<Processes> processes = Processes::Find(flags.connection);
  if (!processes.ok()) return FailUsage(processes.status().message());
  const auto channels = processes->Ask<admin::v1::Channel>(
      [&](const Client& client, admin::v1::Channel* channel) {
        return client.GetChannel(flags.channel, channel);
      });
  std::vector<Outcome> outcomes;
  std::vector<std::string> answers;
  std::string text;
  bool differs = false;
  for (const auto& channel : channels) {
    outcomes.push_back(channel);
    std::vector<FieldChange> changes;
    if (channel.status.ok()) {
      absl::StatusOr<std::vector<FieldChange>> by_file =
          ChangesBy(*file, channel.response);
      if (!by_file.ok()) {
        return Fail(ExitCode::kFailed, by_file.status().message());
      }
      changes = *std::move(by_file);
      differs = differs || !changes.empty();
    }
    if (!processes->several()) {
      if (!channel.status.ok()) return Fail(channel.status, channel.address);
      return Different(flags.json ? PrintJson(JsonOf(changes), false)
                                  : Print(TextOf(changes)),
                       differs);
    }
    if (flags.json) {
      absl::StatusOr<std::string> answer =
          AnswerToJson(channel, JsonOf(changes));
      if (!answer.ok()) {
        return Fail(ExitCode::kFailed, answer.status().message());
      }
      answers.push_back(*std::move(answer));
    } else if (channel.status.ok()) {
      absl::StrAppend(&text, text.empty() ? "" : "\n",
                      Printable(channel.address), "\n", TextOf(changes));
    }
  }
  const ExitCode printed = flags.json ? PrintAnswers(answers) : Print(text);
  const ExitCode failed = FailSeveral(outcomes);
  return failed != ExitCode::kDone ? failed : Different(printed, differs);
}

// --- init ---

struct InitFlags {
  std::string service_config;
  std::string channel;
  std::string format = "yaml";
  ConnectionFlags connection;
};

// Without what every application has.
Config Least(Config message) {
  *message.mutable_default_policy() = internal::Difference(
      internal::ToMessage(Policy()), message.default_policy());
  if (message.default_policy().ByteSizeLong() == 0) {
    message.clear_default_policy();
  }
  if (!message.strict_methods()) message.clear_strict_methods();
  return message;
}

absl::StatusOr<Config> FromServiceConfig(const std::string& path) {
  const absl::StatusOr<std::string> json = ReadFile(path);
  if (!json.ok()) return json.status();
  const absl::StatusOr<Options> options = Options::FromServiceConfig(*json);
  if (!options.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", options.status().message()));
  }
  Config config = Least(internal::ToMessage(*options));
  if (options->retry_budget.on()) {
    *config.mutable_retry_budget() = internal::ToMessage(options->retry_budget);
  }
  return config;
}

ExitCode PrintConfig(const Config& config, const std::string& from,
                     ConfigFormat format) {
  const std::string text = FormatConfig(config, format);
  if (text.empty() && config.ByteSizeLong() != 0) {
    return Fail(ExitCode::kFailed,
                "--format: this breakerctl was built without it");
  }
  // JSON has no comments.
  const std::string comment =
      format == ConfigFormat::kJson
          ? ""
          : absl::StrCat("# What holds in ", Printable(from), ".\n");
  return Print(absl::StrCat(comment, text));
}

ExitCode Init(const InitFlags& flags) {
  const ConfigFormat format = *ConfigFormatOf("." + flags.format);
  if (!flags.service_config.empty()) {
    const absl::StatusOr<Config> config =
        FromServiceConfig(flags.service_config);
    if (!config.ok()) return Fail(ExitCode::kFailed, config.status().message());
    return PrintConfig(*config, flags.service_config, format);
  }
  if (flags.connection.address.empty()) {
    return FailUsage(
        "config init: neither --address, $BREAKERCTL_ADDRESS nor "
        "--service-config is set");
  }
  const absl::StatusOr<Processes> processes = Processes::Find(flags.connection);
  if (!processes.ok()) return FailUsage(processes.status().message());
  if (const size_t found = processes->clients().size(); found > 1) {
    return FailUsage(
        absl::StrCat("--address: must mean one process, got ", found));
  }
  const Client& client = *processes->clients()[0];
  admin::v1::Channel channel;
  const grpc::Status status = client.GetChannel(flags.channel, &channel);
  if (!status.ok()) return Fail(status, client.address());
  return PrintConfig(
      Least(channel.config()),
      absl::StrCat("channel ", channel.channel(), " of ", client.address()),
      format);
}

ExitCode Schema() { return PrintJson(ConfigSchema(), /*on_one_line=*/false); }

void AddChannel(CLI::App& command, std::string* channel) {
  command
      .add_option("--channel", *channel,
                  "the client channel, where there are several")
      ->type_name(kChannelType);
}

}  // namespace

void AddConfig(CLI::App& program, Action* action) {
  CLI::App* config = program.add_subcommand(
      "config", "files that say what policies are to be");
  config->require_subcommand(0, 1);

  const auto check = std::make_shared<CheckFlags>();
  CLI::App* command = config->add_subcommand(
      "check", "whether files are right, such as before they are deployed");
  command->add_option("FILE", check->files, "files in JSON, YAML, text format")
      ->required()
      ->type_name("");
  command
      ->add_option("--descriptors", check->descriptors,
                   "what protoc --include_imports --descriptor_set_out wrote: "
                   "services and methods that it lacks are wrong as well")
      ->type_name(kFileType);
  command->callback([=] { *action = [check] { return Check(*check); }; });

  const auto diff = std::make_shared<DiffFlags>();
  command = config->add_subcommand(
      "diff", "what would change in a process that has the file");
  command->add_option("FILE", diff->file, "a file in JSON, YAML, text format")
      ->required()
      ->type_name("");
  AddChannel(*command, &diff->channel);
  AddConnectionFlags(*command, &diff->connection);
  command->add_flag("--json", diff->json, "a list of {field, from, to}");
  command->callback([=] { *action = [diff] { return Diff(*diff); }; });

  const auto init = std::make_shared<InitFlags>();
  command = config->add_subcommand(
      "init", "a file that says what holds in a process, or what gRPC is told");
  command
      ->add_option("--service-config", init->service_config,
                   "instead of a process, a file with a gRPC service config")
      ->type_name(kFileType);
  command->add_option("--format", init->format, "yaml, json or txtpb")
      ->check(CLI::IsMember({"yaml", "json", "txtpb"}))
      ->default_str("yaml")
      ->type_name("FORMAT");
  AddChannel(*command, &init->channel);
  AddConnectionFlags(*command, &init->connection);
  command->get_option("--address")->required(false);
  command->callback([=] { *action = [init] { return Init(*init); }; });

  command = config->add_subcommand(
      "schema", "the JSON schema of such files, for editors");
  command->callback([=] { *action = [] { return Schema(); }; });
}

}  // namespace grpc_breaker::breakerctl
