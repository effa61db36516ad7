#include "grpc_breaker/admin/event_log.h"

#include <algorithm>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "grpc_breaker/admin/breaker_message.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpc_breaker/registry.h"

namespace grpc_breaker::internal {
namespace {

// Whether a name may begin with both.
bool Overlap(absl::string_view a, absl::string_view b) {
  return absl::StartsWith(a, b) || absl::StartsWith(b, a);
}

bool Matches(const BreakerTransition& transition, const BreakerFilter& filter) {
  return filter.MatchesChannel(transition.channel) &&
         filter.MatchesMethod(transition.breaker) &&
         filter.MatchesState(ToMessage(transition.to));
}

bool Matches(const BreakerAudit& audit, const BreakerFilter& filter) {
  return filter.of_all_states() &&
         (audit.channel.empty() || filter.MatchesChannel(audit.channel)) &&
         (audit.method.empty()
              ? Overlap(audit.method_prefix, filter.method_prefix())
              : filter.MatchesMethod(audit.method));
}

}  // namespace

EventLog::EventLog(Directory& directory, Environment& environment)
    : environment_(environment),
      id_(absl::Uniform<uint64_t>(absl::BitGen())),
      subscription_(directory.Subscribe(*this)) {}

void EventLog::Add(BreakerAudit audit) {
  const MonotonicTime noted = audit.at;
  const bool made = audit.status.ok();
  MutexLock lock(mutex_);
  Note(made ? made_ : refused_, kAudits,
       {0, noted, absl::ZeroDuration(), std::move(audit)});
}

void EventLog::OnTransition(const Registry& registry, const Method& /*method*/,
                            const BreakerTransition& transition) {
  // The channel may go by another clock.
  const absl::Duration age =
      absl::FromChrono(registry.environment().Now() - transition.at);
  const MonotonicTime noted = environment_.Now();
  MutexLock lock(mutex_);
  Note(transitions_, kTransitions, {0, noted, age, transition});
}

void EventLog::Note(Events& events, size_t most, Event event) {
  event.number = ++last_number_;
  if (events.size() == most) events.pop_front();
  events.push_back(std::make_shared<const Event>(std::move(event)));
}

admin::v1::ListEventsResponse EventLog::List(const std::string& token,
                                             const BreakerFilter& filter,
                                             size_t at_most) const {
  const std::optional<uint64_t> begin = Number(token);
  const MonotonicTime now = environment_.Now();
  admin::v1::ListEventsResponse response;
  uint64_t last = begin.value_or(0);
  uint64_t missed = 0;
  for (const auto& event : After(last)) {
    const bool matches = std::visit(
        [&](const auto& what) { return Matches(what, filter); }, event->what);
    if (matches && at_most == static_cast<size_t>(response.events_size())) {
      response.set_more(true);
      break;
    }
    if (matches) *response.add_events() = ToMessage(*event, now);
    missed += event->number - last - 1;
    last = event->number;
  }
  // Who asks for the first time has missed nothing.
  if (begin) response.set_missed(missed);
  response.set_token(absl::StrCat(id_, "-", last));
  return response;
}

std::vector<std::shared_ptr<const EventLog::Event>> EventLog::After(
    uint64_t number) const {
  std::vector<std::shared_ptr<const Event>> after;
  {
    MutexLock lock(mutex_);
    for (const Events* events : {&transitions_, &made_, &refused_}) {
      const auto first =
          std::partition_point(events->begin(), events->end(),
                               [&](const std::shared_ptr<const Event>& event) {
                                 return event->number <= number;
                               });
      after.insert(after.end(), first, events->end());
    }
  }
  std::sort(after.begin(), after.end(),
            [](const auto& a, const auto& b) { return a->number < b->number; });
  return after;
}

std::optional<uint64_t> EventLog::Number(const std::string& token) const {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(token, absl::MaxSplits('-', 1));
  uint64_t id;
  uint64_t number;
  if (!absl::SimpleAtoi(parts.first, &id) || id != id_ ||
      !absl::SimpleAtoi(parts.second, &number)) {
    return std::nullopt;
  }
  return number;
}

admin::v1::Event EventLog::ToMessage(const Event& event, MonotonicTime now) {
  const absl::Duration age = event.age + absl::FromChrono(now - event.noted);
  admin::v1::Event message;
  if (const auto* audit = std::get_if<BreakerAudit>(&event.what)) {
    *message.mutable_audit() = internal::ToMessage(*audit, age);
  } else {
    *message.mutable_transition() =
        internal::ToMessage(std::get<BreakerTransition>(event.what), age);
  }
  return message;
}

}  // namespace grpc_breaker::internal
