#include "grpc_breaker/dashboard/change_request.h"

#include <cstdint>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "grpc_breaker/base/nearest_name.h"
#include "grpc_breaker/dashboard/json_text.h"

namespace grpc_breaker::internal {
namespace {

using Action = ChangeRequest::Action;

constexpr char kAction[] = "action";
constexpr char kTtlSeconds[] = "ttl_seconds";
constexpr int64_t kMostSeconds = 315'576'000'000;  // As of a protobuf Duration.

// The fields that are strings.
const std::vector<std::pair<std::string, std::string ChangeRequest::*>>&
Strings() {
  static const auto* const strings =
      new std::vector<std::pair<std::string, std::string ChangeRequest::*>>{
          {"process", &ChangeRequest::process},
          {"channel", &ChangeRequest::channel},
          {"method", &ChangeRequest::method},
          {"reason", &ChangeRequest::reason},
          {"actor", &ChangeRequest::actor}};
  return *strings;
}

const std::vector<std::pair<std::string, Action>>& Actions() {
  static const auto* const actions =
      new std::vector<std::pair<std::string, Action>>{
          {"open", Action::kOpen},
          {"close", Action::kClose},
          {"reset", Action::kReset}};
  return *actions;
}

template <typename Table>
std::vector<std::string> NamesOf(const Table& table) {
  std::vector<std::string> names;
  names.reserve(std::size(table));
  for (const auto& row : table) names.push_back(row.first);
  return names;
}

bool Fail(Refusal why, Refusal* refusal) {
  *refusal = std::move(why);
  return false;
}

bool ParseField(const std::string& name, const nlohmann::json& value,
                ChangeRequest* request, Refusal* refusal) {
  const std::string text = JsonText(value);
  if (name == kTtlSeconds) {
    if (!value.is_number_integer() || value < 0 || value > kMostSeconds) {
      return Fail(Refuse(400, name, text,
                         absl::StrCat("must be a whole number from 0 to ",
                                      kMostSeconds)),
                  refusal);
    }
    request->ttl = absl::Seconds(value.get<int64_t>());
    return true;
  }
  if (name == kAction) {
    for (const auto& [action_name, action] : Actions()) {
      if (value != action_name) continue;
      request->action = action;
      return true;
    }
    const std::string given =
        value.is_string() ? value.get_ref<const std::string&>() : text;
    return Fail(
        Refuse(400, name, given,
               absl::StrCat("must be open, close or reset",
                            NearestNameHint(given, NamesOf(Actions())))),
        refusal);
  }
  for (const auto& [string_name, member] : Strings()) {
    if (name != string_name) continue;
    if (!value.is_string()) {
      return Fail(Refuse(400, name, text, "must be a string"), refusal);
    }
    request->*member = value.get_ref<const std::string&>();
    return true;
  }
  std::vector<std::string> names = NamesOf(Strings());
  names.insert(names.end(), {kAction, kTtlSeconds});
  return Fail(Refuse(400, name, text,
                     absl::StrCat("there is no such field",
                                  NearestNameHint(name, names))),
              refusal);
}

}  // namespace

bool ParseChange(absl::string_view body, ChangeRequest* request,
                 Refusal* refusal) {
  const nlohmann::json json = nlohmann::json::parse(
      body.begin(), body.end(), /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return Fail(Refuse(400, "body", body, "must be an object of JSON"),
                refusal);
  }
  for (const auto& [name, value] : json.items()) {
    if (!ParseField(name, value, request, refusal)) return false;
  }
  for (const std::string name : {"process", "channel", "method", kAction}) {
    const auto found = json.find(name);
    if (found != json.end() && !found->get_ref<const std::string&>().empty()) {
      continue;
    }
    return Fail(Refuse(400, name, "", "must be there"), refusal);
  }
  if (request->action == Action::kReset && json.contains(kTtlSeconds) &&
      request->ttl != absl::ZeroDuration()) {
    return Fail(Refuse(400, kTtlSeconds, JsonText(json[kTtlSeconds]),
                       "must be 0 for a reset, which holds nothing"),
                refusal);
  }
  return true;
}

}  // namespace grpc_breaker::internal
