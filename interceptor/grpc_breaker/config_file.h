#ifndef GRPC_BREAKER_CONFIG_FILE_H_
#define GRPC_BREAKER_CONFIG_FILE_H_

// Options from a file: what a grpc_breaker.config.v1.Config sets there, over
// what the application has set. See docs/configuration.md.
//
//   absl::StatusOr<Options> options = OptionsFromConfigFile(Options());
//   if (!options.ok()) {
//     // shop.yaml:12: methods[/shop.Inventory/GetStock].retry.max_retries:
//     // must be from 0 to 100, got -1
//   }
//
// Reading is strict: a field that does not exist, or is there twice, or a value
// that does not fit it is an error, and all errors of a file are told at once,
// as an InvalidArgument with a line "file:line: field: what is wrong" for each
// of the first 20. Only of a file that is not JSON, YAML or text format at all
// the first is, and in text format of fields and values that do not exist.
// Nothing that a file says throws or crashes; one of more than 4 MiB is
// refused.
//
// Thread-compatible: plain values; the functions may be called from any thread.

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "grpc_breaker/config/v1/config.pb.h"
#include "grpc_breaker/export.h"
#include "grpc_breaker/named_functions.h"
#include "grpc_breaker/policy.h"

namespace grpc_breaker {

// All say the same. A library that was built without nlohmann-json or yaml-cpp
// cannot read JSON or YAML, and says so.
enum class ConfigFormat {
  kJson,       // RFC 8259.
  kYaml,       // One document.
  kTextProto,  // The text format of protocol buffers.
};

// Where a path to a file is looked for if the application names none.
inline constexpr char kConfigFileVariable[] = "GRPC_BREAKER_CONFIG";

// What one file says.
class GRPC_BREAKER_EXPORT ConfigFile {
 public:
  // As it was given, for people: a path.
  const std::string& name() const { return name_; }

  const config::v1::Config& message() const { return message_; }

  // From 1 on: where a field is, such as
  // "methods[/pkg.Service/Method].timeout"; 0 if it is not there.
  int LineOf(const std::string& field) const;

  // Of the text, in 16 hexadecimal digits: the same in each process that has
  // read the same, and no protection against those who mean harm (FNV-1a).
  const std::string& hash() const { return hash_; }

  // Sets in `options` what the file says, with the functions that it names. If
  // anything is wrong, they stay as they are.
  absl::Status ApplyTo(Options* options,
                       const NamedFunctions& functions = {}) const;

  // Likewise, without what is not of policies.
  absl::Status ApplyTo(Policies* policies,
                       const NamedFunctions& functions = {}) const;

  // Whether it could be applied to options that nobody has changed, whatever
  // the functions are that it names: for tests of a file without its program.
  absl::Status Check() const;

 private:
  friend GRPC_BREAKER_EXPORT absl::StatusOr<ConfigFile> ParseConfig(
      absl::string_view text, ConfigFormat format, std::string name);

  absl::Status Apply(const NamedFunctions* functions, Options* options) const;

  std::string name_;
  config::v1::Config message_;
  std::string hash_;
  std::map<std::string, int> lines_;  // By field.
};

// `name` is what errors call the text.
GRPC_BREAKER_EXPORT absl::StatusOr<ConfigFile> ParseConfig(
    absl::string_view text, ConfigFormat format, std::string name);

// The format is by the ending: .json, .yaml or .yml, .txtpb, .textproto or
// .pbtxt. NotFound, PermissionDenied, ... if the file cannot be read.
GRPC_BREAKER_EXPORT absl::StatusOr<ConfigFile> LoadConfigFile(
    const std::string& path);

// The text of a file that says what `message` does, which ParseConfig reads.
// Empty if this build cannot write the format.
GRPC_BREAKER_EXPORT std::string FormatConfig(const config::v1::Config& message,
                                             ConfigFormat format);

// As LoadConfigFile goes by the ending.
GRPC_BREAKER_EXPORT absl::StatusOr<ConfigFormat> ConfigFormatOf(
    const std::string& path);

// The options with what the file says over them. An empty `path` stands for
// what the environment variable GRPC_BREAKER_CONFIG says; if that is not set or
// empty, the options stay as they are.
GRPC_BREAKER_EXPORT absl::StatusOr<Options> OptionsFromConfigFile(
    Options options, const NamedFunctions& functions = {},
    const std::string& path = "");

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_CONFIG_FILE_H_
