#include "grpc_breaker/fleet/breaker_rows.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"

namespace grpc_breaker::internal {
namespace {

using admin::v1::Breaker;

bool InOrder(const Breaker& a, const Breaker& b) {
  return std::tie(a.channel(), a.method()) < std::tie(b.channel(), b.method());
}

// Nothing that only grows has become less.
bool Continues(const Breaker& before, const Breaker& now) {
  return before.calls() <= now.calls() &&
         before.failed_calls() <= now.failed_calls() &&
         before.rejections() <= now.rejections() &&
         before.transitions() <= now.transitions();
}

double Seconds(const google::protobuf::Duration& duration) {
  return static_cast<double>(duration.seconds()) + duration.nanos() * 1e-9;
}

}  // namespace

BreakerRows::Beginning BreakerRows::BeginningOf(const Breaker& breaker,
                                                MonotonicTime now) {
  return {now, breaker.calls(), breaker.failed_calls(), breaker.rejections()};
}

void BreakerRows::EndInterval(MonotonicTime now, FleetRow& row,
                              Beginning& beginning) {
  FleetPoint point;
  point.time = now;
  point.length = absl::FromChrono(now - beginning.time);
  if (point.length <= absl::ZeroDuration()) return;
  const Breaker& breaker = row.breaker;
  point.calls = breaker.calls() - beginning.calls;
  point.failures = breaker.failed_calls() - beginning.failures;
  point.rejections = breaker.rejections() - beginning.rejections;
  if (breaker.recent().has_p50()) {
    point.p50_seconds = Seconds(breaker.recent().p50());
    point.p99_seconds = Seconds(breaker.recent().p99());
  }
  const double seconds = absl::ToDoubleSeconds(point.length);
  row.rates.calls = static_cast<double>(point.calls) / seconds;
  row.rates.failures = static_cast<double>(point.failures) / seconds;
  row.rates.rejections = static_cast<double>(point.rejections) / seconds;
  row.history.Add(point, points_);
  beginning = BeginningOf(breaker, now);
}

void BreakerRows::Update(Breakers* breakers, MonotonicTime now,
                         bool interval_ended) {
  // As they come already, unless a server orders names by another rule.
  std::sort(breakers->pointer_begin(), breakers->pointer_end(),
            [](const Breaker* a, const Breaker* b) { return InOrder(*a, *b); });

  std::vector<std::shared_ptr<FleetRow>> rows;
  std::vector<std::optional<Beginning>> beginnings;
  absl::flat_hash_set<absl::string_view> made_anew;  // Channels.
  size_t old = 0;
  for (Breaker& breaker : *breakers) {
    const auto row = std::make_shared<FleetRow>();
    row->breaker.Swap(&breaker);
    while (old < rows_.size() && InOrder(rows_[old]->breaker, row->breaker)) {
      ++old;
    }
    const bool known =
        old < rows_.size() && !InOrder(row->breaker, rows_[old]->breaker);
    if (known) {
      row->rates = rows_[old]->rates;
      row->history = rows_[old]->history;
      if (!Continues(rows_[old]->breaker, row->breaker)) {
        made_anew.insert(row->breaker.channel());
      }
    }
    beginnings.push_back(known ? beginnings_[old] : std::nullopt);
    rows.push_back(row);
  }

  rows_.clear();
  beginnings_.clear();
  for (size_t i = 0; i < rows.size(); ++i) {
    FleetRow& row = *rows[i];
    if (!beginnings[i] || made_anew.contains(row.breaker.channel())) {
      row.rates = {};
      beginnings[i] = BeginningOf(row.breaker, now);
    } else if (interval_ended) {
      EndInterval(now, row, *beginnings[i]);
    }
    rows_.push_back(std::move(rows[i]));
    beginnings_.push_back(beginnings[i]);
  }
}

void BreakerRows::BeginAnew() {
  beginnings_.assign(rows_.size(), std::nullopt);
}

}  // namespace grpc_breaker::internal
