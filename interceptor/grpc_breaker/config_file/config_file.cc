#include "grpc_breaker/config_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/protobuf/text_format.h"
#include "grpc_breaker/base/utf8.h"
#include "grpc_breaker/config/config_merge.h"
#include "grpc_breaker/config_file/config_document.h"
#include "grpc_breaker/config_file/config_path.h"
#include "grpc_breaker/config_file/document.h"
#include "grpc_breaker/config_file/document_config.h"
#include "grpc_breaker/config_file/json_document.h"
#include "grpc_breaker/config_file/parsed_config.h"
#include "grpc_breaker/config_file/text_config.h"
#include "grpc_breaker/config_file/yaml_document.h"

namespace grpc_breaker {
namespace {

using internal::DocumentNode;
using internal::FileError;
using internal::ParsedConfig;

// FNV-1a, by Fowler, Noll and Vo.
std::string HashOf(absl::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return absl::StrCat(absl::Hex(hash, absl::kZeroPad16));
}

// What no format may have, so that no parser sees it.
std::optional<FileError> CheckBytes(absl::string_view text) {
  if (text.size() > internal::kMaxFileBytes) {
    return FileError{0, "",
                     absl::StrCat("must have at most ", internal::kMaxFileBytes,
                                  " bytes, got ", text.size())};
  }
  int line = 1;
  while (!text.empty()) {
    const absl::string_view rest = text.substr(0, text.find('\n'));
    if (absl::StrContains(rest, '\0')) {
      return FileError{line, "", "must not contain a zero byte"};
    }
    if (!internal::IsUtf8(rest)) {
      return FileError{line, "", "must be UTF-8"};
    }
    text.remove_prefix(std::min(rest.size() + 1, text.size()));
    ++line;
  }
  return std::nullopt;
}

ParsedConfig Parse(absl::string_view text, ConfigFormat format) {
  // A byte order mark.
  absl::ConsumePrefix(&text, "\xEF\xBB\xBF");
  ParsedConfig parsed;
  std::optional<FileError> error = CheckBytes(text);
  DocumentNode root;
  if (!error) {
    switch (format) {
      case ConfigFormat::kJson:
        error = internal::ParseJson(text, &root);
        break;
      case ConfigFormat::kYaml:
        error = internal::ParseYaml(text, &root);
        // A file of comments alone.
        if (!error && root.kind == DocumentNode::Kind::kNull) return parsed;
        break;
      case ConfigFormat::kTextProto:
        return internal::ParseTextConfig(text);
    }
  }
  if (!error) return internal::ReadConfig(root);
  parsed.errors.push_back(*std::move(error));
  return parsed;
}

// Adds what is wrong with what could be read.
void Merge(ParsedConfig* parsed, const NamedFunctions* functions,
           Options* options) {
  for (internal::FieldViolations violations :
       {internal::Merge(parsed->message, functions, options),
        internal::MergeChannelOptions(parsed->message, options)}) {
    for (internal::FieldViolation& violation : violations) {
      parsed->errors.push_back(
          internal::Located(*parsed, std::move(violation)));
    }
  }
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  // Without O_NONBLOCK, a pipe that nobody writes to would hold the caller.
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return absl::ErrnoToStatus(errno, path);
  const absl::Cleanup close_file = [file] { close(file); };
  struct stat found;
  if (fstat(file, &found) != 0) return absl::ErrnoToStatus(errno, path);
  if (!S_ISREG(found.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": must be a regular file"));
  }
  std::string text;
  std::array<char, 16384> buffer;
  // One byte too many is told by who looks at the text.
  while (text.size() <= internal::kMaxFileBytes) {
    const ssize_t size = read(file, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return absl::ErrnoToStatus(errno, path);
    if (size == 0) break;
    text.append(buffer.data(), static_cast<size_t>(size));
  }
  return text;
}

struct FileText {
  std::string text;
  ConfigFormat format;
};

absl::StatusOr<FileText> ReadFormattedFile(const std::string& path) {
  const absl::StatusOr<ConfigFormat> format = ConfigFormatOf(path);
  if (!format.ok()) return format.status();
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  return FileText{*std::move(text), *format};
}

}  // namespace

namespace internal {

std::string PathOrVariable(const std::string& path) {
  if (!path.empty()) return path;
  const char* const variable = std::getenv(kConfigFileVariable);
  return variable != nullptr ? variable : "";
}

}  // namespace internal

absl::Status ConfigFile::Apply(const NamedFunctions* functions,
                               Options* options) const {
  ParsedConfig parsed{message_, lines_, {}};
  Options changed = *options;
  Merge(&parsed, functions, &changed);
  if (parsed.errors.empty()) *options = std::move(changed);
  return internal::ToStatus(name_, std::move(parsed.errors));
}

absl::Status ConfigFile::ApplyTo(Options* options,
                                 const NamedFunctions& functions) const {
  return Apply(&functions, options);
}

int ConfigFile::LineOf(const std::string& field) const {
  const auto found = lines_.find(field);
  return found == lines_.end() ? 0 : found->second;
}

absl::Status ConfigFile::ApplyTo(Policies* policies,
                                 const NamedFunctions& functions) const {
  Options options;
  options.max_methods = std::numeric_limits<int>::max();  // The channel's.
  static_cast<Policies&>(options) = *policies;
  absl::Status status = Apply(&functions, &options);
  if (status.ok()) *policies = std::move(static_cast<Policies&>(options));
  return status;
}

absl::Status ConfigFile::Check() const {
  Options options;
  return Apply(nullptr, &options);
}

absl::StatusOr<ConfigFile> ParseConfig(absl::string_view text,
                                       ConfigFormat format, std::string name) {
  ParsedConfig parsed = Parse(text, format);
  if (!parsed.errors.empty()) {
    return internal::ToStatus(name, std::move(parsed.errors));
  }
  ConfigFile file;
  file.name_ = std::move(name);
  file.message_ = std::move(parsed.message);
  file.hash_ = HashOf(text);
  file.lines_ = std::move(parsed.lines);
  return file;
}

absl::StatusOr<ConfigFormat> ConfigFormatOf(const std::string& path) {
  static constexpr std::pair<const char*, ConfigFormat> kEndings[] = {
      {".json", ConfigFormat::kJson},
      {".yaml", ConfigFormat::kYaml},
      {".yml", ConfigFormat::kYaml},
      {".txtpb", ConfigFormat::kTextProto},
      {".textproto", ConfigFormat::kTextProto},
      {".pbtxt", ConfigFormat::kTextProto},
  };
  for (const auto& [ending, format] : kEndings) {
    if (absl::EndsWith(path, ending)) return format;
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path,
                   ": must end in .json, .yaml, .yml, .txtpb, .textproto or "
                   ".pbtxt"));
}

std::string FormatConfig(const config::v1::Config& message,
                         ConfigFormat format) {
  switch (format) {
    case ConfigFormat::kJson:
      return internal::FormatJson(internal::ToDocument(message));
    case ConfigFormat::kYaml:
      return internal::FormatYaml(internal::ToDocument(message));
    case ConfigFormat::kTextProto:
      break;
  }
  std::string text;
  // To memory, which cannot fail.
  static_cast<void>(
      google::protobuf::TextFormat::PrintToString(message, &text));
  return text;
}

absl::StatusOr<ConfigFile> LoadConfigFile(const std::string& path) {
  const absl::StatusOr<FileText> file = ReadFormattedFile(path);
  if (!file.ok()) return file.status();
  return ParseConfig(file->text, file->format, path);
}

absl::StatusOr<Options> OptionsFromConfigFile(Options options,
                                              const NamedFunctions& functions,
                                              const std::string& path) {
  const std::string name = internal::PathOrVariable(path);
  if (name.empty()) return options;
  const absl::StatusOr<FileText> file = ReadFormattedFile(name);
  if (!file.ok()) return file.status();
  ParsedConfig parsed = Parse(file->text, file->format);
  Merge(&parsed, &functions, &options);
  if (!parsed.errors.empty()) {
    return internal::ToStatus(name, std::move(parsed.errors));
  }
  return options;
}

}  // namespace grpc_breaker
