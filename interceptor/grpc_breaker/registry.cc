#include "grpc_breaker/registry.h"

#include <algorithm>
#include <set>
#include <type_traits>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "grpc_breaker/internal/method_name.h"
#include "grpc_breaker/internal/user_code.h"

namespace grpc_breaker {
namespace {

using internal::kOtherMethods;

size_t HashOf(absl::string_view name) {
  return absl::Hash<absl::string_view>{}(name);
}

// What the proto file of "/pkg.Service/Method" says, if it is linked in.
bool DeclaredIdempotent(absl::string_view method) {
  std::string full_name(method.substr(1));
  std::replace(full_name.begin(), full_name.end(), '/', '.');
  const google::protobuf::MethodDescriptor* descriptor =
      google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(
          full_name);
  return descriptor != nullptr &&
         descriptor->options().idempotency_level() !=
             google::protobuf::MethodOptions::IDEMPOTENCY_UNKNOWN;
}

bool IsRepeatable(const Options& options, const Policy& policy,
                  absl::string_view method) {
  const Idempotency idempotency = policy.idempotency.value_or(
      &policy == &options.default_policy ? Idempotency::kAsDeclared
                                         : Idempotency::kRepeatable);
  return idempotency == Idempotency::kRepeatable ||
         (method != kOtherMethods && DeclaredIdempotent(method));
}

// One Subscribe(), as long as its handle or a notification uses it.
class Subscriber {
 public:
  using Event = absl::FunctionRef<void(DirectoryListener&)>;

  explicit Subscriber(DirectoryListener& listener) : listener_(listener) {}

  // False if the listener threw.
  bool Tell(Event event) {
    {
      absl::MutexLock lock(&mutex_);
      if (stopped_) return true;
      ++running_;
    }
    Frame frame{this, innermost_frame_};
    innermost_frame_ = &frame;
    const bool well = internal::CallUserCode([&] { event(listener_); });
    innermost_frame_ = frame.outer;
    absl::MutexLock lock(&mutex_);
    --running_;
    return well;
  }

  // Waits until no other thread is telling. Those that this thread does are
  // below us on the stack, and cannot end before we return.
  void Stop() {
    int ours = 0;
    for (const Frame* frame = innermost_frame_; frame; frame = frame->outer) {
      ours += frame->subscriber == this ? 1 : 0;
    }
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    const auto idle = [this, ours]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return running_ == ours;
    };
    mutex_.Await(absl::Condition(&idle));
  }

 private:
  // What this thread is telling, innermost first.
  struct Frame {
    const Subscriber* subscriber;
    const Frame* outer;
  };
  static thread_local const Frame* innermost_frame_;

  DirectoryListener& listener_;
  absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  int running_ ABSL_GUARDED_BY(mutex_) = 0;
};

thread_local const Subscriber::Frame* Subscriber::innermost_frame_ = nullptr;

struct ListenerThrew {};

}  // namespace

Method::Method(absl::string_view name, const Policy& policy, bool repeatable,
               std::unique_ptr<CircuitBreaker> breaker,
               RetryBudget* retry_budget, Environment& environment)
    : name_(name),
      policy_(policy),
      repeatable_(repeatable),
      breaker_(std::move(breaker)),
      retry_budget_(retry_budget),
      environment_(environment) {}

void Method::RecordError(LastError error) {
  error.at = environment_.Now();
  absl::MutexLock lock(&mutex_);
  last_error_ = std::move(error);
}

std::optional<LastError> Method::last_error() const {
  absl::MutexLock lock(&mutex_);
  return last_error_;
}

// Shared by the directory, its registries and its subscriptions, so that they
// may be destroyed in any order. No step but Registries() takes time in
// proportion to the number of registries.
struct Directory::State {
  // An entry lasts until the end of its registry's destructor, so that a name
  // is not given out again before.
  struct Entry {
    std::weak_ptr<Registry> registry;
    uint64_t sequence;   // In order of creation.
    std::string wanted;  // The name without the number.
    int number;          // Of the name; 1 if there is none in it.
  };
  // The numbers from 2 on that are in use behind one wanted name.
  struct Numbers {
    int in_use = 0;
    int next = 2;        // This one and those above it were never given out.
    std::set<int> free;  // Those below it that were given back.
  };

  absl::Mutex mutex;
  absl::btree_map<std::string, Entry> registries ABSL_GUARDED_BY(mutex);
  absl::flat_hash_map<std::string, Numbers> numbers ABSL_GUARDED_BY(mutex);
  uint64_t last_sequence ABSL_GUARDED_BY(mutex) = 0;
  std::vector<std::shared_ptr<Subscriber>> subscribers ABSL_GUARDED_BY(mutex);

  // Enters the registry, and makes its name unique before others see it.
  void Enter(const std::shared_ptr<Registry>& registry, std::string* name) {
    absl::MutexLock lock(&mutex);
    Entry entry{registry, ++last_sequence, *name, 1};
    if (registries.contains(*name)) {
      Numbers& used = numbers[entry.wanted];
      ++used.in_use;
      // Somebody may have asked for a name that ends in such a number.
      do {
        entry.number = used.free.empty()
                           ? used.next++
                           : used.free.extract(used.free.begin()).value();
        *name = absl::StrCat(entry.wanted, "#", entry.number);
      } while (registries.contains(*name));
    }
    registries.emplace(*name, std::move(entry));
  }

  void Leave(const std::string& name) {
    absl::MutexLock lock(&mutex);
    const auto entry = registries.find(name);
    if (entry->second.number > 1) {
      const auto used = numbers.find(entry->second.wanted);
      used->second.free.insert(entry->second.number);
      if (--used->second.in_use == 0) numbers.erase(used);
    }
    registries.erase(entry);
  }

  // False if a listener threw.
  bool Tell(Subscriber::Event event) {
    std::vector<std::shared_ptr<Subscriber>> copy;
    {
      absl::MutexLock lock(&mutex);
      copy = subscribers;
    }
    bool well = true;
    for (const auto& subscriber : copy) well = subscriber->Tell(event) && well;
    return well;
  }
};

Directory::Directory() : state_(std::make_shared<State>()) {}
Directory::~Directory() = default;

Directory& Directory::Default() {
  static Directory* const directory = new Directory;
  return *directory;
}

std::vector<std::shared_ptr<Registry>> Directory::Registries() const {
  std::vector<std::pair<uint64_t, std::shared_ptr<Registry>>> living;
  {
    absl::MutexLock lock(&state_->mutex);
    for (const auto& [name, entry] : state_->registries) {
      if (auto registry = entry.registry.lock()) {
        living.emplace_back(entry.sequence, std::move(registry));
      }
    }
  }
  std::sort(living.begin(), living.end());
  std::vector<std::shared_ptr<Registry>> result;
  for (auto& [sequence, registry] : living) {
    result.push_back(std::move(registry));
  }
  return result;
}

std::vector<std::shared_ptr<Registry>> Directory::RegistriesFrom(
    absl::string_view name, size_t at_most) const {
  std::vector<std::shared_ptr<Registry>> result;
  absl::MutexLock lock(&state_->mutex);
  for (auto it = state_->registries.lower_bound(name);
       it != state_->registries.end() && result.size() < at_most; ++it) {
    if (auto registry = it->second.registry.lock()) {
      result.push_back(std::move(registry));
    }
  }
  return result;
}

std::unique_ptr<Directory::Subscription> Directory::Subscribe(
    DirectoryListener& listener) {
  class Handle : public Subscription {
   public:
    Handle(std::shared_ptr<State> state, std::shared_ptr<Subscriber> subscriber)
        : state_(std::move(state)), subscriber_(std::move(subscriber)) {}
    ~Handle() override {
      {
        absl::MutexLock lock(&state_->mutex);
        auto& all = state_->subscribers;
        all.erase(std::remove(all.begin(), all.end(), subscriber_), all.end());
      }
      subscriber_->Stop();
    }

   private:
    const std::shared_ptr<State> state_;
    const std::shared_ptr<Subscriber> subscriber_;
  };

  auto subscriber = std::make_shared<Subscriber>(listener);
  {
    absl::MutexLock lock(&state_->mutex);
    state_->subscribers.push_back(subscriber);
  }
  return std::make_unique<Handle>(state_, std::move(subscriber));
}

// Here and not in policy.cc, whose layer lies below Directory's.
Options::Options()
    : directory(&Directory::Default()), environment(&Environment::Default()) {}

// To all listeners of the channel, and then to those of the directory where the
// event is for them as well, also if some of them throw. An event may come on a
// thread that no call of the channel holds the registry for, and a listener may
// drop what does.
template <typename Event>
void Registry::FanOut::Tell(void (BreakerListener::*on_event)(const Event&),
                            const Event& event) {
  const std::shared_ptr<Registry> registry = registry_.weak_from_this().lock();
  if (registry == nullptr) return;  // Is being destroyed.
  Event told = event;
  told.channel = registry->channel_name();
  bool well = true;
  for (const auto& listener : registry->options_.listeners) {
    well = internal::CallUserCode([&] { (*listener.*on_event)(told); }) && well;
  }
  if constexpr (std::is_same_v<Event, BreakerTransition>) {
    well = registry->TellDirectory(told) && well;
  }
#ifdef __cpp_exceptions
  // What has thrown is counted by the breaker, whose listener this is.
  if (!well) throw ListenerThrew();
#endif
}

void Registry::FanOut::OnTransition(const BreakerTransition& transition) {
  Tell(&BreakerListener::OnTransition, transition);
}

void Registry::FanOut::OnRejections(const BreakerRejections& rejections) {
  Tell(&BreakerListener::OnRejections, rejections);
}

void Registry::FanOut::OnSlowCall(const BreakerSlowCall& call) {
  Tell(&BreakerListener::OnSlowCall, call);
}

void Registry::FanOut::OnThreshold(const BreakerThreshold& threshold) {
  Tell(&BreakerListener::OnThreshold, threshold);
}

void Registry::FanOut::OnEventsDropped(const BreakerEventsDropped& dropped) {
  Tell(&BreakerListener::OnEventsDropped, dropped);
}

// False if a listener threw.
bool Registry::TellDirectory(const BreakerTransition& transition) {
  if (directory_ == nullptr) return true;
  const Method* method = Lookup(transition.breaker, HashOf(transition.breaker));
  if (method == nullptr) method = other_.get();
  return directory_->Tell([&](DirectoryListener& listener) {
    listener.OnTransition(*this, *method, transition);
  });
}

Registry::Registry(Options options) : options_(std::move(options)) {
  size_t buckets = 16;
  while (buckets < static_cast<size_t>(options_.max_methods)) buckets *= 2;
  buckets_ = std::vector<std::atomic<Node*>>(buckets);
  channel_name_ =
      options_.channel_name.empty() ? "channel" : options_.channel_name;
  if (options_.retry_budget.max_tokens > 0) {
    retry_budget_.emplace(options_.retry_budget);
  }
}

absl::StatusOr<std::shared_ptr<Registry>> Registry::Create(Options options) {
  absl::Status status = options.Validate();
  if (!status.ok()) return status;
  std::shared_ptr<Registry> registry(new Registry(std::move(options)));

  absl::StatusOr<std::unique_ptr<Method>> other =
      registry->MakeMethod(kOtherMethods);
  if (!other.ok()) return other.status();
  registry->other_ = *std::move(other);
  for (const auto& [name, policy] : registry->options_.methods) {
    absl::StatusOr<std::unique_ptr<Method>> method = registry->MakeMethod(name);
    if (!method.ok()) return method.status();
    registry->Insert(*std::move(method), HashOf(name));
  }

  if (registry->options_.directory != nullptr) {
    registry->directory_ = registry->options_.directory->state_;
    registry->directory_->Enter(registry, &registry->channel_name_);
    for (const Method* method : registry->Methods()) {
      registry->TellAdded(*method);
    }
  }
  return registry;
}

Registry::~Registry() {
  if (directory_ != nullptr) {
    directory_->Tell([this](DirectoryListener& listener) {
      listener.OnRegistryRemoved(*this);
    });
    directory_->Leave(channel_name_);
  }
  for (std::atomic<Node*>& bucket : buckets_) {
    Node* node = bucket.load(std::memory_order_acquire);
    while (node != nullptr) delete std::exchange(node, node->next);
  }
}

Method& Registry::Find(absl::string_view method) {
  const size_t hash = HashOf(method);
  if (Method* found = Lookup(method, hash)) return *found;
  if (size_.load(std::memory_order_relaxed) >= options_.max_methods ||
      internal::FormOf(method) != internal::NameForm::kMethod) {
    return Other();
  }
  // Made before the lock is taken; one of two racing threads throws its away.
  absl::StatusOr<std::unique_ptr<Method>> made = MakeMethod(method);
  return made.ok() ? Insert(*std::move(made), hash) : Other();
}

const Method* Registry::Peek(absl::string_view method) const {
  if (method == kOtherMethods) {
    return other_used_.load(std::memory_order_relaxed) ? other_.get() : nullptr;
  }
  return Lookup(method, HashOf(method));
}

std::vector<const Method*> Registry::Methods() const {
  absl::MutexLock lock(&mutex_);
  return std::vector<const Method*>(by_name_.begin(), by_name_.end());
}

std::vector<const Method*> Registry::MethodsFrom(absl::string_view name,
                                                 size_t at_most) const {
  std::vector<const Method*> result;
  absl::MutexLock lock(&mutex_);
  for (auto it = by_name_.lower_bound(name);
       it != by_name_.end() && result.size() < at_most; ++it) {
    result.push_back(*it);
  }
  return result;
}

absl::StatusOr<std::unique_ptr<Method>> Registry::MakeMethod(
    absl::string_view name) {
  const Policy& policy = options_.PolicyFor(name);
  absl::StatusOr<std::unique_ptr<CircuitBreaker>> breaker =
      CircuitBreaker::Create(std::string(name), policy.breaker,
                             *options_.environment, &fan_out_);
  if (!breaker.ok()) return breaker.status();
  return std::unique_ptr<Method>(new Method(
      name, policy, IsRepeatable(options_, policy, name), *std::move(breaker),
      retry_budget_ ? &*retry_budget_ : nullptr, *options_.environment));
}

Method* Registry::Lookup(absl::string_view name, size_t hash) const {
  const std::atomic<Node*>& bucket = buckets_[hash & (buckets_.size() - 1)];
  for (const Node* node = bucket.load(std::memory_order_acquire);
       node != nullptr; node = node->next) {
    if (node->hash == hash && node->method->name() == name) {
      return node->method.get();
    }
  }
  return nullptr;
}

Method& Registry::Insert(std::unique_ptr<Method> method, size_t hash) {
  Method& result = *method;
  {
    absl::MutexLock lock(&mutex_);
    if (Method* found = Lookup(method->name(), hash)) return *found;
    const int size = size_.load(std::memory_order_relaxed);
    if (size < options_.max_methods) {
      std::atomic<Node*>& bucket = buckets_[hash & (buckets_.size() - 1)];
      bucket.store(new Node{hash, std::move(method),
                            bucket.load(std::memory_order_relaxed)},
                   std::memory_order_release);
      by_name_.insert(&result);
      size_.store(size + 1, std::memory_order_relaxed);
    }
  }
  if (method != nullptr) return Other();  // It was one too many.
  TellAdded(result);
  return result;
}

Method& Registry::Other() {
  if (!other_used_.load(std::memory_order_relaxed) &&
      !other_used_.exchange(true, std::memory_order_relaxed)) {
    {
      absl::MutexLock lock(&mutex_);
      by_name_.insert(other_.get());
    }
    TellAdded(*other_);
  }
  return *other_;
}

void Registry::TellAdded(const Method& method) {
  if (directory_ == nullptr) return;
  directory_->Tell([&](DirectoryListener& listener) {
    listener.OnMethodAdded(*this, method);
  });
}

}  // namespace grpc_breaker
