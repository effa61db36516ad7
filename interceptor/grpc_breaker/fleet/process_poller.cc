#include "grpc_breaker/fleet/process_poller.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/mutex_lock.h"

namespace grpc_breaker::internal {
namespace {

using admin::v1::CircuitBreakerAdmin;
using admin::v1::WatchBreakersResponse;

// As many as the service gives at once.
constexpr int kPageSize = 1000;

// Between two requests that no interval asks for.
constexpr absl::Duration kLeastPause = absl::Milliseconds(100);

// Until a watch is tried again.
constexpr absl::Duration kFirstBackoff = absl::Seconds(1);
constexpr absl::Duration kLongestBackoff = absl::Seconds(60);

absl::Duration AgeOf(const admin::v1::Event& event) {
  const google::protobuf::Duration& age =
      event.has_audit() ? event.audit().age() : event.transition().age();
  return absl::Seconds(age.seconds()) + absl::Nanoseconds(age.nanos());
}

// Which admin service has given the token.
std::string ServiceOf(const std::string& events_token) {
  return events_token.substr(0, events_token.find('-'));
}

}  // namespace

class ProcessPoller::Bell : public std::enable_shared_from_this<Bell> {
 public:
  using Context = std::shared_ptr<grpc::ClientContext>;

  void Ring() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    rung_ = woken_ = true;
  }
  bool rung() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    return rung_;
  }
  void Unring() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    rung_ = false;
  }

  // Until `when`, or something has happened since this returned last.
  void WaitUntil(MonotonicTime when, Environment& environment)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    const Environment::TimerId timer =
        environment.RunAt(when, [self = shared_from_this()] { self->Wake(); });
    // A clock that has jumped meanwhile runs the timer at its next step only.
    if (environment.Now() < when) {
      MutexLock lock(mutex_);
      mutex_.Await(absl::Condition(&woken_));
    }
    environment.Cancel(timer);
    MutexLock lock(mutex_);
    woken_ = false;
  }

  // A watch is cancelled, and none begins later.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_) {
    Context watch;
    {
      MutexLock lock(mutex_);
      stopped_ = woken_ = true;
      watch = watch_;
    }
    if (watch != nullptr) watch->TryCancel();
  }
  bool stopped() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    return stopped_;
  }

  // One watch at a time, of which it is known whether the last one spoke. False
  // if it is not to begin any more.
  //
  // The context keeps the channel, whose last owner must not be a thread of
  // gRPC's, which some versions would have wait for itself: so it is let go of
  // here, and not where the watch ends.
  bool BeginWatch(Context context) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    if (stopped_) return false;
    watch_ = std::move(context);
    watch_has_spoken_ = watch_has_ended_ = false;
    return true;
  }
  void NoteThatWatchHasSpoken() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    watch_has_spoken_ = woken_ = true;
  }
  void NoteThatWatchHasEnded() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    watch_has_ended_ = woken_ = true;
  }
  bool watching() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    return watch_ != nullptr;
  }
  bool watch_has_spoken() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    return watch_has_spoken_;
  }
  // True if there was a watch that has ended.
  bool LetGoOfEndedWatch() ABSL_LOCKS_EXCLUDED(mutex_) {
    Context ended;
    MutexLock lock(mutex_);
    if (watch_has_ended_) ended = std::exchange(watch_, nullptr);
    return ended != nullptr;
  }
  void AwaitEndOfWatch() ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      const auto ended = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return watch_ == nullptr || watch_has_ended_;
      };
      MutexLock lock(mutex_);
      mutex_.Await(absl::Condition(&ended));
    }
    LetGoOfEndedWatch();
  }

 private:
  void Wake() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    woken_ = true;
  }

  mutable absl::Mutex mutex_;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool rung_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  Context watch_ ABSL_GUARDED_BY(mutex_);
  bool watch_has_spoken_ ABSL_GUARDED_BY(mutex_) = false;
  bool watch_has_ended_ ABSL_GUARDED_BY(mutex_) = false;
};

// Deletes itself when gRPC is done with the call.
class ProcessPoller::Watch
    : public grpc::ClientReadReactor<WatchBreakersResponse> {
 public:
  static void Begin(Stub& stub, std::shared_ptr<grpc::ClientContext> context,
                    const admin::v1::BreakerFilter& filter,
                    std::shared_ptr<Bell> bell) {
    auto* const watch = new Watch(std::move(context), std::move(bell));
    *watch->request_.mutable_filter() = filter;
    stub.async()->WatchBreakers(watch->context_.get(), &watch->request_, watch);
    watch->StartRead(&watch->event_);
    watch->StartCall();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    switch (event_.kind()) {
      case WatchBreakersResponse::KIND_SNAPSHOT:
        break;  // As asked for before.
      case WatchBreakersResponse::KIND_SNAPSHOT_END:
        bell_->NoteThatWatchHasSpoken();
        // What has changed between that and the beginning of the watch.
        bell_->Ring();
        break;
      default:
        bell_->Ring();
    }
    StartRead(&event_);
  }

  void OnDone(const grpc::Status&) override {
    context_.reset();  // The bell has it, too.
    bell_->NoteThatWatchHasEnded();
    delete this;
  }

 private:
  Watch(std::shared_ptr<grpc::ClientContext> context,
        std::shared_ptr<Bell> bell)
      : context_(std::move(context)), bell_(std::move(bell)) {}
  ~Watch() override = default;

  std::shared_ptr<grpc::ClientContext> context_;
  const std::shared_ptr<Bell> bell_;
  admin::v1::WatchBreakersRequest request_;
  WatchBreakersResponse event_;
};

ProcessPoller::ProcessPoller(FleetProcess process, const FleetOptions& options,
                             Publish publish)
    : process_(std::move(process)),
      options_(options),
      environment_(*options.environment),
      publish_(std::move(publish)),
      stub_(CircuitBreakerAdmin::NewStub(process_.channel)),
      bell_(std::make_shared<Bell>()),
      rows_(static_cast<size_t>(options.points)),
      watch_again_(environment_.Now()),
      watch_backoff_(kFirstBackoff) {
  view_.name = process_.name;
  thread_ = std::thread([this] { Run(); });
}

ProcessPoller::~ProcessPoller() {
  Stop();
  thread_.join();
  bell_->AwaitEndOfWatch();
}

void ProcessPoller::Stop() {
  bell_->Stop();
  calls_.Cancel();
}

void ProcessPoller::Ring() { bell_->Ring(); }

void ProcessPoller::Run() {
  bool interval_ended = true;
  MonotonicTime next_interval = environment_.Now();
  while (!bell_->stopped()) {
    const MonotonicTime begin = environment_.Now();
    if (interval_ended) next_interval = TimeAfter(begin, options_.interval);
    bell_->Unring();
    const MonotonicTime end = Poll(interval_ended);
    const absl::Duration pause =
        std::max(kLeastPause, absl::FromChrono(end - begin));
    interval_ended = Wait(next_interval, TimeAfter(end, pause));
  }
}

bool ProcessPoller::Wait(MonotonicTime next_interval, MonotonicTime next_ring) {
  while (!bell_->stopped()) {
    const MonotonicTime watch_again = TendWatch();
    const bool rung = bell_->rung();
    const MonotonicTime now = environment_.Now();
    if (now >= next_interval) return true;
    if (rung && now >= next_ring) return false;
    bell_->WaitUntil(std::min({next_interval, watch_again,
                               rung ? next_ring : MonotonicTime::max()}),
                     environment_);
  }
  return false;
}

MonotonicTime ProcessPoller::TendWatch() {
  const MonotonicTime now = environment_.Now();
  if (bell_->LetGoOfEndedWatch()) {
    if (bell_->watch_has_spoken()) watch_backoff_ = kFirstBackoff;
    PutOffWatch(now);
  }
  // While there are no answers there will be none to a watch.
  if (!bell_->watching() && !view_.stale() && now >= watch_again_ &&
      !BeginWatch()) {
    PutOffWatch(now);
  }
  const bool watching = bell_->watching();
  const bool watched = watching && bell_->watch_has_spoken();
  if (watched != view_.watched) {
    view_.watched = watched;
    publish_(std::make_shared<const FleetProcessView>(view_), {});
  }
  return watching || view_.stale() ? MonotonicTime::max() : watch_again_;
}

bool ProcessPoller::BeginWatch() {
  auto context = std::make_shared<grpc::ClientContext>();
  if (!Prepare(*context).ok() || !bell_->BeginWatch(context)) return false;
  Watch::Begin(*stub_, std::move(context), options_.filter, bell_);
  return true;
}

void ProcessPoller::PutOffWatch(MonotonicTime now) {
  watch_again_ = TimeAfter(now, watch_backoff_);
  watch_backoff_ = std::min(2 * watch_backoff_, kLongestBackoff);
}

MonotonicTime ProcessPoller::Poll(bool interval_ended) {
  BreakerRows::Breakers breakers;
  grpc::Status status = AskForBreakers(&breakers);
  if (status.ok()) status = AskForEvents();
  const std::string service = ServiceOf(events_token_);
  const bool is_another = !rows_from_.empty() && service != rows_from_;
  if (status.ok() && is_another) {
    // Those may be the breakers of the one before.
    breakers.Clear();
    status = AskForBreakers(&breakers);
  }
  const MonotonicTime now = environment_.Now();
  if (bell_->stopped()) return now;
  view_.status = std::move(status);
  if (view_.status.ok()) {
    view_.answered = now;
    view_.failing_since.reset();
    if (interval_ended) ++view_.intervals;
    if (is_another) {
      rows_.BeginAnew();
      ++view_.restarts;
    }
    rows_from_ = service;
    rows_.Update(&breakers, now, interval_ended);
    view_.rows = rows_.rows();
  } else if (!view_.failing_since) {
    view_.failing_since = now;
  }
  publish_(std::make_shared<const FleetProcessView>(view_),
           std::exchange(new_events_, {}));
  return now;
}

grpc::Status ProcessPoller::AskForBreakers(BreakerRows::Breakers* breakers) {
  admin::v1::ListBreakersRequest request;
  *request.mutable_filter() = options_.filter;
  request.set_page_size(kPageSize);
  do {
    admin::v1::ListBreakersResponse page;
    grpc::Status status = Call(&Stub::ListBreakers, request, &page);
    if (!status.ok()) return status;
    request.set_page_token(page.next_page_token());
    for (admin::v1::Breaker& breaker : *page.mutable_breakers()) {
      breakers->Add(std::move(breaker));
    }
  } while (!request.page_token().empty());
  return grpc::Status::OK;
}

grpc::Status ProcessPoller::AskForEvents() {
  admin::v1::ListEventsRequest request;
  *request.mutable_filter() = options_.filter;
  request.set_page_size(kPageSize);
  admin::v1::ListEventsResponse page;
  do {
    request.set_token(events_token_);
    page.Clear();
    const MonotonicTime asked = environment_.Now();
    grpc::Status status = Call(&Stub::ListEvents, request, &page);
    // One of before there were events.
    if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) break;
    if (!status.ok()) return status;
    const MonotonicTime now = environment_.Now();
    for (admin::v1::Event& event : *page.mutable_events()) {
      Note(std::move(event), asked, now);
    }
    view_.missed_events += page.missed();
    events_token_ = page.token();
  } while (page.more());
  return grpc::Status::OK;
}

template <typename Request, typename Response>
grpc::Status ProcessPoller::Call(Rpc<Request, Response> rpc,
                                 const Request& request, Response* response) {
  CallsUnderWay::Call call(calls_);
  grpc::ClientContext& context = call.context();
  if (grpc::Status status = Prepare(context); !status.ok()) return status;
  context.set_deadline(std::chrono::system_clock::now() +
                       absl::ToChronoNanoseconds(options_.timeout));
  return (stub_.get()->*rpc)(&context, request, response);
}

grpc::Status ProcessPoller::Prepare(grpc::ClientContext& context) const {
  return process_.prepare ? process_.prepare(context) : grpc::Status::OK;
}

void ProcessPoller::Note(admin::v1::Event event, MonotonicTime asked,
                         MonotonicTime now) {
  FleetEvent noted;
  // How long the answer took to come is not known: it may seem to be later than
  // it was by as much as the whole request took.
  noted.time = now - absl::ToChronoNanoseconds(AgeOf(event));
  if (noted.time < last_event_ && last_event_ - noted.time <= now - asked) {
    noted.time = last_event_;
  }
  last_event_ = std::max(last_event_, noted.time);
  noted.event = std::move(event);
  new_events_.push_back(std::move(noted));
}

}  // namespace grpc_breaker::internal
