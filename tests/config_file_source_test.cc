#include "grpc_breaker/config_file_source.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/breaker_events.h"
#include "grpc_breaker/config_file.h"
#include "grpc_breaker/policy.h"
#include "grpc_breaker/registry.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

namespace fs = std::filesystem;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// Keeps the errors of reloads, "" for those that came into force.
class ReloadListener : public BreakerListener {
 public:
  void OnPolicyReload(const PolicyReload& reload) override {
    EXPECT_EQ(reload.channel, "shop");
    reloads.push_back(reload.error);
  }
  std::vector<std::string> reloads;
};

class ConfigFileSourceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    path_ = (folder_ / "shop.yaml").string();
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Over what is there.
  static void Write(const fs::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
  }
  static std::string Retries(int retries) {
    return absl::StrCat("default_policy: {retry: {max_retries: ", retries,
                        "}}\n");
  }

  void CreateSource(const NamedFunctions& functions = {}) {
    ConfigFileSource options;
    options.interval = absl::Seconds(5);
    options.environment = &environment_;
    options.functions = functions;
    auto source = options.Create(path_);
    ASSERT_TRUE(source.ok()) << source.status();
    source_ = *std::move(source);
  }

  std::shared_ptr<Registry> CreateRegistry(Options options = {}) {
    options.channel_name = "shop";
    options.environment = &environment_;
    options.directory = nullptr;
    options.listeners.push_back(listener_);
    options.policy_source = source_;
    auto registry = Registry::Create(std::move(options));
    EXPECT_TRUE(registry.ok()) << registry.status();
    return registry.ok() ? *registry : nullptr;
  }

  void Poll() { environment_.Advance(absl::Seconds(5)); }

  static int RetriesOf(Registry& registry) {
    return registry.FindOrCreate("/p.S/M").policy()->retry.max_retries;
  }

  fs::path folder_;
  std::string path_;
  ManualEnvironment environment_;
  const std::shared_ptr<ReloadListener> listener_ =
      std::make_shared<ReloadListener>();
  std::shared_ptr<PolicySource> source_;
};

TEST_F(ConfigFileSourceTest, AChannelBeginsWithWhatTheFileSays) {
  Write(path_, Retries(7));
  CreateSource();
  EXPECT_EQ(RetriesOf(*CreateRegistry()), 7);
  EXPECT_EQ(source_->status().name, path_);
  EXPECT_EQ(source_->status().reloads, 0);
  EXPECT_EQ(source_->status().loaded, environment_.WallNow());
}

TEST_F(ConfigFileSourceTest, AFileThatIsMissingOrWrongAtFirstIsAnError) {
  ConfigFileSource options;
  options.environment = &environment_;
  EXPECT_EQ(options.Create(path_).status().code(), absl::StatusCode::kNotFound);
  Write(path_, "max_methods: x");
  EXPECT_EQ(options.Create(path_).status().code(),
            absl::StatusCode::kInvalidArgument);
  options.interval = absl::ZeroDuration();
  EXPECT_THAT(std::string(options.Create(path_).status().message()),
              StartsWith("interval: "));
}

TEST_F(ConfigFileSourceTest, TheVariableNamesTheFileUnlessTheApplicationDoes) {
  ConfigFileSource options;
  options.environment = &environment_;
  unsetenv(kConfigFileVariable);
  auto source = options.Create();
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_EQ(*source, nullptr);
  Write(path_, Retries(7));
  setenv(kConfigFileVariable, path_.c_str(), 1);
  source = options.Create();
  unsetenv(kConfigFileVariable);
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_EQ((*source)->status().name, path_);
}

TEST_F(ConfigFileSourceTest, APipeInThePlaceOfTheFileHoldsNobodyUp) {
  Write(path_, Retries(7));
  CreateSource();
  const auto registry = CreateRegistry();
  fs::remove(path_);
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  Poll();
  EXPECT_EQ(RetriesOf(*registry), 7);
  EXPECT_EQ(source_->status().error,
            absl::StrCat(path_, ": must be a regular file"));
}

TEST_F(ConfigFileSourceTest, WhatIsWrittenOverTheFileComesIntoForce) {
  Write(path_, Retries(7));
  CreateSource();
  const auto registry = CreateRegistry();
  const std::string hash = source_->status().hash;
  Poll();
  EXPECT_THAT(listener_->reloads, IsEmpty());
  Write(path_, Retries(12));
  Poll();
  EXPECT_EQ(RetriesOf(*registry), 12);
  EXPECT_THAT(listener_->reloads, ElementsAre(""));
  EXPECT_EQ(source_->status().reloads, 1);
  EXPECT_NE(source_->status().hash, hash);
  EXPECT_EQ(RetriesOf(*CreateRegistry()), 12);
  Poll();
  EXPECT_EQ(source_->status().reloads, 1);
}

TEST_F(ConfigFileSourceTest, TextThatIsTakenOutIsTakenBack) {
  Write(path_, Retries(7));
  CreateSource();
  Options options;
  options.default_policy.retry.max_retries = 2;
  const auto registry = CreateRegistry(options);
  Write(path_, "# Nothing.\n");
  Poll();
  EXPECT_EQ(RetriesOf(*registry), 2);
}

TEST_F(ConfigFileSourceTest, AFileThatIsRenamedOverItComesIntoForce) {
  Write(path_, Retries(7));
  CreateSource();
  const auto registry = CreateRegistry();
  // As long and as old as the first one.
  Write(folder_ / "new", Retries(8));
  fs::last_write_time(folder_ / "new", fs::last_write_time(path_));
  fs::rename(folder_ / "new", path_);
  Poll();
  EXPECT_EQ(RetriesOf(*registry), 8);
}

// shop.yaml -> ..data/shop.yaml, ..data -> ..1, as Kubernetes has it.
TEST_F(ConfigFileSourceTest, ALinkThatIsTurnedComesIntoForce) {
  for (const int version : {1, 2}) {
    const fs::path data = folder_ / absl::StrCat("..", version);
    fs::create_directory(data);
    Write(data / "shop.yaml", Retries(version));
  }
  fs::create_directory_symlink("..1", folder_ / "..data");
  fs::create_symlink("..data/shop.yaml", path_);
  CreateSource();
  const auto registry = CreateRegistry();
  EXPECT_EQ(RetriesOf(*registry), 1);
  fs::create_directory_symlink("..2", folder_ / "..tmp");
  fs::rename(folder_ / "..tmp", folder_ / "..data");
  fs::remove_all(folder_ / "..1");
  Poll();
  EXPECT_EQ(RetriesOf(*registry), 2);
}

TEST_F(ConfigFileSourceTest, ABrokenFileKeepsOldPoliciesAndSaysSoOnce) {
  Write(path_, Retries(7));
  CreateSource();
  const auto registry = CreateRegistry();
  const std::string hash = source_->status().hash;
  Write(path_, Retries(-1));
  Poll();
  Poll();
  Poll();
  EXPECT_EQ(RetriesOf(*registry), 7);
  EXPECT_EQ(RetriesOf(*CreateRegistry()), 7);
  const std::string error =
      absl::StrCat(path_, ":1: default_policy.retry.max_retries: ");
  EXPECT_THAT(listener_->reloads, ElementsAre(StartsWith(error)));
  EXPECT_THAT(source_->status().error, StartsWith(error));
  EXPECT_EQ(source_->status().failures, 1);
  EXPECT_EQ(source_->status().hash, hash);
  Write(path_, Retries(9));
  Poll();
  EXPECT_EQ(RetriesOf(*registry), 9);
  EXPECT_EQ(source_->status().error, "");
  EXPECT_EQ(source_->status().reloads, 1);
}

TEST_F(ConfigFileSourceTest, AFileThatVanishesKeepsOldPoliciesAndSaysSo) {
  Write(path_, Retries(7));
  CreateSource();
  const auto registry = CreateRegistry();
  fs::remove(path_);
  Poll();
  Poll();
  EXPECT_EQ(RetriesOf(*registry), 7);
  EXPECT_THAT(listener_->reloads, ElementsAre(StartsWith(path_)));
  EXPECT_EQ(source_->status().failures, 1);
  Write(path_, Retries(7));
  Poll();
  EXPECT_EQ(source_->status().error, "");
  EXPECT_EQ(source_->status().reloads, 0);
}

// Root may read all files, so this is one of the other reasons that leave no
// trace in the file.
TEST_F(ConfigFileSourceTest, AFileThatBecomesReadableIsReadThoughItIsAsOld) {
  Write(path_, Retries(7));
  CreateSource();
  const auto registry = CreateRegistry();
  Write(path_, Retries(12));
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 3;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  for (int i = 0; i < 3; ++i) Poll();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(RetriesOf(*registry), 7);
  Poll();
  EXPECT_EQ(RetriesOf(*registry), 12);
  EXPECT_THAT(listener_->reloads, ElementsAre(StartsWith(path_), ""));
  EXPECT_EQ(source_->status().failures, 1);
  EXPECT_EQ(source_->status().error, "");
}

// An update with which no base_delay may be longer than 5 s.
PolicyUpdate ShortDelays(absl::Duration time_to_live) {
  PolicyUpdate update;
  update.change = [](Policy* policy) {
    return policy->retry.base_delay <= absl::Seconds(5)
               ? absl::OkStatus()
               : absl::InvalidArgumentError("retry.base_delay: too long");
  };
  update.time_to_live = time_to_live;
  return update;
}
constexpr char kLongDelays[] = "default_policy: {retry: {base_delay: 6s}}\n";

absl::Duration DelayOf(Registry& registry) {
  return registry.FindOrCreate("/p.S/M").policy()->retry.base_delay;
}

TEST_F(ConfigFileSourceTest,
       NoChannelGetsAFileThatAnotherCannotHaveUntilThatCan) {
  Write(path_, Retries(7));
  CreateSource();
  const auto free = CreateRegistry();
  const auto held = CreateRegistry();
  const absl::Duration before = DelayOf(*free);
  DelayOf(*held);
  ASSERT_TRUE(
      held->UpdatePolicy("/p.S/M", ShortDelays(absl::Seconds(18))).ok());
  Write(path_, kLongDelays);
  const std::string hash = source_->status().hash;
  for (int i = 0; i < 3; ++i) Poll();
  EXPECT_EQ(DelayOf(*free), before);
  EXPECT_EQ(DelayOf(*held), before);
  const std::string error = absl::StrCat(
      path_,
      ": channel shop: with the update of /p.S/M that is in force: "
      "retry.base_delay: too long");
  EXPECT_EQ(source_->status().error, error);
  EXPECT_EQ(source_->status().failures, 1);
  EXPECT_EQ(source_->status().hash, hash);
  Poll();
  EXPECT_EQ(DelayOf(*free), absl::Seconds(6));
  EXPECT_EQ(DelayOf(*held), absl::Seconds(6));
  EXPECT_NE(source_->status().hash, hash);
  EXPECT_EQ(source_->status().error, "");
  // Each of the two channels has told it.
  EXPECT_THAT(listener_->reloads, ElementsAre(error, error, "", ""));
}

TEST_F(ConfigFileSourceTest, NoChannelGetsAFileForWhichAnotherHasNoRoom) {
  Write(path_, Retries(7));
  CreateSource();
  const auto wide = CreateRegistry();
  Options options;
  options.max_methods = 1;
  const auto narrow = CreateRegistry(options);
  RetriesOf(*narrow);
  Write(path_, "methods: {/p.S/N: {retry: {max_retries: 1}}}\n");
  Poll();
  EXPECT_EQ(wide->Find("/p.S/N"), nullptr);
  EXPECT_THAT(source_->status().error,
              HasSubstr("channel shop: max_methods: must be at least 2"));
}

TEST_F(ConfigFileSourceTest, AChannelThatCannotHaveItAfterAllIsAskedAgain) {
  // Updates the other channel when this one has the file.
  class Meddler : public BreakerListener {
   public:
    void OnPolicyReload(const PolicyReload& /*reload*/) override {
      if (other == nullptr) return;
      std::shared_ptr<Registry> once;
      once.swap(other);
      EXPECT_TRUE(
          once->UpdatePolicy("/p.S/M", ShortDelays(absl::Seconds(12))).ok());
    }
    std::shared_ptr<Registry> other;
  };
  Write(path_, Retries(7));
  CreateSource();
  const auto meddler = std::make_shared<Meddler>();
  Options options;
  options.listeners.push_back(meddler);
  const auto first = CreateRegistry(options);
  const auto second = CreateRegistry();
  const absl::Duration before = DelayOf(*second);
  meddler->other = second;
  Write(path_, kLongDelays);
  Poll();
  EXPECT_EQ(DelayOf(*first), absl::Seconds(6));
  EXPECT_EQ(DelayOf(*second), before);
  EXPECT_EQ(source_->status().reloads, 0);
  Poll();
  Poll();
  EXPECT_THAT(source_->status().error, HasSubstr("retry.base_delay: too long"));
  EXPECT_EQ(source_->status().failures, 1);
  Poll();
  EXPECT_EQ(DelayOf(*second), absl::Seconds(6));
  EXPECT_EQ(source_->status().error, "");
  EXPECT_EQ(source_->status().reloads, 1);
  EXPECT_THAT(listener_->reloads,
              ElementsAre("", HasSubstr("retry.base_delay: too long"), ""));
}

// Which may have more methods than a channel has by default.
TEST_F(ConfigFileSourceTest, AFileIsNotMeasuredByTheMethodsOfTheApplication) {
  Write(path_, Retries(7));
  CreateSource();
  Options options;
  options.max_methods = 2000;
  for (int i = 0; i < 1500; ++i) options.methods[absl::StrCat("/p.S/M", i)];
  const auto registry = CreateRegistry(options);
  Write(path_, Retries(12));
  Poll();
  EXPECT_EQ(source_->status().error, "");
  EXPECT_EQ(registry->FindOrCreate("/p.S/M1").policy()->retry.max_retries, 12);
}

TEST_F(ConfigFileSourceTest, ASourceThatNobodyHoldsLooksNoMore) {
  Write(path_, Retries(7));
  CreateSource();
  auto registry = CreateRegistry();
  source_.reset();
  EXPECT_EQ(environment_.pending_timers(), 1);
  Write(path_, Retries(12));
  Poll();
  EXPECT_EQ(RetriesOf(*registry), 12);
  registry.reset();
  EXPECT_EQ(environment_.pending_timers(), 0);
}

}  // namespace
}  // namespace grpc_breaker
