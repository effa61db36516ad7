#ifndef GRPC_BREAKER_TOOLS_BREAKERCTL_FLAGS_H_
#define GRPC_BREAKER_TOOLS_BREAKERCTL_FLAGS_H_

// Flags that several commands have. Each function adds some to a command; what
// they are set to is in `*flags` when the command runs. A value that is wrong
// is told with the flag that has it.
//
// The type of a flag's value, as help shows it, is one of the constants below:
// completion goes by them.

#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/time/time.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "tools/breakerctl/client.h"
#include "tools/breakerctl/output.h"

namespace grpc_breaker::breakerctl {

inline constexpr char kActorType[] = "ACTOR";
inline constexpr char kAddressType[] = "ADDRESS";
inline constexpr char kChannelType[] = "CHANNEL";
inline constexpr char kCommandType[] = "COMMAND";
inline constexpr char kCountType[] = "N";
inline constexpr char kDurationType[] = "DURATION";
inline constexpr char kFileType[] = "FILE";
inline constexpr char kMethodType[] = "METHOD";
inline constexpr char kNameType[] = "NAME";
inline constexpr char kPrefixType[] = "PREFIX";
inline constexpr char kReasonType[] = "TEXT";
inline constexpr char kShellType[] = "SHELL";
inline constexpr char kStateType[] = "STATE";
inline constexpr char kWhenType[] = "WHEN";

// States that breakers are in, as people name them.
std::vector<std::string> StateNames();

// --address and --timeout, and those for TLS and tokens, whose files are read
// when they are given.
void AddConnectionFlags(CLI::App& command, ConnectionFlags* flags);

// --json, --wide and --color; and that alone.
void AddOutputFlags(CLI::App& command, OutputFlags* flags);
void AddColorFlag(CLI::App& command, OutputFlags* flags);

// --channel, for a breaker that is named by its method.
void AddChannelFlag(CLI::App& command, std::string* channel);

// --channel, --prefix and --state.
void AddFilterFlags(CLI::App& command, admin::v1::BreakerFilter* filter);

// The argument METHOD, which must be there.
void AddMethod(CLI::App& command, std::string* method);

// The argument METHOD, --prefix, --channel and --max-breakers, for what is to
// be changed; and the check for the command's callback that METHOD or --prefix
// is there.
void AddTarget(CLI::App& command, admin::v1::Target* target);
void CheckTarget(const admin::v1::Target& target);

// --reason and --actor, which is this user by default; and that alone.
void AddReasonFlags(CLI::App& command, std::string* reason, std::string* actor);
void AddActorFlag(CLI::App& command, std::string* actor);

// --ttl.
void AddTimeToLiveFlag(CLI::App& command, google::protobuf::Duration* ttl);

// A flag such as --timeout=1m30s, in (0, `most`].
CLI::Option* AddDurationFlag(CLI::App& command, const std::string& name,
                             absl::Duration* value, absl::Duration most,
                             const std::string& description);

}  // namespace grpc_breaker::breakerctl

#endif  // GRPC_BREAKER_TOOLS_BREAKERCTL_FLAGS_H_
