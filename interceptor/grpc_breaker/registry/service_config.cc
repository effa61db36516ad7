#include "grpc_breaker/registry/service_config.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "grpc_breaker/registry/linked_protos.h"
#include "grpc_breaker/registry/method_name.h"
#include "grpc_breaker/registry/policy_fields.h"
#include "grpc_breaker/registry/status_details.h"

namespace grpc_breaker::internal {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

constexpr int kMostAttemptsInGrpc = 5;
constexpr int kMostAttempts = 101;  // RetryOptions::max_retries, and the first.

// A value of the config, and where it stands. What is null counts as not there,
// as in all JSON that stands for a protobuf.
class Node {
 public:
  Node(std::string path, const Value* value)
      : path_(std::move(path)),
        value_(value != nullptr && value->kind_case() != Value::kNullValue
                   ? value
                   : nullptr) {}

  const std::string& path() const { return path_; }
  bool there() const { return value_ != nullptr; }
  Value::KindCase kind() const {
    return there() ? value_->kind_case() : Value::KIND_NOT_SET;
  }
  const Value& value() const { return *value_; }

  std::string Text() const {
    switch (kind()) {
      case Value::kNumberValue:
        return absl::StrCat(value_->number_value());
      case Value::kStringValue:
        return absl::StrCat("\"", value_->string_value(), "\"");
      case Value::kBoolValue:
        return value_->bool_value() ? "true" : "false";
      case Value::kStructValue:
        return "an object";
      case Value::kListValue:
        return value_->list_value().values().empty() ? "an empty list"
                                                     : "a list";
      case Value::kNullValue:
      case Value::KIND_NOT_SET:
        break;
    }
    return "nothing";
  }

 private:
  std::string path_;
  const Value* value_;  // Null: not there.
};

// "1.5s", as protobuf writes a Duration in JSON, but never negative; 0.5s may
// lack its zero.
std::optional<absl::Duration> ParseDuration(absl::string_view text) {
  constexpr size_t kMostDecimals = 9;
  constexpr int64_t kMostSeconds = 315'576'000'000;  // 10,000 years.
  if (!absl::ConsumeSuffix(&text, "s")) return std::nullopt;
  const size_t point = std::min(text.find('.'), text.size());
  const absl::string_view whole = text.substr(0, point);
  const absl::string_view decimals =
      point < text.size() ? text.substr(point + 1) : "0";
  if (!absl::c_all_of(whole, absl::ascii_isdigit) ||
      !absl::c_all_of(decimals, absl::ascii_isdigit) || decimals.empty() ||
      decimals.size() > kMostDecimals || text.empty()) {
    return std::nullopt;
  }
  int64_t seconds = 0;
  int64_t nanoseconds = 0;
  if (!whole.empty() && !absl::SimpleAtoi(whole, &seconds)) return std::nullopt;
  if (seconds > kMostSeconds) return std::nullopt;
  std::string padded(decimals);
  padded.resize(kMostDecimals, '0');
  if (!absl::SimpleAtoi(padded, &nanoseconds)) return std::nullopt;
  return absl::Seconds(seconds) + absl::Nanoseconds(nanoseconds);
}

// The codes of errors, by number or name.
std::optional<grpc::StatusCode> ParseCode(const Node& node) {
  if (node.kind() == Value::kStringValue) {
    const auto code =
        internal::ParseCode(absl::AsciiStrToUpper(node.value().string_value()));
    return code != grpc::StatusCode::OK ? code : std::nullopt;
  }
  for (int code = 1; code <= 16; ++code) {
    if (node.kind() == Value::kNumberValue &&
        node.value().number_value() == code) {
      return static_cast<grpc::StatusCode>(code);
    }
  }
  return std::nullopt;
}

// Reads on after an error, of which the first is kept.
class Parser {
 public:
  explicit Parser(AttemptLimit limit) : limit_(limit) {}

  absl::StatusOr<ServiceConfig> Parse(const Struct& root) {
    ServiceConfig config;
    for (const Node& method : List(Field("", root, "methodConfig"))) {
      config.methods.push_back(ReadMethod(method));
    }
    const Node throttling = Field("", root, "retryThrottling");
    if (throttling.there()) config.retry_budget = ReadThrottling(throttling);
    if (!status_.ok()) return status_;
    return config;
  }

 private:
  void Fail(absl::Status status) { status_.Update(std::move(status)); }

  void Complain(const Node& node, absl::string_view requirement) {
    Fail(absl::InvalidArgumentError(absl::StrCat(
        node.path(), ": must be ", requirement, ", got ", node.Text())));
  }

  static Node Field(absl::string_view path, const Struct& object,
                    const std::string& name) {
    const auto it = object.fields().find(name);
    return Node(absl::StrCat(path, path.empty() ? "" : ".", name),
                it != object.fields().end() ? &it->second : nullptr);
  }

  // An empty one if it is none.
  const Struct& Object(const Node& node) {
    if (node.kind() == Value::kStructValue) return node.value().struct_value();
    Complain(node, "an object");
    return Struct::default_instance();
  }

  // Its elements; none if it is not there.
  std::vector<Node> List(const Node& node) {
    std::vector<Node> elements;
    if (!node.there()) return elements;
    if (node.kind() != Value::kListValue) {
      Complain(node, "a list");
      return elements;
    }
    for (const Value& value : node.value().list_value().values()) {
      elements.emplace_back(
          absl::StrCat(node.path(), "[", elements.size(), "]"), &value);
    }
    return elements;
  }

  // "" if it is not there.
  std::string Text(const Node& node) {
    if (!node.there()) return "";
    if (node.kind() == Value::kStringValue) return node.value().string_value();
    Complain(node, "a string");
    return "";
  }

  absl::Duration Duration(const Node& node) {
    std::optional<absl::Duration> duration;
    if (node.kind() == Value::kStringValue) {
      duration = ParseDuration(node.value().string_value());
    }
    if (!duration) Complain(node, "a duration such as \"1.5s\"");
    return duration.value_or(absl::ZeroDuration());
  }

  absl::Duration PositiveDuration(const Node& node) {
    const absl::Duration duration = Duration(node);
    if (duration == absl::ZeroDuration()) Complain(node, "greater than 0s");
    return duration;
  }

  // `least` if it is none, or out of its range.
  int Integer(const Node& node, int least, int most,
              absl::string_view requirement) {
    if (node.kind() == Value::kNumberValue) {
      const double number = node.value().number_value();
      if (number == std::floor(number) && number >= least && number <= most) {
        return static_cast<int>(number);
      }
    }
    Complain(node, requirement);
    return least;
  }

  // 1 if it is none, or less than `least`.
  double Number(const Node& node, double least, absl::string_view requirement) {
    if (node.kind() == Value::kNumberValue) {
      const double number = node.value().number_value();
      if (number >= least && std::isfinite(number)) return number;
    }
    Complain(node, requirement);
    return 1;
  }

  MethodConfig ReadMethod(const Node& node) {
    MethodConfig method;
    const Struct& object = Object(node);
    for (const Node& name : List(Field(node.path(), object, "name"))) {
      method.names.push_back(ReadName(name));
    }
    const Node timeout = Field(node.path(), object, "timeout");
    if (timeout.there()) method.timeout = ReadTimeout(timeout);
    const Node wait = Field(node.path(), object, "waitForReady");
    if (wait.kind() == Value::kBoolValue) {
      method.wait_for_ready = wait.value().bool_value();
    } else if (wait.there()) {
      Complain(wait, "true or false");
    }
    const Node retries = Field(node.path(), object, "retryPolicy");
    if (retries.there()) method.retries = ReadRetries(retries);
    const Node hedging = Field(node.path(), object, "hedgingPolicy");
    if (hedging.there() && retries.there()) {
      Fail(absl::InvalidArgumentError(absl::StrCat(
          hedging.path(), ": must be left out where there is a retryPolicy")));
    } else if (hedging.there()) {
      method.retries = ReadHedging(hedging);
    }
    return method;
  }

  std::string ReadName(const Node& node) {
    const Struct& object = Object(node);
    const Node service_node = Field(node.path(), object, "service");
    const Node method_node = Field(node.path(), object, "method");
    const std::string service = Text(service_node);
    const std::string method = Text(method_node);
    std::string name;
    if (!service.empty()) {
      name = absl::StrCat("/", service, "/");
      if (FormOf(name) != NameForm::kService) {
        Complain(service_node, "the name of a service, such as pkg.Service");
      }
      absl::StrAppend(&name, method);
      if (!method.empty() && FormOf(name) != NameForm::kMethod) {
        Complain(method_node, "the name of a method");
      }
    } else if (!method.empty()) {
      Complain(method_node, "left out where there is no service");
    }
    if (!names_.insert(name).second) {
      Fail(absl::InvalidArgumentError(absl::StrCat(
          node.path(), ": must be in the config once, got ",
          name.empty() ? "the name of all methods" : name, " again")));
    }
    return name;
  }

  // 0 is none, as in gRPC.
  std::optional<absl::Duration> ReadTimeout(const Node& node) {
    const absl::Duration timeout = Duration(node);
    if (timeout == absl::ZeroDuration()) return std::nullopt;
    if (!kTimeout.Complaint(timeout).empty()) Complain(node, kTimeout.Text());
    return timeout;
  }

  int ReadAttempts(const Node& node) {
    if (limit_ == AttemptLimit::kNone) {
      return Integer(node, 2, kMostAttempts, "an integer from 2 to 101");
    }
    constexpr int kMost = std::numeric_limits<int>::max();
    return std::min(Integer(node, 2, kMost, "an integer of at least 2"),
                    kMostAttemptsInGrpc);
  }

  ConfiguredRetries ReadRetries(const Node& node) {
    ConfiguredRetries retries;
    const Struct& object = Object(node);
    const auto field = [&](const char* name) {
      return Field(node.path(), object, name);
    };
    RetryOptions& retry = retries.retry;
    retry.max_retries = ReadAttempts(field("maxAttempts")) - 1;
    const absl::Duration initial = PositiveDuration(field("initialBackoff"));
    retry.max_delay = PositiveDuration(field("maxBackoff"));
    // Where the first delay is above the limit, every delay is the limit.
    retry.base_delay = std::min(initial, retry.max_delay);
    retry.exponential_base = Number(field("backoffMultiplier"),
                                    std::numeric_limits<double>::denorm_min(),
                                    "a number greater than 0");
    retry.jitter = Jitter::kGrpcA6;
    const Node codes = field("retryableStatusCodes");
    retries.codes = ReadCodes(codes);
    if (!codes.there() || (codes.kind() == Value::kListValue &&
                           codes.value().list_value().values().empty())) {
      Complain(codes, "a list of at least one status code");
    }
    return retries;
  }

  ConfiguredRetries ReadHedging(const Node& node) {
    ConfiguredRetries retries;
    const Struct& object = Object(node);
    retries.retry.max_retries = 0;
    retries.hedging.max_hedges =
        ReadAttempts(Field(node.path(), object, "maxAttempts")) - 1;
    const Node delay = Field(node.path(), object, "hedgingDelay");
    retries.hedging.delay =
        delay.there() ? Duration(delay) : absl::ZeroDuration();
    retries.codes =
        ReadCodes(Field(node.path(), object, "nonFatalStatusCodes"));
    return retries;
  }

  std::set<grpc::StatusCode> ReadCodes(const Node& node) {
    std::set<grpc::StatusCode> codes;
    for (const Node& code : List(node)) {
      if (const auto parsed = ParseCode(code)) {
        codes.insert(*parsed);
      } else {
        Complain(code,
                 "the code of an error, by number or name such as UNAVAILABLE");
      }
    }
    return codes;
  }

  RetryBudgetOptions ReadThrottling(const Node& node) {
    constexpr int kMostTokens = 1000;
    RetryBudgetOptions budget;
    const Struct& object = Object(node);
    budget.max_tokens = Integer(Field(node.path(), object, "maxTokens"), 1,
                                kMostTokens, "an integer from 1 to 1000");
    // More than there are tokens at most fills them all the same.
    budget.token_ratio =
        std::min<double>(Number(Field(node.path(), object, "tokenRatio"), 0.001,
                                "a number of at least 0.001"),
                         kMostTokens);
    return budget;
  }

  const AttemptLimit limit_;
  absl::Status status_;
  std::set<std::string> names_;
};

// The user's word that calls may be repeated is that the config lists them.
void SetRetries(const ConfiguredRetries& retries, Policy* policy) {
  policy->retry = retries.retry;
  policy->hedging = retries.hedging;
  policy->idempotency = Idempotency::kRepeatable;
  policy->commit_at_initial_metadata = true;
  for (int number = 1; number <= 16; ++number) {
    const auto code = static_cast<grpc::StatusCode>(number);
    policy->classification[code].retryable = retries.codes.count(code) > 0;
  }
}

void Set(const MethodConfig& config, Policy* policy) {
  if (config.timeout) policy->timeout = config.timeout;
  if (config.wait_for_ready) policy->wait_for_ready = config.wait_for_ready;
  if (config.retries) SetRetries(*config.retries, policy);
}

// Only what the application left as it is by default.
void SetDefault(MethodConfig config, Policy* policy) {
  if (policy->timeout) config.timeout.reset();
  if (policy->wait_for_ready) config.wait_for_ready.reset();
  if (policy->retry != RetryOptions() || policy->hedging != HedgingOptions()) {
    config.retries.reset();
  }
  Set(config, policy);
}

// Whether a service that is linked in lacks the method.
bool IsUnknown(absl::string_view method) {
  const size_t slash = method.rfind('/');
  const auto methods = MethodsOf(method.substr(1, slash - 1));
  return methods && !absl::c_linear_search(*methods, method.substr(slash + 1));
}

}  // namespace

absl::StatusOr<Struct> ParseJsonObject(absl::string_view json) {
  // As any value: read to a Struct, null is an error to Protobuf 3.21, and an
  // empty object to 36.2.
  Value value;
  const auto parsed =
      google::protobuf::util::JsonStringToMessage(std::string(json), &value);
  if (parsed.ok() && value.has_struct_value()) return value.struct_value();
  return absl::InvalidArgumentError(
      absl::StrCat("service config: not a JSON object: ",
                   parsed.ok() ? "" : parsed.ToString() + ", ", "got ", json));
}

absl::StatusOr<ServiceConfig> ParseServiceConfig(absl::string_view json,
                                                 AttemptLimit limit) {
  const absl::StatusOr<Struct> root = ParseJsonObject(json);
  if (!root.ok()) return root.status();
  return Parser(limit).Parse(*root);
}

void Adopt(const ServiceConfig& config, Options* options) {
  const Policies own = *options;
  for (const MethodConfig& method : config.methods) {
    for (const std::string& name : method.names) {
      if (name.empty()) {
        SetDefault(method, &options->default_policy);
        continue;
      }
      const std::string service = name.substr(0, name.rfind('/') + 1);
      if (own.services.count(service) > 0 || own.methods.count(name) > 0) {
        continue;
      }
      const bool is_service = name == service;
      // gRPC does not mind methods that there are not, and they are not called.
      if (!is_service && own.strict_methods && IsUnknown(name)) continue;
      Policy policy = own.default_policy;
      Set(method, &policy);
      (is_service ? options->services : options->methods)[name] =
          std::move(policy);
    }
  }
  if (config.retry_budget && !options->retry_budget.on()) {
    options->retry_budget = *config.retry_budget;
  }
}

}  // namespace grpc_breaker::internal

namespace grpc_breaker {

absl::StatusOr<Options> Options::FromServiceConfig(absl::string_view json,
                                                   AttemptLimit limit) {
  const absl::StatusOr<internal::ServiceConfig> config =
      internal::ParseServiceConfig(json, limit);
  if (!config.ok()) return config.status();
  Policy not_retried;
  not_retried.retry.max_retries = 0;
  Options options;
  options.default_policy = not_retried;
  options.strict_methods = false;
  for (const internal::MethodConfig& method : config->methods) {
    Policy policy = not_retried;
    internal::Set(method, &policy);
    for (const std::string& name : method.names) {
      (name.empty()         ? options.default_policy
       : name.back() == '/' ? options.services[name]
                            : options.methods[name]) = policy;
    }
  }
  options.retry_budget = config->retry_budget.value_or(options.retry_budget);
  options.max_methods =
      std::max(options.max_methods, static_cast<int>(options.methods.size()));
  if (absl::Status status = options.Validate(); !status.ok()) return status;
  return options;
}

}  // namespace grpc_breaker
