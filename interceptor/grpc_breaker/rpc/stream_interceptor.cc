#include "grpc_breaker/rpc/stream_interceptor.h"

#include <algorithm>
#include <utility>

#include "grpc_breaker/mutex_lock.h"
#include "grpc_breaker/registry/wire_status.h"
#include "grpc_breaker/rpc/classify.h"
#include "grpc_breaker/rpc/context_access.h"
#include "grpc_breaker/rpc/deadline.h"

namespace grpc_breaker::internal {

using Type = CallInfo::RpcInfo::Type;

namespace {

// While the only tag at hand is that of a read, nothing is read during the
// replay. That more can be sent than the server reads before it has to wait for
// its reader is sure up to the least windows of HTTP/2 (64 KiB), in halves.
constexpr int64_t kMostUnread = int64_t{32} * 1024;

}  // namespace

StreamInterceptor::StreamInterceptor(CallInfo call)
    : call_(std::make_shared<StreamCall>(std::move(call))),
      sent_(info().policy().stream_retry.replay_buffer_bytes) {}

void StreamInterceptor::Intercept(Batch* batch) {
  if (Has(batch, HookPoint::PRE_SEND_CANCEL)) return Cancel();
  switch (mode_.load(std::memory_order_acquire)) {
    case Mode::kSettled:
      return Pass(batch);
    case Mode::kNative:
      return native_->Intercept(batch);
    case Mode::kRetried:
      break;
  }
  const StreamBatch stream_batch(batch);
  if (!stream_batch.known()) return GoNative().Intercept(batch);
  stream_batch.has_run() ? After(stream_batch) : Before(stream_batch);
}

// Under the locks of the application's context.
void StreamInterceptor::Cancel() {
  call_->Cancel();
  if (mode_.load(std::memory_order_acquire) == Mode::kNative) {
    native_->OnCancel();
  }
}

ObservingInterceptor& StreamInterceptor::GoNative() {
  {
    // A corked stream may end while it is refused.
    MutexLock lock(mutex_);
    if (native_ == nullptr) {
      native_ = std::make_unique<ObservingInterceptor>(info());
      mode_.store(Mode::kNative, std::memory_order_release);
    }
  }
  // A cancellation before this is seen here, and one after it sees native_.
  if (call_->cancelled()) native_->OnCancel();
  return *native_;
}

void StreamInterceptor::Refuse(CircuitBreaker::Permit permit, Batch* batch) {
  bool corked;
  {
    MutexLock lock(mutex_);
    corked = !operations_.empty();
  }
  GoNative().Refuse(std::move(permit), corked, batch);
}

void StreamInterceptor::Pass(Batch* batch) {
  if (Has(batch, HookPoint::POST_RECV_INITIAL_METADATA)) call_->NoteMetadata();
  if (!call_->answered() && Has(batch, HookPoint::POST_RECV_MESSAGE) &&
      batch->GetRecvMessage() != nullptr && !client_streams_only()) {
    call_->NoteMessage();
  }
  if (Has(batch, HookPoint::POST_RECV_STATUS)) {
    call_->EndAttempt(TakeStatus(batch), *batch->GetRecvTrailingMetadata(),
                      LacksReply(batch), /*committed=*/true, [](auto) {});
    *batch->GetRecvStatus() = call_->result().status;
    call_->result().trailers.AppendTo(batch->GetRecvTrailingMetadata());
  }
  batch->Proceed();
}

// --- A batch that has not run ---

void StreamInterceptor::Before(StreamBatch batch) {
  Operation operation(batch);
  Batch* const methods = batch.batch();
  const bool begins = Has(methods, HookPoint::PRE_SEND_INITIAL_METADATA);
  const bool message = Has(methods, HookPoint::PRE_SEND_MESSAGE);
  operation.closes = Has(methods, HookPoint::PRE_SEND_CLOSE);
  operation.sends = begins || message || operation.closes;
  operation.ends = batch.ReceivesStatus();
  operation.message = methods->GetRecvMessage();
  if (begins && !Start(batch)) return;
  if (message && !committed_.load(std::memory_order_relaxed)) {
    operation.sent = methods->GetSerializedSendMessage();
  }
  RunOrHold(std::move(operation));
}

const std::shared_ptr<StreamAttempt>& StreamInterceptor::First(
    const StreamBatch& batch) {
  if (first_ == nullptr) {
    first_ = std::make_shared<StreamAttempt>(info().context, batch.call());
    attempt_ = first_;
  }
  return first_;
}

// False if the batch is taken care of.
bool StreamInterceptor::Start(const StreamBatch& batch) {
  // One that had no chance is not counted.
  if (!batch.KnowsOk() || Deadline::Of(info().context).passed()) {
    GoNative().Intercept(batch.batch());
    return false;
  }
  std::shared_ptr<StreamAttempt> first;
  {
    MutexLock lock(mutex_);
    if (phase_ == Phase::kEnded) return true;
    first = First(batch);
  }
  if (std::optional<CircuitBreaker::Permit> refused =
          call_->Begin(std::move(first), batch.batch()->GetInterceptedChannel(),
                       batch.batch()->GetSendInitialMetadata())) {
    Refuse(*std::move(refused), batch.batch());
    return false;
  }
  bool over;
  {
    MutexLock lock(mutex_);
    over = phase_ != Phase::kIdle;
    if (!over) phase_ = Phase::kOpen;
  }
  if (over) call_->Abandon();
  return true;
}

void StreamInterceptor::RunOrHold(Operation operation) {
  Operation* running;
  bool ended;
  {
    MutexLock lock(mutex_);
    First(operation.batch);
    const bool waits = MustWait(operation);
    running = &Register(std::move(operation));
    if (waits) {
      running->step = Step::kHeldBefore;
      return;
    }
    ended = phase_ == Phase::kEnded;
    if (!ended) Prepare(*running);
  }
  ended ? TellEnd(*running) : Run(*running);
}

StreamInterceptor::Operation& StreamInterceptor::Register(Operation operation) {
  if (spare_.empty()) return operations_.emplace_back(std::move(operation));
  spare_.front() = std::move(operation);
  operations_.splice(operations_.end(), spare_, spare_.begin());
  return operations_.back();
}

StreamInterceptor::Operation StreamInterceptor::Unregister(
    Operations::iterator place) {
  Operation taken = std::move(*place);
  spare_.splice(spare_.begin(), operations_, place);
  return taken;
}

bool StreamInterceptor::MustWait(const Operation& operation) const {
  // What reads can go on: the server may wait for its reader.
  return phase_ == Phase::kWaiting ||
         (phase_ == Phase::kReplaying && (operation.sends || operation.ends));
}

// To be run on the attempt under way.
void StreamInterceptor::Prepare(Operation& operation) {
  operation.step = Step::kRunning;
  operation.attempt = attempt_;
  if ((operation.sent != nullptr || operation.closes) && !committed_ &&
      !sent_.Add(operation.sent, operation.batch.message_options(),
                 operation.closes)) {
    Commit();
  }
  // Every batch that can asks for them until one has.
  if (!metadata_asked_for_ && operation.batch.CanReceiveMetadata()) {
    metadata_asked_for_ = true;
    operation.metadata = true;
    if (attempt_->metadata_asked_for) {
      operation.batch.SkipMetadata();
    } else if (attempt_->first() || !operation.ends) {
      attempt_->metadata_asked_for = true;
    }
  }
  if (!operation.ends) return;
  if (attempt_->first()) {
    attempt_->status_asked_for = true;
  } else {
    Assign(operation);
  }
}

void StreamInterceptor::Run(Operation& operation) {
  if (operation.ends) operation.batch.ShareDeserializer(&deserializer_);
  if (operation.step == Step::kGetsEnd) {
    operation.batch.Hijack();
    return Perform(operation);
  }
  if (!operation.attempt->first()) {
    operation.batch.SetCall(operation.attempt->call());
  }
  operation.batch.batch()->Proceed();
}

// --- A batch that has run ---

void StreamInterceptor::After(StreamBatch batch) {
  if (batch.hijacked()) {
    // The core knows nothing of the call, and could not tell why it fails.
    Settle();
    return Pass(batch.batch());
  }
  Operation* operation = nullptr;
  StreamAttempt* attempt = nullptr;
  bool ended;
  bool sent = false;
  std::shared_ptr<StreamAttempt> ran_on;
  {
    MutexLock lock(mutex_);
    ended = phase_ == Phase::kEnded;
    const auto place = Find(batch);
    if (place != operations_.end()) {
      operation = &*place;
      batch.SetCall(first_->call());
      attempt = operation->step == Step::kReplays ? attempt_.get()
                                                  : operation->attempt.get();
      sent = !operation->came_back && operation->step == Step::kRunning &&
             operation->OnlySends() && batch.ok();
      if (sent) {
        ran_on = Unregister(place).attempt;
      } else if (!operation->came_back) {
        NoteReturn(*operation);
      }
    }
  }
  if (sent) {
    ran_on.reset();
    return batch.batch()->Proceed();
  }
  if (operation == nullptr) {
    // Its call has settled meanwhile, or all that there is to tell is there.
    return ended ? batch.batch()->Proceed() : Pass(batch.batch());
  }
  switch (operation->step) {
    case Step::kGetsMetadata:
      attempt->FinishMetadata();
      return OnMetadata(*operation);
    case Step::kGetsEnd: {
      grpc::Status status = attempt->FinishEnd();
      const bool lacks_reply = status.ok() && operation->ends &&
                               client_streams_only() &&
                               !attempt->reply().Valid();
      return OnEnd(*operation, std::move(status), lacks_reply);
    }
    case Step::kReplays:
      attempt->FinishSend();
      return SendNext(*operation, /*first=*/false);
    case Step::kRunning:
    case Step::kHeldBefore:
    case Step::kHeldAfter:
      return OnRun(*operation);
  }
}

// For the first time.
void StreamInterceptor::NoteReturn(Operation& operation) {
  const StreamBatch& batch = operation.batch;
  operation.came_back = true;
  operation.hooks = batch.hooks();
  operation.reads =
      !operation.ends && Has(batch.batch(), HookPoint::POST_RECV_MESSAGE);
  operation.ok = operation.reads || operation.ends || batch.ok();
}

StreamInterceptor::Operations::iterator StreamInterceptor::Find(
    const StreamBatch& batch) {
  return std::find_if(operations_.begin(), operations_.end(),
                      [&](const Operation& operation) {
                        return operation.batch.batch() == batch.batch();
                      });
}

void StreamInterceptor::OnRun(Operation& operation) {
  Batch* const batch = operation.batch.batch();
  if (operation.ends && EndsBeforeItBegan()) {
    Take(operation);
    return GoNative().Intercept(batch);
  }
  if (operation.ends) {
    NormalizeReceived(batch->GetRecvStatus());
    return OnEnd(operation, *batch->GetRecvStatus(), LacksReply(batch));
  }
  Succeeded(operation) ? Tell(operation) : OnFailed(operation);
}

// A corked stream that is cancelled, or whose deadline passes, before it sends
// anything.
bool StreamInterceptor::EndsBeforeItBegan() {
  MutexLock lock(mutex_);
  if (phase_ != Phase::kIdle) return false;
  phase_ = Phase::kEnded;
  return true;
}

// What the server has answered commits the call.
bool StreamInterceptor::Succeeded(Operation& operation) {
  if (operation.reads) {
    if (operation.batch.batch()->GetRecvMessage() == nullptr) return false;
    call_->NoteMessage();
    CommitAndRelease();
    return true;
  }
  if (!operation.metadata) return operation.ok;
  if (!operation.ok || HasTrailersOnly("", operation.attempt->context())) {
    return false;
  }
  call_->NoteMetadata();
  CommitAndRelease();
  return true;
}

void StreamInterceptor::OnFailed(Operation& operation) {
  enum { kTell, kTellEnd, kHold, kPerform } next = kHold;
  std::optional<Ending> ending;
  {
    MutexLock lock(mutex_);
    const bool stale = operation.attempt != attempt_;
    if (phase_ == Phase::kEnded) {
      next = kTellEnd;
    } else if (stale) {
      // Another attempt has begun, or will.
      if (phase_ == Phase::kOpen ||
          (phase_ == Phase::kReplaying && !operation.OnlySends())) {
        next = kPerform;
        Assign(operation);
      }
    } else if (committed_ || phase_ == Phase::kIdle) {
      next = kTell;
    } else if (phase_ == Phase::kOpen || phase_ == Phase::kWaiting) {
      phase_ = Phase::kWaiting;
      bool answer_comes = false;
      for (const Operation& other : operations_) {
        answer_comes |= &other != &operation && BringsAnswer(other);
      }
      if (!attempt_->status_asked_for &&
          !(operation.OnlySends() && answer_comes)) {
        next = kPerform;
        AskWhy(operation);
      }
    }
    if (next == kHold) {
      operation.step = Step::kHeldAfter;
      ending = TakeEnding();
    }
  }
  switch (next) {
    case kTell:
      return Tell(operation);
    case kTellEnd:
      return TellEnd(operation);
    case kHold:
      if (ending.has_value()) EndAttempt(*std::move(ending));
      return;
    case kPerform:
      return Perform(operation);
  }
}

// A status comes after all messages, which may be there for the application to
// read. So what failed to send asks for initial metadata first; where there are
// none there are no messages.
void StreamInterceptor::AskWhy(Operation& operation) {
  if (attempt_->metadata_asked_for) {
    attempt_->status_asked_for = true;
    operation.step = Step::kGetsEnd;
  } else {
    attempt_->metadata_asked_for = true;
    operation.step = Step::kGetsMetadata;
  }
}

// Whether it may come back with something that the server has sent.
bool StreamInterceptor::BringsAnswer(const Operation& operation) const {
  return operation.attempt == attempt_ && !operation.ends &&
         (operation.step == Step::kRunning ||
          operation.step == Step::kGetsMetadata) &&
         !operation.OnlySends();
}

void StreamInterceptor::OnMetadata(Operation& operation) {
  StreamAttempt& attempt = *operation.attempt;
  const bool came =
      operation.batch.ok() && !HasTrailersOnly("", attempt.context());
  {
    MutexLock lock(mutex_);
    operation.step = Step::kRunning;
  }
  if (operation.reads) {
    if (came) call_->NoteMetadata();
    operation.batch.SetCall(attempt.call());
    return operation.batch.ReadAgain(operation.message);
  }
  if (!came) return OnFailed(operation);
  call_->NoteMetadata();
  CommitAndRelease();
  Tell(operation, /*ok=*/operation.metadata);
}

void StreamInterceptor::OnEnd(Operation& operation, grpc::Status status,
                              bool lacks_reply) {
  std::optional<Ending> ending;
  {
    MutexLock lock(mutex_);
    operation.step = Step::kHeldAfter;
    if (phase_ == Phase::kOpen) phase_ = Phase::kWaiting;
    ending_ = Ending{&operation, std::move(status), lacks_reply};
    ending = TakeEnding();
  }
  if (ending.has_value()) EndAttempt(*std::move(ending));
}

// Null while something may come that the server had sent before. To be asked as
// a batch is held, not afterwards.
std::optional<StreamInterceptor::Ending> StreamInterceptor::TakeEnding() {
  if (!ending_.has_value()) return std::nullopt;
  for (const Operation& operation : operations_) {
    if (BringsAnswer(operation)) return std::nullopt;
  }
  std::optional<Ending> ending = std::exchange(ending_, std::nullopt);
  ending->retries = !committed_ && !(ending->operation->reads &&
                                     info().type == Type::BIDI_STREAMING &&
                                     sent_.bytes() > kMostUnread);
  ending->application_asked = metadata_asked_for_;
  return ending;
}

void StreamInterceptor::EndAttempt(Ending ending) {
  Operation& operation = *ending.operation;
  StreamAttempt& attempt = *operation.attempt;
  // Of a call that has committed, another thread may just unpack the headers.
  const bool retries = ending.retries && !HeadersCame(ending.status, attempt,
                                                      ending.application_asked);
  call_->EndAttempt(
      std::move(ending.status), attempt.trailers(), ending.lacks_reply,
      !retries, [this, &operation](std::shared_ptr<StreamAttempt> next) {
        next != nullptr ? Replay(operation, std::move(next)) : End();
      });
}

// By what is known of an attempt afterwards.
bool StreamInterceptor::HeadersCame(const grpc::Status& status,
                                    StreamAttempt& attempt,
                                    bool application_asked) const {
  if (!attempt.initial_metadata().empty() ||
      (attempt.first() && application_asked &&
       !info().context.GetServerInitialMetadata().empty())) {
    return true;
  }
  return HadHeaders(status, attempt.context());
}

// --- Another attempt ---

void StreamInterceptor::Replay(Operation& driver,
                               std::shared_ptr<StreamAttempt> attempt) {
  std::vector<Operation*> before;
  std::vector<Operation*> after;
  {
    MutexLock lock(mutex_);
    attempt_ = std::move(attempt);
    phase_ = Phase::kReplaying;
    replayed_ = 0;
    driver.step = Step::kReplays;
    for (Operation& operation : operations_) {
      if (!operation.held() || operation.ends || operation.OnlySends()) {
        continue;
      }
      if (operation.step == Step::kHeldBefore) {
        Prepare(operation);
        before.push_back(&operation);
      } else {
        Assign(operation);
        after.push_back(&operation);
      }
    }
  }
  // The driver is held while these may come and go.
  for (Operation* operation : after) Perform(*operation);
  for (Operation* operation : before) Run(*operation);
  SendNext(driver, /*first=*/true);
}

void StreamInterceptor::SendNext(Operation& driver, bool first) {
  StreamAttempt* attempt;
  std::optional<ReplayBuffer::Entry> entry;
  bool more = false;
  {
    MutexLock lock(mutex_);
    attempt = attempt_.get();
    if (replayed_ < sent_.size()) {
      entry = sent_.at(replayed_++);
      more = replayed_ < sent_.size();
    }
  }
  if (first) return attempt->Begin(entry, more, driver.batch.tag());
  if (!entry.has_value()) return Reopen(driver);
  attempt->Send(*entry, more, driver.batch.tag());
}

void StreamInterceptor::Reopen(Operation& driver) {
  // First what has not been sent, in its order: a message must not overtake
  // another.
  std::vector<Operation*> after;
  std::vector<Operation*> before;
  while (Operation* operation = NextOrOpen(driver, after, before)) {
    Run(*operation);
  }
  for (Operation* operation : after) Perform(*operation);
  for (Operation* operation : before) Run(*operation);
  // After which all may be over.
  Perform(driver);
}

// Null once there is none; then the attempt is open, and the others that were
// held, but for the driver, are ready to go on.
StreamInterceptor::Operation* StreamInterceptor::NextOrOpen(
    Operation& driver, std::vector<Operation*>& after,
    std::vector<Operation*>& before) {
  MutexLock lock(mutex_);
  for (Operation& operation : operations_) {
    if (operation.step == Step::kHeldBefore && operation.sends) {
      Prepare(operation);
      return &operation;
    }
  }
  phase_ = Phase::kOpen;
  if (committed_) sent_.Clear();
  Assign(driver);
  for (Operation& operation : operations_) {
    if (operation.step == Step::kHeldAfter) {
      Assign(operation);
      after.push_back(&operation);
    } else if (operation.step == Step::kHeldBefore) {
      Prepare(operation);
      before.push_back(&operation);
    }
  }
  return nullptr;
}

// What comes of a batch that is held after it has failed, on the attempt under
// way; Perform is to follow.
void StreamInterceptor::Assign(Operation& operation) {
  operation.attempt = attempt_;
  operation.step = Step::kRunning;
  operation.with_metadata = false;
  if (operation.ends) {
    operation.step = Step::kGetsEnd;
    attempt_->status_asked_for = true;
    operation.with_metadata =
        operation.metadata && !attempt_->metadata_asked_for;
    attempt_->metadata_asked_for |= operation.metadata;
  } else if (operation.metadata && !attempt_->metadata_asked_for) {
    operation.step = Step::kGetsMetadata;
    attempt_->metadata_asked_for = true;
  }
}

void StreamInterceptor::Perform(Operation& operation) {
  StreamAttempt& attempt = *operation.attempt;
  void* const tag = operation.batch.tag();
  if (operation.step == Step::kGetsEnd) {
    const bool reply = operation.ends && client_streams_only();
    attempt.ReceiveEnd(operation.with_metadata, reply, tag);
  } else if (operation.step == Step::kGetsMetadata) {
    attempt.ReceiveMetadata(tag);
  } else if (operation.OnlySends()) {
    Tell(operation, /*ok=*/true);
  } else if (operation.reads) {
    operation.batch.SetCall(attempt.call());
    operation.batch.ReadAgain(operation.message);
  } else {
    OnFailed(operation);
  }
}

// --- The end of retries, and of the call ---

void StreamInterceptor::Commit() {
  committed_ = true;
  // What is being replayed is needed to its end.
  if (phase_ != Phase::kReplaying) sent_.Clear();
  const bool all_run = std::all_of(operations_.begin(), operations_.end(),
                                   [](const Operation& operation) {
                                     return operation.step == Step::kRunning;
                                   });
  if (phase_ == Phase::kOpen && attempt_->first() && all_run &&
      attempt_->metadata_asked_for == metadata_asked_for_) {
    mode_.store(Mode::kSettled, std::memory_order_release);
  }
}

void StreamInterceptor::Settle() {
  MutexLock lock(mutex_);
  committed_ = true;
  sent_.Clear();
  mode_.store(Mode::kSettled, std::memory_order_release);
}

// Who waits for the reason of a failure that is not to be retried is told of
// the failure itself.
void StreamInterceptor::CommitAndRelease() {
  if (committed_.load(std::memory_order_relaxed)) return;
  std::vector<Operation*> before;
  std::vector<Operation*> after;
  {
    MutexLock lock(mutex_);
    if (committed_) return;
    Commit();
    const bool status_comes =
        ending_.has_value() ||
        std::any_of(operations_.begin(), operations_.end(),
                    [](const Operation& operation) {
                      return operation.step == Step::kGetsEnd &&
                             !operation.ends;
                    });
    if (phase_ != Phase::kWaiting || status_comes) return;
    phase_ = Phase::kOpen;
    for (Operation& operation : operations_) {
      if (operation.step == Step::kHeldBefore) {
        Prepare(operation);
        before.push_back(&operation);
      } else if (operation.step == Step::kHeldAfter) {
        operation.step = Step::kRunning;
        after.push_back(&operation);
      }
    }
  }
  for (Operation* operation : before) Run(*operation);
  for (Operation* operation : after) Tell(*operation);
}

void StreamInterceptor::End() {
  std::vector<Operation*> held;
  {
    MutexLock lock(mutex_);
    phase_ = Phase::kEnded;
    sent_.Clear();
    for (Operation& operation : operations_) {
      if (operation.held()) held.push_back(&operation);
    }
  }
  // The last one may be the end of this object.
  for (Operation* operation : held) TellEnd(*operation);
}

void StreamInterceptor::TellEnd(Operation& operation) {
  const StreamResult& result = call_->result();
  if (operation.came_back) {
    operation.attempt = result.attempt;
    if (operation.ends) FillEnd(operation);
    if (operation.reads || operation.ends || !operation.metadata ||
        result.attempt == nullptr || result.attempt->first()) {
      return Tell(operation);
    }
    // A queue is told of those of an answer without any.
    const bool told = HeadersCame(result.status, *result.attempt,
                                  /*application_asked=*/false) ||
                      (!operation.batch.IsReactors() &&
                       MayHaveAnswer(result.status, result.attempt->context()));
    return Tell(operation, told);
  }
  StreamBatch batch = operation.batch;
  {
    Operation owned = Take(operation);
    bool received_otherwise = false;
    if (batch.CanReceiveMetadata()) {
      MutexLock lock(mutex_);
      if (!metadata_asked_for_) {
        metadata_asked_for_ = true;
        owned.metadata = true;
        received_otherwise = first_->metadata_asked_for;
        first_->metadata_asked_for = true;
      }
    }
    owned.attempt = result.attempt;
    if (owned.ends) {
      batch.ShareDeserializer(&deserializer_);
      batch.Hijack();
      FillEnd(owned);
    } else if (received_otherwise) {
      batch.SkipMetadata();
    }
    if (owned.ends || received_otherwise) FillMetadata(owned);
  }
  // On the application's call, which is over.
  batch.batch()->Proceed();
}

void StreamInterceptor::FillEnd(const Operation& operation) {
  Batch* const batch = operation.batch.batch();
  const StreamResult& result = call_->result();
  grpc::Status status = result.status;
  ReceivedMetadata* trailers = batch->GetRecvTrailingMetadata();
  const bool own = result.attempt != nullptr && !result.attempt->first();
  if (own || result.attempt == nullptr) trailers->clear();
  if (own) {
    trailers->insert(result.attempt->trailers().begin(),
                     result.attempt->trailers().end());
    CopyDebugErrorString(result.attempt->context(), &info().context);
    grpc::ByteBuffer& reply = result.attempt->reply();
    if (status.ok() && deserializer_ != nullptr && reply.Valid()) {
      status = deserializer_->Deserialize(&reply);
      reply.Release();  // It was taken over.
    }
  }
  AddedTrailers::EraseFrom(trailers);
  result.trailers.AppendTo(trailers);
  *batch->GetRecvStatus() = std::move(status);
}

// What another call, or another operation, has received.
void StreamInterceptor::FillMetadata(const Operation& operation) {
  if (!operation.metadata || operation.attempt == nullptr) return;
  const ReceivedMetadata& metadata = operation.attempt->initial_metadata();
  if (metadata.empty()) return;
  operation.batch.batch()->GetRecvInitialMetadata()->insert(metadata.begin(),
                                                            metadata.end());
}

void StreamInterceptor::Tell(Operation& operation) {
  Tell(operation, operation.ok);
}

void StreamInterceptor::Tell(Operation& operation, bool ok) {
  StreamBatch batch = operation.batch;
  {
    std::optional<Ending> ending;
    const Operation owned = Take(operation, &ending);
    // While this batch is still held, and this object there.
    if (ending.has_value()) EndAttempt(*std::move(ending));
    FillMetadata(owned);
    if (!owned.reads && !owned.ends && batch.ok() != ok) batch.SetOk(ok);
    batch.RestoreHooks(owned.hooks);
  }
  batch.batch()->Proceed();
}

StreamInterceptor::Operation StreamInterceptor::Take(
    Operation& operation, std::optional<Ending>* ending) {
  MutexLock lock(mutex_);
  Operation taken = Unregister(Find(operation.batch));
  if (ending != nullptr) *ending = TakeEnding();
  return taken;
}

}  // namespace grpc_breaker::internal
