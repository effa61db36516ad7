#include "grpc_breaker/config_file_source.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "grpc_breaker/breaker_events.h"
#include "grpc_breaker/config_file.h"
#include "grpc_breaker/config_file/config_path.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpc_breaker/registry.h"

namespace grpc_breaker {
namespace {

// What differs when a file has been written or another one put in its place,
// unless that happens within one tick of the file system's clock.
struct Signature {
  dev_t device;
  ino_t inode;
  off_t size;
  time_t seconds;
  int64_t nanoseconds;

  bool operator==(const Signature& other) const {
    return device == other.device && inode == other.inode &&
           size == other.size && seconds == other.seconds &&
           nanoseconds == other.nanoseconds;
  }
};

// Of what a symbolic link leads to. Nothing if there is none.
std::optional<Signature> SignatureOf(const std::string& path) {
  struct stat found;
  if (stat(path.c_str(), &found) != 0) return std::nullopt;
  return Signature{found.st_dev, found.st_ino, found.st_size,
                   found.st_mtim.tv_sec, found.st_mtim.tv_nsec};
}

class Source final : public PolicySource,
                     public std::enable_shared_from_this<Source> {
 public:
  Source(ConfigFileSource options, Environment& environment, ConfigFile file,
         std::optional<Signature> signature)
      : options_(std::move(options)),
        environment_(environment),
        signature_(signature),
        file_(std::make_shared<const ConfigFile>(std::move(file))) {
    status_.name = file_->name();
    status_.hash = file_->hash();
    NoteLoaded();
  }

  // Nobody else is there any more; a poll that runs now holds this.
  ~Source() override {
    internal::MutexLock lock(mutex_);
    environment_.Cancel(timer_);
  }

  void WaitForNextPoll() {
    const MonotonicTime when = TimeAfter(environment_.Now(), options_.interval);
    const Environment::TimerId timer =
        environment_.RunAt(when, [weak = weak_from_this()] {
          if (const auto self = weak.lock()) self->Poll();
        });
    internal::MutexLock lock(mutex_);
    timer_ = timer;
  }

  absl::StatusOr<int64_t> ApplyTo(Options* options) override {
    std::shared_ptr<const ConfigFile> file;
    int64_t version = 0;
    {
      internal::MutexLock lock(mutex_);
      file = file_;
      version = version_;
    }
    if (absl::Status status = file->ApplyTo(options, options_.functions);
        !status.ok()) {
      return status;
    }
    return version;
  }

  void Follow(std::weak_ptr<Registry> registry, int64_t version) override {
    internal::MutexLock lock(mutex_);
    followers_.push_back({std::move(registry), version});
  }

  PolicySourceStatus status() const override {
    internal::MutexLock lock(mutex_);
    return status_;
  }

 private:
  struct Follower {
    std::weak_ptr<Registry> registry;
    int64_t version;  // The last one that it was given.
  };

  // One at a time: the next one is waited for when this one has ended. All
  // policies are given here, so that an older version never follows a newer.
  void Poll() {
    Look();
    GiveOut();
    WaitForNextPoll();
  }

  // Reads the file if it may have changed.
  void Look() {
    const std::optional<Signature> signature = SignatureOf(status().name);
    const bool same = signature == signature_;
    // Once more after a change, as there may have been another one within the
    // same tick. What is wrong may be put right without a trace in the file:
    // who may read it, an update of a policy that was in its way.
    if (same && !look_again_ && status().error.empty()) return;
    look_again_ = !same;
    signature_ = signature;
    absl::StatusOr<ConfigFile> read = LoadConfigFile(status().name);
    if (!read.ok()) return Fail(read.status());
    {
      internal::MutexLock lock(mutex_);
      if (read->hash() == file_->hash()) {
        // What was wrong in between has been taken back.
        if (file_->hash() == status_.hash) status_.error.clear();
        return;
      }
    }
    if (absl::Status status = CheckForAll(*read); !status.ok()) {
      return Fail(status);
    }
    internal::MutexLock lock(mutex_);
    file_ = std::make_shared<const ConfigFile>(*std::move(read));
    ++version_;
  }

  // Whether the file fits each channel, so that none gets it unless all can.
  absl::Status CheckForAll(const ConfigFile& file) const {
    std::vector<Follower> followers;
    {
      internal::MutexLock lock(mutex_);
      followers = followers_;
    }
    for (const Follower& follower : followers) {
      const std::shared_ptr<Registry> registry = follower.registry.lock();
      if (registry == nullptr) continue;
      absl::StatusOr<Policies> policies = PoliciesFor(*registry, file);
      if (!policies.ok()) return policies.status();
      if (absl::Status status = registry->CheckPolicies(*policies);
          !status.ok()) {
        return Refused(file, *registry, status);
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Policies> PoliciesFor(const Registry& registry,
                                       const ConfigFile& file) const {
    Policies policies = *registry.given_policies();
    if (absl::Status status = file.ApplyTo(&policies, options_.functions);
        !status.ok()) {
      return status;
    }
    return policies;
  }

  // What a channel says of policies that are right by themselves.
  static absl::Status Refused(const ConfigFile& file, const Registry& registry,
                              const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat(file.name(), ": channel ",
                                                    registry.channel_name(),
                                                    ": ", status.message()));
  }

  // Gives the version that holds now to those who have an older one. Who cannot
  // have it after all, for an update that came meanwhile, is asked again at the
  // next poll.
  void GiveOut() {
    std::vector<std::pair<size_t, std::shared_ptr<Registry>>> behind;
    std::shared_ptr<const ConfigFile> file;
    int64_t version = 0;
    std::string told_error;
    {
      internal::MutexLock lock(mutex_);
      file = file_;
      version = version_;
      told_error = status_.error;
      followers_.erase(std::remove_if(followers_.begin(), followers_.end(),
                                      [](const Follower& follower) {
                                        return follower.registry.expired();
                                      }),
                       followers_.end());
      for (size_t i = 0; i < followers_.size(); ++i) {
        if (followers_[i].version == version_) continue;
        behind.emplace_back(i, followers_[i].registry.lock());
      }
      if (told_version_ == version_ && behind.empty()) return;
    }
    absl::Status first_error;
    for (const auto& [index, registry] : behind) {
      if (registry == nullptr) continue;
      absl::StatusOr<Policies> policies = PoliciesFor(*registry, *file);
      absl::Status status = policies.status();
      if (status.ok()) {
        status = registry->ReplacePolicies(*std::move(policies));
        if (!status.ok()) status = Refused(*file, *registry, status);
      }
      first_error.Update(status);
      if (!status.ok() && status.message() == told_error) continue;
      Tell(*registry, file->hash(), status);
      if (!status.ok()) continue;
      internal::MutexLock lock(mutex_);
      followers_[index].version = version;  // Others only append.
    }
    internal::MutexLock lock(mutex_);
    if (first_error.ok()) {
      told_version_ = version;
      status_.error.clear();
      status_.hash = file->hash();
      NoteLoaded();
      ++status_.reloads;
    } else if (first_error.message() != told_error) {
      NoteFailure(first_error);
    }
  }

  // Tells it once, not at each poll.
  void Fail(const absl::Status& error) {
    std::vector<Follower> followers;
    {
      internal::MutexLock lock(mutex_);
      if (status_.error == error.message()) return;
      NoteFailure(error);
      followers = followers_;
    }
    for (const Follower& follower : followers) {
      if (const auto registry = follower.registry.lock()) {
        Tell(*registry, "", error);
      }
    }
  }

  void NoteLoaded() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    status_.loaded = environment_.WallNow();
    status_.loaded_at = environment_.Now();
  }

  void NoteFailure(const absl::Status& error)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    status_.error = std::string(error.message());
    status_.failed = environment_.WallNow();
    status_.failed_at = environment_.Now();
    ++status_.failures;
  }

  void Tell(Registry& registry, const std::string& hash,
            const absl::Status& status) {
    PolicyReload reload;
    reload.source = this->status().name;
    reload.hash = hash;
    reload.error = std::string(status.message());
    registry.NotifyReload(std::move(reload));
  }

  const ConfigFileSource options_;
  Environment& environment_;
  // Of the poll alone.
  std::optional<Signature> signature_;
  bool look_again_ = true;

  mutable absl::Mutex mutex_;
  std::shared_ptr<const ConfigFile> file_ ABSL_GUARDED_BY(mutex_);
  int64_t version_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t told_version_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<Follower> followers_ ABSL_GUARDED_BY(mutex_);
  PolicySourceStatus status_ ABSL_GUARDED_BY(mutex_);
  Environment::TimerId timer_ ABSL_GUARDED_BY(mutex_) = Environment::kNoTimer;
};

}  // namespace

absl::StatusOr<std::shared_ptr<PolicySource>> ConfigFileSource::Create(
    const std::string& path) const {
  if (interval < absl::Milliseconds(10)) {
    return absl::InvalidArgumentError(
        absl::StrCat("interval: must be at least 10ms, got ",
                     absl::FormatDuration(interval)));
  }
  const std::string name = internal::PathOrVariable(path);
  if (name.empty()) return nullptr;
  // First, so that what changes meanwhile is read again.
  const std::optional<Signature> signature = SignatureOf(name);
  absl::StatusOr<ConfigFile> file = LoadConfigFile(name);
  if (!file.ok()) return file.status();
  auto source = std::make_shared<Source>(
      *this, environment != nullptr ? *environment : Environment::Default(),
      *std::move(file), signature);
  source->WaitForNextPoll();
  return source;
}

}  // namespace grpc_breaker
