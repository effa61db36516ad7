#include "tools/breakerctl/flags.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "grpc_breaker/base/nearest_name.h"
#include "tools/breakerctl/files.h"

namespace grpc_breaker::breakerctl {
namespace {

constexpr char kConnectionGroup[] = "Connection";
constexpr char kOutputGroup[] = "Output";

constexpr char kPrefixDescription[] =
    "only methods that begin with it, such as /package.Service/";

// "user@host", as far as they are known.
std::string ThisUser() {
  const char* user = std::getenv("USER");
  char host[256] = "";
  if (gethostname(host, sizeof(host) - 1) != 0) host[0] = '\0';
  return absl::StrCat(
      user == nullptr || *user == '\0' ? absl::StrCat("uid ", geteuid()) : user,
      *host == '\0' ? "" : "@", host);
}

admin::v1::State ParseState(const std::string& flag, const std::string& text) {
  const std::string name =
      absl::StrReplaceAll(absl::AsciiStrToUpper(text), {{"-", "_"}});
  admin::v1::State state;
  if (!admin::v1::State_Parse(absl::StrCat("STATE_", name), &state) ||
      state == admin::v1::STATE_UNSPECIFIED) {
    throw CLI::ValidationError(
        flag, absl::StrCat("there is no state \"", text, "\"",
                           internal::NearestNameHint(name, StateNames())));
  }
  return state;
}

// Which must not be empty.
std::string ReadFileOf(const std::string& flag, const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) {
    throw CLI::ValidationError(flag, std::string(text.status().message()));
  }
  if (text->empty()) {
    throw CLI::ValidationError(flag, absl::StrCat(path, " is empty"));
  }
  return *std::move(text);
}

// A flag, or else a variable, that names a file whose text goes to `*value`.
CLI::Option* AddFileFlag(CLI::App& command, const std::string& name,
                         const std::string& variable, std::string* value,
                         const std::string& description) {
  return command
      .add_option_function<std::string>(
          name,
          [=](const std::string& path) { *value = ReadFileOf(name, path); },
          description)
      ->type_name(kFileType)
      ->envname(variable)
      ->group(kConnectionGroup);
}

void AddCredentialFlags(CLI::App& command, ConnectionFlags* flags) {
  command
      .add_flag("--tls", flags->tls,
                "speak TLS; also where only one of the next flags is there")
      ->group(kConnectionGroup);
  AddFileFlag(command, "--cacert", "BREAKERCTL_CACERT", &flags->authorities,
              "the authorities whose certificates the server may have, in PEM; "
              "by default those of the system");
  CLI::Option* certificate =
      AddFileFlag(command, "--cert", "BREAKERCTL_CERT", &flags->certificate,
                  "your certificate, in PEM");
  CLI::Option* key = AddFileFlag(command, "--key", "BREAKERCTL_KEY",
                                 &flags->key, "the key to --cert, in PEM");
  certificate->needs(key);
  key->needs(certificate);
  command
      .add_option("--server-name", flags->server_name,
                  "whose certificate the server is to have, where that is not "
                  "the host of --address")
      ->type_name(kNameType)
      ->group(kConnectionGroup);
  command
      .add_option_function<std::string>(
          "--token-file",
          [flags](const std::string& path) {
            flags->token = ReadFileOf("--token-file", path);
            absl::StripAsciiWhitespace(&flags->token);
            if (flags->token.empty() ||
                !std::all_of(flags->token.begin(), flags->token.end(),
                             [](char c) { return absl::ascii_isgraph(c); })) {
              throw CLI::ValidationError(
                  "--token-file",
                  absl::StrCat("must hold a token of visible ASCII characters, "
                               "as \"",
                               path, "\" does not"));
            }
          },
          "a bearer token to send, over TLS or on this machine only")
      ->type_name(kFileType)
      ->envname("BREAKERCTL_TOKEN_FILE")
      ->group(kConnectionGroup);
}

// In (0, `most`].
absl::Duration ParseDuration(const std::string& flag, const std::string& text,
                             absl::Duration most) {
  absl::Duration value;
  if (!absl::ParseDuration(text, &value)) {
    throw CLI::ValidationError(
        flag,
        absl::StrCat("must be a duration such as 500ms, got \"", text, "\""));
  }
  if (value <= absl::ZeroDuration() || value > most) {
    throw CLI::ValidationError(
        flag, absl::StrCat("must be greater than 0 and at most ",
                           absl::FormatDuration(most), ", got ",
                           absl::FormatDuration(value)));
  }
  return value;
}

}  // namespace

std::vector<std::string> StateNames() {
  std::vector<std::string> names;
  for (int i = admin::v1::State_MIN; i <= admin::v1::State_MAX; ++i) {
    if (i == admin::v1::STATE_UNSPECIFIED || !admin::v1::State_IsValid(i)) {
      continue;
    }
    names.emplace_back(absl::StripPrefix(
        admin::v1::State_Name(static_cast<admin::v1::State>(i)), "STATE_"));
  }
  return names;
}

CLI::Option* AddDurationFlag(CLI::App& command, const std::string& name,
                             absl::Duration* value, absl::Duration most,
                             const std::string& description) {
  return command
      .add_option_function<std::string>(
          name,
          [=](const std::string& text) {
            *value = ParseDuration(name, text, most);
          },
          description)
      ->type_name(kDurationType);
}

void AddConnectionFlags(CLI::App& command, ConnectionFlags* flags) {
  command
      .add_option(
          "--address", flags->address,
          "where the process serves: unix:/path/to/socket or HOST:PORT; "
          "several between commas, or a line each in @FILE; a name with "
          "several addresses is a process at each")
      ->type_name(kAddressType)
      ->envname("BREAKERCTL_ADDRESS")
      ->required()
      ->group(kConnectionGroup);
  // The bound keeps the deadline within what the clock can hold.
  AddDurationFlag(command, "--timeout", &flags->timeout, absl::Hours(24),
                  "how long to wait for an answer, such as 500ms")
      ->default_str(absl::FormatDuration(flags->timeout))
      ->group(kConnectionGroup);
  AddCredentialFlags(command, flags);
}

void AddOutputFlags(CLI::App& command, OutputFlags* flags) {
  command
      .add_flag("--json", flags->json,
                "JSON: counts are numbers, durations strings such as \"1.5s\"")
      ->group(kOutputGroup);
  command
      .add_flag("--wide", flags->wide,
                "long names in full, also where they do not fit into the "
                "terminal")
      ->group(kOutputGroup);
  AddColorFlag(command, flags);
}

void AddColorFlag(CLI::App& command, OutputFlags* flags) {
  using When = OutputFlags::When;
  command
      .add_option_function<std::string>(
          "--color",
          [flags](const std::string& text) {
            static const auto& kNames =
                *new std::map<std::string, When>{{"auto", When::kAuto},
                                                 {"always", When::kAlways},
                                                 {"never", When::kNever}};
            const auto found = kNames.find(text);
            if (found == kNames.end()) {
              throw CLI::ValidationError(
                  "--color",
                  absl::StrCat("must be auto, always or never, got \"", text,
                               "\""));
            }
            flags->color = found->second;
          },
          "states in colour: always, never, or auto, which is on a terminal "
          "unless $NO_COLOR is set")
      ->type_name(kWhenType)
      ->default_str("auto")
      ->group(kOutputGroup);
}

void AddChannelFlag(CLI::App& command, std::string* channel) {
  command
      .add_option("--channel", *channel, "only breakers of this client channel")
      ->type_name(kChannelType);
}

void AddFilterFlags(CLI::App& command, admin::v1::BreakerFilter* filter) {
  AddChannelFlag(command, filter->mutable_channel());
  command
      .add_option("--prefix", *filter->mutable_method_prefix(),
                  kPrefixDescription)
      ->type_name(kPrefixType);
  command
      .add_option_function<std::vector<std::string>>(
          "--state",
          [filter](const std::vector<std::string>& names) {
            for (const std::string& name : names) {
              filter->add_states(ParseState("--state", name));
            }
          },
          absl::StrCat("only breakers in these states: ",
                       absl::StrJoin(StateNames(), ", "),
                       "; may be given more than once"))
      ->type_name(absl::StrCat(kStateType, ",..."))
      ->delimiter(',')
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void AddMethod(CLI::App& command, std::string* method) {
  command.add_option(kMethodType, *method, "/package.Service/Method")
      ->required();
}

void AddTarget(CLI::App& command, admin::v1::Target* target) {
  CLI::Option* method = command.add_option_function<std::string>(
      kMethodType,
      [target](const std::string& name) { target->set_method(name); },
      "/package.Service/Method");
  command
      .add_option_function<std::string>(
          "--prefix",
          [target](const std::string& prefix) {
            target->set_method_prefix(prefix);
          },
          absl::StrCat("instead of METHOD: ", kPrefixDescription))
      ->type_name(kPrefixType)
      ->excludes(method);
  AddChannelFlag(command, target->mutable_channel());
  command
      .add_option_function<int>(
          "--max-breakers",
          [target](int most) {
            if (most < 1) {
              throw CLI::ValidationError(
                  "--max-breakers",
                  absl::StrCat("must be at least 1, got ", most));
            }
            target->set_max_breakers(most);
          },
          "change nothing where it would be more than so many")
      ->type_name(kCountType)
      ->default_str("100");
}

void CheckTarget(const admin::v1::Target& target) {
  if (target.methods_case() == admin::v1::Target::METHODS_NOT_SET) {
    throw CLI::ValidationError("neither METHOD nor --prefix is set");
  }
}

void AddReasonFlags(CLI::App& command, std::string* reason,
                    std::string* actor) {
  command.add_option("--reason", *reason, "why: it is recorded")
      ->type_name(kReasonType);
  AddActorFlag(command, actor);
}

void AddActorFlag(CLI::App& command, std::string* actor) {
  *actor = ThisUser();
  command
      .add_option("--actor", *actor,
                  "who: it is recorded as claimed, unless the process knows")
      ->type_name(kActorType)
      ->default_str("$USER@HOST");
}

void AddTimeToLiveFlag(CLI::App& command, google::protobuf::Duration* ttl) {
  // As much as a Duration may hold.
  constexpr absl::Duration kMost = absl::Seconds(315'576'000'000);
  command
      .add_option_function<std::string>(
          "--ttl",
          [ttl, kMost](const std::string& text) {
            absl::Duration rest = ParseDuration("--ttl", text, kMost);
            ttl->set_seconds(absl::IDivDuration(rest, absl::Seconds(1), &rest));
            ttl->set_nanos(
                static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
          },
          "for how long, such as 10m, until they are CLOSED again; without it "
          "until they are reset")
      ->type_name(kDurationType);
}

}  // namespace grpc_breaker::breakerctl
