#include "grpc_breaker/registry.h"

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"
#include "tests/environments.h"

namespace grpc_breaker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class RegistryTest : public ::testing::Test {
 protected:
  RegistryTest() {
    options_.directory = &directory_;
    options_.environment = &environment_;
    options_.default_policy.breaker.consecutive_failures = 1;
  }

  std::shared_ptr<Registry> Make() {
    absl::StatusOr<std::shared_ptr<Registry>> registry =
        Registry::Create(options_);
    EXPECT_TRUE(registry.ok()) << registry.status();
    return registry.ok() ? *registry : nullptr;
  }

  // One failure, which opens the breaker.
  void Trip(Method& method) {
    method.breaker()
        .TryAcquire(environment_.Now())
        .Record(Outcome::kFailure, environment_.Now());
  }

  static std::vector<std::string> NamesOf(const Registry& registry) {
    std::vector<std::string> names;
    for (const Method* method : registry.Methods()) {
      names.push_back(method->name());
    }
    return names;
  }

  ManualEnvironment environment_;
  Directory directory_;
  Options options_;
};

TEST_F(RegistryTest, RefusesBadOptions) {
  options_.methods["pkg.S/M"];
  EXPECT_EQ(std::string(Registry::Create(options_).status().message()),
            "methods[pkg.S/M]: must have the form /package.Service/Method");
}

TEST_F(RegistryTest, FindsTheSameEntryForTheSameName) {
  auto registry = Make();
  Method& first = registry->FindOrCreate("/pkg.S/M");
  EXPECT_EQ(first.name(), "/pkg.S/M");
  EXPECT_EQ(first.breaker().name(), "/pkg.S/M");
  // By content, not by address.
  EXPECT_EQ(&registry->FindOrCreate(std::string("/pkg.S/M")), &first);
  EXPECT_NE(&registry->FindOrCreate("/pkg.S/N"), &first);
}

TEST_F(RegistryTest, GivesEachMethodTheMostSpecificPolicy) {
  options_.services["/pkg.S/"].retry.max_retries = 7;
  options_.methods["/pkg.S/M"].retry.max_retries = 8;
  auto registry = Make();
  EXPECT_EQ(registry->FindOrCreate("/pkg.S/M").policy()->retry.max_retries, 8);
  EXPECT_EQ(registry->FindOrCreate("/pkg.S/N").policy()->retry.max_retries, 7);
  EXPECT_EQ(registry->FindOrCreate("/pkg.T/M").policy()->retry.max_retries, 3);
}

TEST_F(RegistryTest, TheBreakerFollowsThePolicyOfItsMethod) {
  options_.methods["/pkg.S/M"].breaker.consecutive_failures = 2;
  auto registry = Make();
  Method& lenient = registry->FindOrCreate("/pkg.S/M");
  Trip(lenient);
  EXPECT_EQ(lenient.breaker().Snapshot(environment_.Now()).state,
            BreakerState::kClosed);
  Trip(lenient);
  EXPECT_EQ(lenient.breaker().Snapshot(environment_.Now()).state,
            BreakerState::kOpen);
}

TEST_F(RegistryTest, MalformedNamesShareOneEntry) {
  auto registry = Make();
  Method& other = registry->FindOrCreate("no slash");
  EXPECT_EQ(other.name(), "_other");
  EXPECT_EQ(&registry->FindOrCreate(""), &other);
  EXPECT_EQ(&registry->FindOrCreate("/pkg.S/"), &other);
  EXPECT_EQ(&registry->FindOrCreate("_other"), &other);
}

TEST_F(RegistryTest, MethodsBeyondTheLimitShareTheSameEntry) {
  options_.max_methods = 2;
  options_.services["/pkg.S/"].retry.max_retries = 9;
  auto registry = Make();
  Method& a = registry->FindOrCreate("/pkg.S/A");
  Method& b = registry->FindOrCreate("/pkg.S/B");
  Method& c = registry->FindOrCreate("/pkg.S/C");
  EXPECT_EQ(c.name(), "_other");
  EXPECT_EQ(c.policy()->retry.max_retries, 3);
  EXPECT_EQ(&registry->FindOrCreate("/pkg.S/D"), &c);
  EXPECT_EQ(&registry->FindOrCreate("bad"), &c);
  EXPECT_EQ(&registry->FindOrCreate("/pkg.S/A"), &a);
  EXPECT_EQ(&registry->FindOrCreate("/pkg.S/B"), &b);
  EXPECT_THAT(NamesOf(*registry),
              ElementsAre("/pkg.S/A", "/pkg.S/B", "_other"));
}

TEST_F(RegistryTest, AMethodWithAPolicyOfItsOwnAlwaysHasItsEntry) {
  options_.max_methods = 1;
  options_.methods["/pkg.S/M"].retry.max_retries = 8;
  auto registry = Make();
  EXPECT_EQ(registry->FindOrCreate("/pkg.S/A").name(), "_other");
  EXPECT_EQ(registry->FindOrCreate("/pkg.S/M").name(), "/pkg.S/M");
}

TEST_F(RegistryTest, FindSeesWhatWasCalledOrHasAPolicyAndMakesNothing) {
  options_.methods["/pkg.S/M"];
  auto registry = Make();
  EXPECT_NE(registry->Find("/pkg.S/M"), nullptr);
  EXPECT_EQ(registry->Find("/pkg.S/N"), nullptr);
  EXPECT_EQ(registry->Find("_other"), nullptr);
  EXPECT_THAT(NamesOf(*registry), ElementsAre("/pkg.S/M"));

  const Method& seen = registry->FindOrCreate("/pkg.S/N");
  const Method& other = registry->FindOrCreate("bad");
  EXPECT_EQ(registry->Find("/pkg.S/N"), &seen);
  EXPECT_EQ(registry->Find("_other"), &other);
  EXPECT_THAT(NamesOf(*registry),
              ElementsAre("/pkg.S/M", "/pkg.S/N", "_other"));
}

TEST_F(RegistryTest, AThousandMethodsAreAllFoundAgain) {
  options_.max_methods = 1000;
  auto registry = Make();
  std::vector<Method*> methods;
  for (int i = 0; i < 1000; ++i) {
    methods.push_back(&registry->FindOrCreate(absl::StrCat("/pkg.S/M", i)));
    EXPECT_EQ(methods.back()->name(), absl::StrCat("/pkg.S/M", i));
  }
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(&registry->FindOrCreate(absl::StrCat("/pkg.S/M", i)), methods[i]);
  }
  EXPECT_EQ(registry->Methods().size(), 1000u);
}

TEST_F(RegistryTest, ThreadsThatRaceForOneNameGetOneEntry) {
  constexpr int kThreads = 8;
  constexpr int kNames = 200;
  options_.max_methods = kNames / 2;
  auto registry = Make();
  std::vector<std::vector<Method*>> found(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&registry, &mine = found[t]] {
      for (int i = 0; i < kNames; ++i) {
        mine.push_back(&registry->FindOrCreate(absl::StrCat("/pkg.S/M", i)));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(registry->Methods().size(), size_t{kNames / 2 + 1});
  for (int t = 0; t < kThreads; ++t) {
    for (int i = 0; i < kNames; ++i) {
      // Who found "_other" early on finds it later, too: the table is full.
      if (found[t][i]->name() == "_other") continue;
      EXPECT_EQ(found[t][i],
                &registry->FindOrCreate(absl::StrCat("/pkg.S/M", i)));
    }
  }
}

TEST_F(RegistryTest, APolicyDoesNotImplyThatCallsMayBeRepeated) {
  options_.services["/pkg.S/"].idempotency = Idempotency::kRepeatable;
  options_.methods["/pkg.T/M"].idempotency = Idempotency::kRepeatable;
  options_.methods["/pkg.S/N"].timeout = absl::Seconds(1);
  options_.methods["/pkg.T/N"].retry.max_retries = 5;
  auto registry = Make();
  EXPECT_TRUE(registry->FindOrCreate("/pkg.S/M").repeatable());
  EXPECT_TRUE(registry->FindOrCreate("/pkg.T/M").repeatable());
  EXPECT_FALSE(registry->FindOrCreate("/pkg.S/N").repeatable());
  EXPECT_FALSE(registry->FindOrCreate("/pkg.T/N").repeatable());
  EXPECT_FALSE(registry->FindOrCreate("/pkg.U/M").repeatable());
  EXPECT_FALSE(registry->FindOrCreate("_other").repeatable());
}

TEST_F(RegistryTest, TheDefaultPolicyMayGiveThatWordForAllMethods) {
  options_.default_policy.idempotency = Idempotency::kRepeatable;
  auto registry = Make();
  EXPECT_TRUE(registry->FindOrCreate("/pkg.U/M").repeatable());
  EXPECT_TRUE(registry->FindOrCreate("_other").repeatable());
}

TEST_F(RegistryTest, AllMethodsShareTheBudgetOfTheChannel) {
  EXPECT_EQ(Make()->FindOrCreate("/pkg.S/M").retry_budget(), nullptr);
  options_.retry_budget.max_tokens = 10;
  auto registry = Make();
  RetryBudget* budget = registry->FindOrCreate("/pkg.S/M").retry_budget();
  ASSERT_NE(budget, nullptr);
  EXPECT_EQ(registry->FindOrCreate("/pkg.S/N").retry_budget(), budget);
  EXPECT_EQ(budget->tokens(), 10);
}

TEST_F(RegistryTest, ARatioAloneIsABudgetAsWell) {
  options_.retry_budget.ratio = 0.2;
  EXPECT_NE(Make()->FindOrCreate("/pkg.S/M").retry_budget(), nullptr);
}

class SharedBudgetTest : public RegistryTest {
 protected:
  SharedBudgetTest() {
    options_.retry_budget.max_tokens = 10;
    options_.server_name = "shop:443";
  }

  static RetryBudget& BudgetOf(Registry& registry) {
    return *registry.FindOrCreate("/pkg.S/M").retry_budget();
  }
};

TEST_F(SharedBudgetTest, RegistriesOfOneServerNameShareABudget) {
  auto a = Make();
  auto b = Make();
  BudgetOf(*a).RecordFailure();
  EXPECT_EQ(&BudgetOf(*a), &BudgetOf(*b));
  EXPECT_EQ(BudgetOf(*b).tokens(), 9);
}

TEST_F(SharedBudgetTest, OtherNamesAndNoNameHaveOthers) {
  auto a = Make();
  options_.server_name = "shop:80";
  auto b = Make();
  EXPECT_NE(&BudgetOf(*a), &BudgetOf(*b));
  options_.server_name = "";
  auto c = Make();
  auto d = Make();
  EXPECT_NE(&BudgetOf(*c), &BudgetOf(*d));
}

TEST_F(SharedBudgetTest, AChannelMayHaveOneOfItsOwn) {
  auto a = Make();
  options_.retry_budget.per_channel = true;
  auto b = Make();
  EXPECT_NE(&BudgetOf(*a), &BudgetOf(*b));
}

TEST_F(SharedBudgetTest, AnotherEnvironmentHasAnother) {
  auto a = Make();
  ManualEnvironment other;
  options_.environment = &other;
  auto b = Make();
  EXPECT_NE(&BudgetOf(*a), &BudgetOf(*b));
}

// As gRPC does when a name gets another service config.
TEST_F(SharedBudgetTest, TheNewestOptionsHoldForAll) {
  auto a = Make();
  BudgetOf(*a).RecordFailure();
  options_.retry_budget.max_tokens = 100;
  auto b = Make();
  EXPECT_EQ(BudgetOf(*a).tokens(), 90);
  EXPECT_EQ(BudgetOf(*a).options(), options_.retry_budget);
  EXPECT_EQ(a->retry_budget_options().max_tokens, 10);
}

TEST_F(SharedBudgetTest, ABudgetGoesWithTheLastOfItsRegistries) {
  auto a = Make();
  auto b = Make();
  BudgetOf(*a).RecordFailure();
  a.reset();
  EXPECT_EQ(BudgetOf(*b).tokens(), 9);
  b.reset();
  EXPECT_EQ(BudgetOf(*Make()).tokens(), 10);
}

TEST_F(RegistryTest, RemembersTheLastErrorOfAMethod) {
  auto registry = Make();
  Method& method = registry->FindOrCreate("/pkg.S/M");
  EXPECT_FALSE(method.last_error().has_value());
  method.RecordError({grpc::StatusCode::ABORTED, "first", {}, {}});
  method.RecordError({grpc::StatusCode::UNAVAILABLE, "second", {}, {}});
  ASSERT_TRUE(method.last_error().has_value());
  EXPECT_EQ(method.last_error()->code, grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(method.last_error()->message, "second");
}

// Calls a function for each transition.
class OnEachTransition : public DirectoryListener {
 public:
  using Function = std::function<void(const Registry&, const Method&)>;
  explicit OnEachTransition(Function function)
      : function_(std::move(function)) {}
  void OnTransition(const Registry& registry, const Method& method,
                    const BreakerTransition&) override {
    function_(registry, method);
  }

 private:
  const Function function_;
};

// Notes each transition as "<who> <method> <to>".
class Notes : public BreakerListener {
 public:
  Notes(std::string who, std::vector<std::string>* notes)
      : who_(std::move(who)), notes_(notes) {}
  void OnTransition(const BreakerTransition& transition) override {
    notes_->push_back(absl::StrCat(who_, " ", transition.breaker, " ",
                                   std::string(ToString(transition.to))));
  }

 private:
  const std::string who_;
  std::vector<std::string>* const notes_;
};

TEST_F(RegistryTest, TellsListenersInTheirOrderAndThenSubscribers) {
  std::vector<std::string> notes;
  options_.listeners = {std::make_shared<Notes>("first", &notes),
                        std::make_shared<Notes>("second", &notes)};
  options_.channel_name = "backend";
  auto registry = Make();
  OnEachTransition listener([&](const Registry& from, const Method& method) {
    notes.push_back(absl::StrCat(from.channel_name(), " ", method.name()));
  });
  auto subscription = directory_.Subscribe(listener);
  Trip(registry->FindOrCreate("/pkg.S/M"));
  EXPECT_THAT(notes, ElementsAre("first /pkg.S/M OPEN", "second /pkg.S/M OPEN",
                                 "backend /pkg.S/M"));
}

TEST_F(RegistryTest, ListenersHearEveryKindOfEventAndOfWhichChannel) {
  struct Kinds : BreakerListener {
    void OnTransition(const BreakerTransition& e) override {
      kinds.insert(absl::StrCat("transition in ", e.channel));
    }
    void OnRejections(const BreakerRejections& e) override {
      kinds.insert(absl::StrCat("rejections in ", e.channel));
    }
    void OnSlowCall(const BreakerSlowCall& e) override {
      kinds.insert(absl::StrCat("slow in ", e.channel));
      // More than can wait.
      for (; more_slow_calls > 0; --more_slow_calls) slow_call();
    }
    void OnThreshold(const BreakerThreshold& e) override {
      kinds.insert(absl::StrCat("threshold in ", e.channel));
    }
    void OnEventsDropped(const BreakerEventsDropped& e) override {
      kinds.insert(absl::StrCat("dropped in ", e.channel));
    }
    std::set<std::string> kinds;
    std::function<void()> slow_call;
    int more_slow_calls = 300;
  };
  auto listener = std::make_shared<Kinds>();
  options_.channel_name = "backend";
  auto first_of_the_name = Make();
  options_.listeners = {listener};
  options_.default_policy.breaker.slow_call = absl::Seconds(1);
  auto registry = Make();
  CircuitBreaker& breaker = registry->FindOrCreate("/pkg.S/M").breaker();
  listener->slow_call = [&] {
    breaker.TryAcquire(environment_.Now())
        .Record(Outcome::kSuccess,
                TimeAfter(environment_.Now(), absl::Seconds(2)));
  };
  listener->slow_call();
  Trip(registry->FindOrCreate("/pkg.S/M"));
  EXPECT_FALSE(breaker.TryAcquire(environment_.Now()).admitted());
  EXPECT_THAT(listener->kinds,
              ElementsAre("dropped in backend#2", "rejections in backend#2",
                          "slow in backend#2", "threshold in backend#2",
                          "transition in backend#2"));
}

TEST_F(RegistryTest, AListenerThatThrowsKeepsNoOtherFromHearing) {
  struct Throwing : BreakerListener {
    void OnTransition(const BreakerTransition&) override {
      throw std::runtime_error("log disk full");
    }
  };
  std::vector<std::string> notes;
  options_.listeners = {std::make_shared<Throwing>(),
                        std::make_shared<Notes>("second", &notes)};
  auto registry = Make();
  OnEachTransition broken([](const Registry&, const Method&) {
    throw std::runtime_error("so is this one");
  });
  OnEachTransition well([&](const Registry&, const Method& method) {
    notes.push_back(absl::StrCat("directory ", method.name()));
  });
  auto broken_subscription = directory_.Subscribe(broken);
  auto subscription = directory_.Subscribe(well);
  Method& method = registry->FindOrCreate("/pkg.S/M");
  Trip(method);
  method.breaker().Reset("", "", environment_.Now());
  EXPECT_THAT(notes,
              ElementsAre("second /pkg.S/M OPEN", "directory /pkg.S/M",
                          "second /pkg.S/M CLOSED", "directory /pkg.S/M"));
  EXPECT_EQ(method.breaker().Snapshot(environment_.Now()).events_failed, 2u);
  broken_subscription.reset();  // Nothing of it is left running.
}

TEST_F(RegistryTest, AFailureOfADirectorysListenerIsCountedAsWell) {
  auto registry = Make();
  OnEachTransition broken(
      [](const Registry&, const Method&) { throw std::runtime_error(""); });
  auto subscription = directory_.Subscribe(broken);
  Method& method = registry->FindOrCreate("/pkg.S/M");
  Trip(method);
  EXPECT_EQ(method.breaker().Snapshot(environment_.Now()).events_failed, 1u);
}

// The event comes on a thread that no call holds the registry for.
TEST_F(RegistryTest, AListenerMayDropTheLastReferenceToTheRegistry) {
  struct Dropping : BreakerListener {
    void OnTransition(const BreakerTransition& transition) override {
      if (transition.to == BreakerState::kClosed) registry.reset();
    }
    std::shared_ptr<Registry> registry;
  };
  std::vector<std::string> notes;
  auto dropping = std::make_shared<Dropping>();
  options_.listeners = {dropping, std::make_shared<Notes>("next", &notes)};
  dropping->registry = Make();
  const std::weak_ptr<Registry> registry = dropping->registry;
  ASSERT_TRUE(
      dropping->registry->FindOrCreate("/pkg.S/M")
          .breaker()
          .SetManualState({BreakerState::kForcedOpen, "", "", absl::Seconds(1)},
                          environment_.Now())
          .ok());
  environment_.Advance(absl::Seconds(1));
  EXPECT_EQ(registry.lock(), nullptr);
  EXPECT_THAT(notes,
              ElementsAre("next /pkg.S/M FORCED_OPEN", "next /pkg.S/M CLOSED"));
}

TEST_F(RegistryTest, AListenerMayUseTheRegistry) {
  struct Nosy : BreakerListener {
    void OnTransition(const BreakerTransition&) override {
      method = &registry->FindOrCreate("/pkg.S/New");
      count = registry->Methods().size();
    }
    Registry* registry = nullptr;
    Method* method = nullptr;
    size_t count = 0;
  };
  auto nosy = std::make_shared<Nosy>();
  options_.listeners = {nosy};
  auto registry = Make();
  nosy->registry = registry.get();
  Trip(registry->FindOrCreate("/pkg.S/M"));
  EXPECT_EQ(nosy->count, 2u);
  EXPECT_EQ(nosy->method, registry->Find("/pkg.S/New"));
}

TEST_F(RegistryTest, TheDirectoryListsTheLivingInOrder) {
  options_.channel_name = "b";
  auto b = Make();
  options_.channel_name = "a";
  auto a = Make();
  EXPECT_THAT(directory_.Registries(), ElementsAre(b, a));
  b.reset();
  EXPECT_THAT(directory_.Registries(), ElementsAre(a));
}

TEST_F(RegistryTest, StaysOutOfSightWithoutADirectory) {
  options_.directory = nullptr;
  auto registry = Make();
  EXPECT_THAT(directory_.Registries(), IsEmpty());
  Trip(registry->FindOrCreate("/pkg.S/M"));
}

TEST_F(RegistryTest, NamesOfChannelsAreUniqueInADirectory) {
  options_.channel_name = "backend";
  auto first = Make();
  auto second = Make();
  auto third = Make();
  EXPECT_EQ(first->channel_name(), "backend");
  EXPECT_EQ(second->channel_name(), "backend#2");
  EXPECT_EQ(third->channel_name(), "backend#3");
  second.reset();
  EXPECT_EQ(Make()->channel_name(), "backend#2");
}

TEST_F(RegistryTest, ANumberThatSomebodyAskedForIsNotGivenTwice) {
  options_.channel_name = "backend#2";
  auto literally = Make();
  options_.channel_name = "backend";
  auto first = Make();
  auto second = Make();
  EXPECT_EQ(literally->channel_name(), "backend#2");
  EXPECT_EQ(second->channel_name(), "backend#3");
  options_.channel_name = "backend#3";
  EXPECT_EQ(Make()->channel_name(), "backend#3#2");
  second.reset();
  EXPECT_EQ(Make()->channel_name(), "backend#3");
}

TEST_F(RegistryTest, TheSmallestFreeNumberIsGivenFirst) {
  options_.channel_name = "backend";
  std::vector<std::shared_ptr<Registry>> channels;
  for (int i = 0; i < 9; ++i) channels.push_back(Make());
  channels[6].reset();  // "backend#7"
  channels[3].reset();  // "backend#4"
  auto a = Make();
  auto b = Make();
  auto c = Make();
  EXPECT_EQ(a->channel_name(), "backend#4");
  EXPECT_EQ(b->channel_name(), "backend#7");
  EXPECT_EQ(c->channel_name(), "backend#10");
  channels.clear();
  a.reset();
  b.reset();
  c.reset();
  EXPECT_EQ(Make()->channel_name(), "backend");
  auto again = Make();
  EXPECT_EQ(Make()->channel_name(), "backend#2");
}

TEST_F(RegistryTest, TheDirectoryFindsRegistriesByNameFromAnyPlaceOn) {
  const auto names = [this](const std::string& from, size_t at_most) {
    std::vector<std::string> names;
    for (const auto& registry : directory_.RegistriesFrom(from, at_most)) {
      names.push_back(registry->channel_name());
    }
    return names;
  };
  std::vector<std::shared_ptr<Registry>> channels;
  for (const char* name : {"d", "b", "a", "c"}) {
    options_.channel_name = name;
    channels.push_back(Make());
  }
  EXPECT_THAT(names("", 10), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(names("b", 2), ElementsAre("b", "c"));
  EXPECT_THAT(names("bb", 2), ElementsAre("c", "d"));
  channels[3].reset();
  EXPECT_THAT(names("bb", 2), ElementsAre("d"));
  EXPECT_THAT(names("e", 2), IsEmpty());
}

TEST_F(RegistryTest, FindsMethodsByNameFromAnyPlaceOn) {
  auto registry = Make();
  const auto names = [&](const std::string& from, size_t at_most) {
    std::vector<std::string> names;
    for (const Method* method : registry->MethodsFrom(from, at_most)) {
      names.push_back(method->name());
    }
    return names;
  };
  for (const char* name : {"/pkg.S/C", "malformed", "/pkg.S/A"}) {
    registry->FindOrCreate(name);
  }
  EXPECT_THAT(names("", 10), ElementsAre("/pkg.S/A", "/pkg.S/C", "_other"));
  EXPECT_THAT(names("/pkg.S/A", 1), ElementsAre("/pkg.S/A"));
  EXPECT_THAT(names("/pkg.S/B", 1), ElementsAre("/pkg.S/C"));
  registry->FindOrCreate("/pkg.S/B");
  EXPECT_THAT(names("/pkg.S/B", 1), ElementsAre("/pkg.S/B"));
  EXPECT_THAT(names("_other\n", 1), IsEmpty());
}

TEST_F(RegistryTest, VisitsAllMethodsThatThereAre) {
  auto registry = Make();
  const auto names = [&] {
    std::vector<std::string> names;
    registry->ForEachMethod(
        [&](const Method& method) { names.push_back(method.name()); });
    return names;
  };
  EXPECT_THAT(names(), IsEmpty());
  for (const char* name : {"/pkg.S/B", "/pkg.S/A", "/pkg.S/B"}) {
    registry->FindOrCreate(name);
  }
  EXPECT_THAT(names(), UnorderedElementsAre("/pkg.S/A", "/pkg.S/B"));
  registry->FindOrCreate("malformed");
  EXPECT_THAT(names(), UnorderedElementsAre("/pkg.S/A", "/pkg.S/B", "_other"));
}

TEST_F(RegistryTest, VisitsMethodsWhileOthersCome) {
  options_.max_methods = 10000;
  auto registry = Make();
  for (int i = 0; i < 100; ++i) {
    registry->FindOrCreate(absl::StrCat("/pkg.S/Old", i));
  }
  std::thread calls([&] {
    for (int i = 0; i < 5000; ++i) {
      registry->FindOrCreate(absl::StrCat("/pkg.S/New", i));
    }
  });
  for (int i = 0; i < 50; ++i) {
    int old = 0;
    registry->ForEachMethod([&](const Method& method) {
      old += absl::StrContains(method.name(), "Old") ? 1 : 0;
    });
    EXPECT_EQ(old, 100);
  }
  calls.join();
}

TEST_F(RegistryTest, AChannelWithoutANameIsCalledChannel) {
  EXPECT_EQ(Make()->channel_name(), "channel");
}

TEST_F(RegistryTest, MayOutliveItsDirectory) {
  auto directory = std::make_unique<Directory>();
  options_.directory = directory.get();
  auto registry = Make();
  DirectoryListener listener;
  auto subscription = directory->Subscribe(listener);
  directory.reset();
  Trip(registry->FindOrCreate("/pkg.S/M"));
  registry.reset();
  subscription.reset();
}

TEST_F(RegistryTest, ASubscriptionEndsWithItsHandle) {
  auto registry = Make();
  int calls = 0;
  OnEachTransition listener([&](const Registry&, const Method&) { ++calls; });
  auto subscription = directory_.Subscribe(listener);
  Trip(registry->FindOrCreate("/pkg.S/A"));
  EXPECT_EQ(calls, 1);
  subscription.reset();
  Trip(registry->FindOrCreate("/pkg.S/B"));
  EXPECT_EQ(calls, 1);
}

TEST_F(RegistryTest, ASubscriptionMayBeEndedFromInside) {
  auto registry = Make();
  int calls = 0;
  std::unique_ptr<Directory::Subscription> subscription;
  OnEachTransition listener([&](const Registry&, const Method&) {
    ++calls;
    subscription.reset();
  });
  subscription = directory_.Subscribe(listener);
  Trip(registry->FindOrCreate("/pkg.S/A"));
  Trip(registry->FindOrCreate("/pkg.S/B"));
  EXPECT_EQ(calls, 1);
}

TEST_F(RegistryTest, ASubscriptionMayBeEndedFromInsideANestedRun) {
  auto registry = Make();
  int calls = 0;
  std::unique_ptr<Directory::Subscription> subscription;
  OnEachTransition listener([&](const Registry&, const Method&) {
    if (++calls == 1) {
      Trip(registry->FindOrCreate("/pkg.S/B"));
    } else {
      subscription.reset();
    }
  });
  subscription = directory_.Subscribe(listener);
  Trip(registry->FindOrCreate("/pkg.S/A"));
  EXPECT_EQ(calls, 2);
}

TEST_F(RegistryTest, EndingASubscriptionWaitsForItsFunctionOnOtherThreads) {
  auto registry = Make();
  absl::Notification running;
  absl::Notification go_on;
  std::atomic<bool> done{false};
  OnEachTransition listener([&](const Registry&, const Method&) {
    running.Notify();
    go_on.WaitForNotification();
    done = true;
  });
  auto subscription = directory_.Subscribe(listener);
  std::thread thread([&] { Trip(registry->FindOrCreate("/pkg.S/A")); });
  running.WaitForNotification();
  std::thread releaser([&] { go_on.Notify(); });
  subscription.reset();
  EXPECT_TRUE(done);
  thread.join();
  releaser.join();
}

TEST_F(RegistryTest, TheDirectoryTellsOfMethodsAndRegistriesThatComeAndGo) {
  struct Listener : DirectoryListener {
    void OnMethodAdded(const Registry& registry,
                       const Method& method) override {
      notes.push_back(
          absl::StrCat("+", registry.channel_name(), " ", method.name()));
    }
    void OnRegistryRemoved(const Registry& registry) override {
      notes.push_back(absl::StrCat("-", registry.channel_name()));
    }
    std::vector<std::string> notes;
  };
  Listener listener;
  auto subscription = directory_.Subscribe(listener);
  options_.channel_name = "backend";
  options_.methods["/pkg.S/M"];
  auto registry = Make();
  registry->FindOrCreate("/pkg.S/N");
  registry->FindOrCreate("/pkg.S/N");
  registry->FindOrCreate("bad");
  registry->FindOrCreate("worse");
  registry.reset();
  EXPECT_THAT(listener.notes,
              ElementsAre("+backend /pkg.S/M", "+backend /pkg.S/N",
                          "+backend _other", "-backend"));
}

TEST_F(RegistryTest, MethodsLiveWhileACallHoldsTheRegistry) {
  auto registry = Make();
  Method& method = registry->FindOrCreate("/pkg.S/M");
  CircuitBreaker::Permit permit =
      method.breaker().TryAcquire(environment_.Now());
  std::shared_ptr<Registry> call = registry->shared_from_this();
  registry.reset();
  permit.Record(Outcome::kFailure, environment_.Now());
  EXPECT_EQ(method.breaker().Snapshot(environment_.Now()).state,
            BreakerState::kOpen);
}

// As a hedge that lost, or whoever collects metrics, may hold it last.
TEST(RegistryLifetimeTest, DoesNotUseAnEnvironmentThatItOutlives) {
  ForbiddenEnvironment environment;
  Directory directory;
  Options options;
  options.environment = &environment;
  options.directory = &directory;
  options.retry_budget.max_tokens = 10;
  auto registry = *Registry::Create(std::move(options));
  Method& method = registry->FindOrCreate("/pkg.S/M");
  PolicyUpdate update;
  update.change = [](Policy* policy) {
    policy->retry.max_retries = 7;
    return absl::OkStatus();
  };
  update.time_to_live = absl::Seconds(9);
  ASSERT_TRUE(registry->UpdatePolicy("/pkg.S/M", update).ok());
  ASSERT_TRUE(
      method.breaker()
          .SetManualState({BreakerState::kForcedOpen, "", "", absl::Seconds(9)})
          .ok());

  environment.Forbid(true);
  registry.reset();
  EXPECT_EQ(environment.forbidden_uses(), 0);
  // What it has left there does nothing.
  environment.Advance(absl::Seconds(9));
  EXPECT_EQ(environment.forbidden_uses(), 0);
}

TEST(OptionsTest, NameTheDefaultDirectoryAndEnvironment) {
  const Options options;
  EXPECT_EQ(options.directory, &Directory::Default());
  EXPECT_EQ(options.environment, &Environment::Default());
}

}  // namespace
}  // namespace grpc_breaker
