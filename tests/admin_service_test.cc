#include "grpc_breaker/admin_service.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/admin_fixture.h"
#include "tests/environments.h"

namespace grpc_breaker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using admin::v1::Breaker;

class AdminServiceTest : public AdminFixture {
 protected:
  AdminServiceTest() { Serve(); }

  grpc::Status List(const admin::v1::ListBreakersRequest& request,
                    admin::v1::ListBreakersResponse* response) {
    grpc::ClientContext context;
    GiveUpLater(&context);
    return stub_->ListBreakers(&context, request, response);
  }

  // "channel method" of each breaker on the page.
  std::vector<std::string> ListNames(
      const admin::v1::ListBreakersRequest& request = {},
      std::string* next_page_token = nullptr) {
    admin::v1::ListBreakersResponse response;
    const grpc::Status status = List(request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::vector<std::string> names;
    for (const Breaker& breaker : response.breakers()) {
      names.push_back(absl::StrCat(breaker.channel(), " ", breaker.method()));
    }
    if (next_page_token != nullptr) {
      *next_page_token = response.next_page_token();
    } else {
      EXPECT_EQ(response.next_page_token(), "");
    }
    return names;
  }

  void ExpectInvalid(const admin::v1::ListBreakersRequest& request,
                     const std::string& message) {
    admin::v1::ListBreakersResponse response;
    const grpc::Status status = List(request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(status.error_message(), message);
  }

  grpc::Status Get(const std::string& method, const std::string& channel,
                   Breaker* breaker) {
    grpc::ClientContext context;
    GiveUpLater(&context);
    admin::v1::GetBreakerRequest request;
    request.set_method(method);
    request.set_channel(channel);
    return stub_->GetBreaker(&context, request, breaker);
  }
};

TEST_F(AdminServiceTest, ListsNothingWhereThereIsNothing) {
  EXPECT_THAT(ListNames(), IsEmpty());
}

TEST_F(AdminServiceTest, ListsByChannelAndThenMethod) {
  auto b = MakeChannel("b");
  auto a = MakeChannel("a");
  b->FindOrCreate("/pkg.S/M");
  a->FindOrCreate("/pkg.S/N");
  a->FindOrCreate("/pkg.S/M");
  a->FindOrCreate("malformed");
  EXPECT_THAT(ListNames(), ElementsAre("a /pkg.S/M", "a /pkg.S/N", "a _other",
                                       "b /pkg.S/M"));
}

TEST_F(AdminServiceTest, FiltersByMethodChannelAndState) {
  auto a = MakeChannel("a");
  auto b = MakeChannel("b");
  a->FindOrCreate("/pkg.S/M");
  Open(a->FindOrCreate("/pkg.T/M"));
  Open(b->FindOrCreate("/pkg.S/M"));
  a->FindOrCreate("malformed");

  admin::v1::ListBreakersRequest request;
  request.mutable_filter()->set_method_prefix("/pkg.S");
  EXPECT_THAT(ListNames(request), ElementsAre("a /pkg.S/M", "b /pkg.S/M"));
  request.mutable_filter()->add_states(admin::v1::STATE_OPEN);
  EXPECT_THAT(ListNames(request), ElementsAre("b /pkg.S/M"));
  request.mutable_filter()->add_states(admin::v1::STATE_CLOSED);
  EXPECT_THAT(ListNames(request), ElementsAre("a /pkg.S/M", "b /pkg.S/M"));
  request.mutable_filter()->set_channel("a");
  EXPECT_THAT(ListNames(request), ElementsAre("a /pkg.S/M"));
  request.mutable_filter()->set_method_prefix("_other");
  EXPECT_THAT(ListNames(request), ElementsAre("a _other"));
  request.mutable_filter()->set_channel("no such channel");
  EXPECT_THAT(ListNames(request), IsEmpty());
}

TEST_F(AdminServiceTest, PagesShowEveryBreakerOnce) {
  std::set<std::string> expected;
  std::vector<std::shared_ptr<Registry>> channels;
  for (int c = 0; c < 3; ++c) {
    channels.push_back(MakeChannel(absl::StrCat("channel ", c)));
    for (int m = 0; m < 7; ++m) {
      channels.back()->FindOrCreate(absl::StrCat("/pkg.S/M", m));
      expected.insert(absl::StrCat("channel ", c, " /pkg.S/M", m));
    }
  }
  for (const int size : {1, 2, 7, 20, 21, 22}) {
    std::vector<std::string> all;
    admin::v1::ListBreakersRequest request;
    request.set_page_size(size);
    do {
      std::string token;
      const std::vector<std::string> page = ListNames(request, &token);
      EXPECT_LE(page.size(), static_cast<size_t>(size));
      all.insert(all.end(), page.begin(), page.end());
      request.set_page_token(token);
    } while (!request.page_token().empty());
    EXPECT_EQ(all.size(), 21u) << size;
    EXPECT_EQ(std::set<std::string>(all.begin(), all.end()), expected) << size;
  }
}

TEST_F(AdminServiceTest, APageTokenStaysGoodWhileBreakersComeAndGo) {
  auto a = MakeChannel("a");
  auto b = MakeChannel("b");
  auto c = MakeChannel("c");
  b->FindOrCreate("/pkg.S/M");
  b->FindOrCreate("/pkg.S/P");
  c->FindOrCreate("/pkg.S/M");
  admin::v1::ListBreakersRequest request;
  request.set_page_size(1);
  std::string token;
  EXPECT_THAT(ListNames(request, &token), ElementsAre("b /pkg.S/M"));
  request.set_page_token(token);

  a->FindOrCreate("/pkg.S/M");  // Before the page: not seen.
  b->FindOrCreate("/pkg.S/N");  // After it: seen.
  EXPECT_THAT(ListNames(request, &token), ElementsAre("b /pkg.S/N"));
  request.set_page_token(token);
  b.reset();  // The token's own breaker is gone.
  EXPECT_THAT(ListNames(request, &token), ElementsAre("c /pkg.S/M"));
}

TEST_F(AdminServiceTest, PagesHaveAHundredBreakersByDefaultAndAThousandAtMost) {
  Options options;
  options.max_methods = 1200;
  auto channel = MakeChannel("a", options);
  for (int i = 0; i < 1200; ++i)
    channel->FindOrCreate(absl::StrCat("/pkg.S/M", i));
  std::string token;
  EXPECT_EQ(ListNames({}, &token).size(), 100u);
  admin::v1::ListBreakersRequest request;
  request.set_page_size(100000);
  EXPECT_EQ(ListNames(request, &token).size(), 1000u);
}

TEST_F(AdminServiceTest, APageLooksAtNoMoreBreakersThanItShowsAndOneMore) {
  CountingEnvironment counting;
  Options options;
  options.channel_name = "a";
  options.directory = &directory_;
  options.environment = &counting;
  auto channel = *Registry::Create(options);
  for (int i = 100; i < 600; ++i)
    channel->FindOrCreate(absl::StrCat("/pkg.S/M", i));
  admin::v1::ListBreakersRequest request;
  request.set_page_size(10);
  const auto next_page = [&] {
    const int messages_before = counting.wall_clock_reads();
    const int looks_before = counting.clock_reads();
    std::string token;
    const std::vector<std::string> page = ListNames(request, &token);
    EXPECT_EQ(counting.wall_clock_reads() - messages_before, 10);
    EXPECT_LE(counting.clock_reads() - looks_before, 11);
    request.set_page_token(token);
    return page.empty() ? "" : page.front();
  };
  EXPECT_EQ(next_page(), "a /pkg.S/M100");
  EXPECT_EQ(next_page(), "a /pkg.S/M110");
  request.mutable_filter()->set_method_prefix("/pkg.S/M4");
  EXPECT_EQ(next_page(), "a /pkg.S/M400");
  request.mutable_filter()->set_channel("a");
  EXPECT_EQ(next_page(), "a /pkg.S/M410");
}

TEST_F(AdminServiceTest, BuildsNoMessageForABreakerInAnotherState) {
  CountingEnvironment counting;
  Options options;
  options.channel_name = "a";
  options.directory = &directory_;
  options.environment = &counting;
  options.default_policy.breaker.consecutive_failures = 1;
  auto channel = *Registry::Create(options);
  for (int i = 0; i < 300; ++i)
    channel->FindOrCreate(absl::StrCat("/pkg.S/M", i));
  channel->FindOrCreate("/pkg.S/M7")
      .breaker()
      .TryAcquire(counting.Now())
      .Record(Outcome::kFailure, counting.Now());
  admin::v1::ListBreakersRequest request;
  request.mutable_filter()->add_states(admin::v1::STATE_OPEN);
  const int before = counting.wall_clock_reads();
  EXPECT_THAT(ListNames(request), ElementsAre("a /pkg.S/M7"));
  EXPECT_EQ(counting.wall_clock_reads() - before, 1);
}

TEST_F(AdminServiceTest, APageThatFindsNothingForLongEndsAndGoesOnWithTheNext) {
  Options options;
  options.max_methods = 10050;
  auto channel = MakeChannel("a", options);
  for (int i = 10000; i < 20020; ++i) {
    channel->FindOrCreate(absl::StrCat("/pkg.S/M", i));
  }
  Open(channel->FindOrCreate("/pkg.S/M10005"));
  Open(channel->FindOrCreate("/pkg.S/M20010"));
  admin::v1::ListBreakersRequest request;
  request.mutable_filter()->add_states(admin::v1::STATE_OPEN);
  std::string token;
  EXPECT_THAT(ListNames(request, &token), ElementsAre("a /pkg.S/M10005"));
  ASSERT_NE(token, "");
  request.set_page_token(token);
  EXPECT_THAT(ListNames(request), ElementsAre("a /pkg.S/M20010"));
}

TEST_F(AdminServiceTest, PagesOfManyChannelsShowEveryBreakerOnce) {
  std::vector<std::shared_ptr<Registry>> channels;
  for (int c = 0; c < 250; ++c) {
    channels.push_back(MakeChannel(absl::StrCat("channel ", c)));
    channels.back()->FindOrCreate("/pkg.S/A");
    channels.back()->FindOrCreate("/pkg.S/B");
  }
  std::set<std::string> all;
  size_t listed = 0;
  admin::v1::ListBreakersRequest request;
  request.set_page_size(99);
  do {
    std::string token;
    for (const std::string& name : ListNames(request, &token)) {
      all.insert(name);
      ++listed;
    }
    request.set_page_token(token);
  } while (!request.page_token().empty());
  EXPECT_EQ(listed, 500u);
  EXPECT_EQ(all.size(), 500u);
}

TEST_F(AdminServiceTest, NamesFieldAndValueOfABadListRequest) {
  admin::v1::ListBreakersRequest request;
  request.set_page_size(-1);
  ExpectInvalid(request, "page_size: must be at least 0, got -1");

  request.Clear();
  request.set_page_token("not a token");
  ExpectInvalid(request,
                "page_token: must be one that ListBreakers gave out, got "
                "\"not a token\"");
  request.set_page_token("AAAA!");
  ExpectInvalid(request,
                "page_token: must be one that ListBreakers gave out, got "
                "\"AAAA!\"");

  request.Clear();
  request.mutable_filter()->set_method_prefix("pkg.S");
  ExpectInvalid(request,
                "filter.method_prefix: must be the beginning of "
                "/package.Service/Method, or _other, got \"pkg.S\"");

  request.Clear();
  request.mutable_filter()->add_states(static_cast<admin::v1::State>(99));
  ExpectInvalid(request,
                "filter.states: must be states that there are, got 99");
  request.mutable_filter()->clear_states();
  request.mutable_filter()->add_states(admin::v1::STATE_UNSPECIFIED);
  ExpectInvalid(request, "filter.states: must be states that there are, got 0");
}

TEST_F(AdminServiceTest, ShowsOnlyTheBeginningOfAHugeBadValue) {
  admin::v1::ListBreakersRequest request;
  request.set_page_token(std::string(100000, '\n'));
  admin::v1::ListBreakersResponse response;
  const grpc::Status status = List(request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_LT(status.error_message().size(), 500u);
  EXPECT_THAT(status.error_message(), Not(HasSubstr("\n")));
}

TEST_F(AdminServiceTest, GetsABreakerByItsMethodAlone) {
  auto channel = MakeChannel("a");
  Open(channel->FindOrCreate("/pkg.S/M"));
  Breaker breaker;
  const grpc::Status status = Get("/pkg.S/M", "", &breaker);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(breaker.channel(), "a");
  EXPECT_EQ(breaker.method(), "/pkg.S/M");
  EXPECT_EQ(breaker.state(), admin::v1::STATE_OPEN);
  EXPECT_TRUE(breaker.has_next_probe());
  ASSERT_EQ(breaker.history_size(), 1);
  EXPECT_EQ(breaker.history(0).to(), admin::v1::STATE_OPEN);
}

TEST_F(AdminServiceTest, PoliciesAreInWhatGetReturnsOnly) {
  auto channel = MakeChannel("a");
  channel->FindOrCreate("/pkg.S/M");
  Breaker breaker;
  ASSERT_TRUE(Get("/pkg.S/M", "", &breaker).ok());
  EXPECT_TRUE(breaker.has_policy());
  admin::v1::ListBreakersResponse list;
  ASSERT_TRUE(List({}, &list).ok());
  ASSERT_EQ(list.breakers_size(), 1);
  EXPECT_FALSE(list.breakers(0).has_policy());
}

TEST_F(AdminServiceTest, GetsAMethodWithAPolicyBeforeItsFirstCall) {
  Options options;
  options.methods["/pkg.S/M"].retry.max_retries = 7;
  options.methods["/pkg.S/M"].idempotency = Idempotency::kRepeatable;
  auto channel = MakeChannel("a", options);
  Breaker breaker;
  ASSERT_TRUE(Get("/pkg.S/M", "", &breaker).ok());
  EXPECT_EQ(breaker.policy().retry().max_retries(), 7);
  EXPECT_TRUE(breaker.repeatable());
}

// The service's own proto file declares its methods free of side effects.
TEST_F(AdminServiceTest, MethodsDeclaredIdempotentAreRepeatable) {
  auto channel = MakeChannel("a");
  const std::string service = "/grpc_breaker.admin.v1.CircuitBreakerAdmin/";
  EXPECT_TRUE(channel->FindOrCreate(service + "GetBreaker").repeatable());
  EXPECT_FALSE(channel->FindOrCreate(service + "NoSuchMethod").repeatable());
}

TEST_F(AdminServiceTest, DoesNotFindWhatWasNotCalled) {
  auto channel = MakeChannel("a");
  Breaker breaker;
  grpc::Status status = Get("/pkg.S/M", "", &breaker);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(),
            "method: \"/pkg.S/M\" was not called and has no policy of its own");
  EXPECT_EQ(channel->Find("/pkg.S/M"), nullptr) << "asking must not make it";

  status = Get("/pkg.S/M", "b", &breaker);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "channel: there is none called \"b\"");
}

TEST_F(AdminServiceTest, AsksForTheChannelWhereSeveralHaveTheMethod) {
  auto b = MakeChannel("b");
  auto a = MakeChannel("a");
  auto c = MakeChannel("c");
  a->FindOrCreate("/pkg.S/M");
  b->FindOrCreate("/pkg.S/M");
  Breaker breaker;
  const grpc::Status status = Get("/pkg.S/M", "", &breaker);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(status.error_message(),
            "channel: must be set, because several have /pkg.S/M: \"a\", "
            "\"b\"");
  ASSERT_TRUE(Get("/pkg.S/M", "b", &breaker).ok());
  EXPECT_EQ(breaker.channel(), "b");
}

TEST_F(AdminServiceTest, RefusesToGetAMalformedMethod) {
  Breaker breaker;
  const grpc::Status status = Get("/pkg.S/", "", &breaker);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(),
            "method: must be of the form /package.Service/Method, or _other, "
            "got \"/pkg.S/\"");
}

TEST_F(AdminServiceTest, WatchesOverTheWire) {
  using admin::v1::WatchBreakersResponse;
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  grpc::ClientContext context;
  GiveUpLater(&context);
  auto reader = stub_->WatchBreakers(&context, {});
  WatchBreakersResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.kind(), WatchBreakersResponse::KIND_SNAPSHOT);
  EXPECT_EQ(response.breaker().method(), "/pkg.S/M");
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.kind(), WatchBreakersResponse::KIND_SNAPSHOT_END);
  Open(method);
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.kind(), WatchBreakersResponse::KIND_CHANGED);
  EXPECT_EQ(response.breaker().state(), admin::v1::STATE_OPEN);
  channel.reset();
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.kind(), WatchBreakersResponse::KIND_REMOVED);

  context.TryCancel();
  while (reader->Read(&response)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(AdminServiceTest, TheEndOfAManualStateIsSeenAlikeByAllWithoutACall) {
  using admin::v1::WatchBreakersResponse;
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  grpc::ClientContext context;
  GiveUpLater(&context);
  auto reader = stub_->WatchBreakers(&context, {});
  WatchBreakersResponse response;
  ASSERT_TRUE(reader->Read(&response));
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.kind(), WatchBreakersResponse::KIND_SNAPSHOT_END);
  ASSERT_TRUE(method.breaker()
                  .SetManualState({BreakerState::kForcedOpen, "maintenance",
                                   "alice", absl::Seconds(1)},
                                  environment_.Now())
                  .ok());
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.breaker().state(), admin::v1::STATE_FORCED_OPEN);
  environment_.Advance(absl::Seconds(1));
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.kind(), WatchBreakersResponse::KIND_CHANGED);
  EXPECT_EQ(response.breaker().state(), admin::v1::STATE_CLOSED);
  EXPECT_EQ(response.breaker().transitions(), 2u);

  Breaker breaker;
  ASSERT_TRUE(Get("/pkg.S/M", "", &breaker).ok());
  EXPECT_EQ(breaker.state(), admin::v1::STATE_CLOSED);
  ASSERT_EQ(breaker.history_size(), 2);
  EXPECT_EQ(breaker.history(1).to(), admin::v1::STATE_CLOSED);
  EXPECT_EQ(breaker.history(1).cause(), response.cause());
  EXPECT_EQ(breaker.history(1).channel(), "a");
  EXPECT_EQ(breaker.history(1).method(), "/pkg.S/M");
  context.TryCancel();
}

TEST_F(AdminServiceTest, RefusesABadWatch) {
  grpc::ClientContext context;
  GiveUpLater(&context);
  admin::v1::WatchBreakersRequest request;
  request.mutable_filter()->set_method_prefix("pkg");
  auto reader = stub_->WatchBreakers(&context, request);
  admin::v1::WatchBreakersResponse response;
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(AdminServiceTest, AServerThatShutsDownEndsItsWatches) {
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  grpc::ClientContext context;
  GiveUpLater(&context);
  auto reader = stub_->WatchBreakers(&context, {});
  admin::v1::WatchBreakersResponse response;
  ASSERT_TRUE(reader->Read(&response));
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  while (reader->Read(&response)) {
  }
  EXPECT_FALSE(reader->Finish().ok());
  server_.reset();
  service_.reset();
  Open(method);  // Nobody is left to hear of it.
}

// Many of everything at once: watches that are cancelled, breakers that change,
// channels that come and go, and a server that stops in the middle of it.
TEST_F(AdminServiceTest, SurvivesWatchesChangesAndItsOwnEndAllAtOnce) {
  auto lasting = MakeChannel("lasting");
  std::atomic<bool> stop{false};
  std::vector<std::thread> watchers;
  for (int reads = 0; reads < 4; ++reads) {
    watchers.emplace_back([this, reads, &stop] {
      while (!stop) {
        grpc::ClientContext context;
        GiveUpLater(&context);
        auto reader = stub_->WatchBreakers(&context, {});
        admin::v1::WatchBreakersResponse response;
        for (int i = 0; i < reads * 10 && reader->Read(&response); ++i) {
        }
        context.TryCancel();
        while (reader->Read(&response)) {
        }
        EXPECT_FALSE(reader->Finish().ok());
      }
    });
  }
  std::vector<std::thread> changers;
  for (int t = 0; t < 2; ++t) {
    changers.emplace_back([this, t, &lasting] {
      for (int i = 0; i < 200; ++i) {
        auto passing = MakeChannel(absl::StrCat("channel ", t));
        Open(passing->FindOrCreate("/pkg.S/M"));
        Open(lasting->FindOrCreate(absl::StrCat("/pkg.S/M", t, "_", i)));
        if (t == 0 && i == 100) {
          server_->Shutdown(std::chrono::system_clock::now());
        }
      }
    });
  }
  for (std::thread& thread : changers) thread.join();
  stop = true;
  for (std::thread& thread : watchers) thread.join();
  server_->Wait();
  server_.reset();
  service_.reset();
  Open(lasting->FindOrCreate("/pkg.S/Last"));
}

TEST_F(AdminServiceTest, ShowsWhatServersWroteIfTheApplicationAllowsIt) {
  const std::string secret = "password 1234";
  for (const bool is_shown : {false, true}) {
    AdminServiceOptions options;
    options.show_error_messages = is_shown;
    options.authorizer = [](const AdminRequest&) {
      return AdminDecision::Allow();
    };
    Serve(options);
    auto channel = MakeChannel("a");
    Method& method = channel->FindOrCreate("/pkg.S/M");
    LastError error;
    error.code = grpc::StatusCode::INTERNAL;
    error.message = secret;
    error.error_class.severity = ErrorSeverity::kHigh;
    method.RecordError(error);
    Open(method);

    const auto expect = [&](const Breaker& breaker) {
      EXPECT_EQ(breaker.last_error().message(), is_shown ? secret : "");
      EXPECT_EQ(breaker.last_error().code(), grpc::StatusCode::INTERNAL);
      EXPECT_EQ(breaker.last_error().severity(),
                config::v1::ERROR_SEVERITY_HIGH);
      if (!is_shown) {
        EXPECT_THAT(breaker.DebugString(), Not(HasSubstr(secret)));
      }
    };
    admin::v1::ListBreakersResponse list;
    ASSERT_TRUE(List({}, &list).ok());
    ASSERT_EQ(list.breakers_size(), 1);
    expect(list.breakers(0));
    Breaker got;
    ASSERT_TRUE(Get("/pkg.S/M", "a", &got).ok());
    expect(got);
    {
      grpc::ClientContext context;
      GiveUpLater(&context);
      auto reader = stub_->WatchBreakers(&context, {});
      admin::v1::WatchBreakersResponse response;
      ASSERT_TRUE(reader->Read(&response));
      expect(response.breaker());
      context.TryCancel();
      reader->Finish();
    }
    grpc::ClientContext change;
    GiveUpLater(&change);
    admin::v1::ResetRequest reset;
    reset.mutable_target()->set_method("/pkg.S/M");
    admin::v1::ChangeResponse changed;
    ASSERT_TRUE(stub_->Reset(&change, reset, &changed).ok());
    expect(changed.breakers(0));
    grpc::ClientContext events;
    GiveUpLater(&events);
    admin::v1::ListEventsResponse happened;
    ASSERT_TRUE(stub_->ListEvents(&events, {}, &happened).ok());
    EXPECT_THAT(happened.DebugString(), Not(HasSubstr(secret)));
  }
}

TEST_F(AdminServiceTest, RefusesMoreWatchesThanThereMayBe) {
  AdminServiceOptions options;
  options.max_watches = 2;
  Serve(options);
  struct Watch {
    explicit Watch(Stub& stub) {
      GiveUpLater(&context);
      reader = stub.WatchBreakers(&context, {});
      is_open = reader->Read(&response);
    }
    grpc::Status End() {
      context.TryCancel();
      return reader->Finish();
    }
    grpc::ClientContext context;
    admin::v1::WatchBreakersResponse response;
    std::unique_ptr<grpc::ClientReader<admin::v1::WatchBreakersResponse>>
        reader;
    bool is_open;
  };
  Watch first(*stub_);
  Watch second(*stub_);
  EXPECT_TRUE(first.is_open && second.is_open);
  Watch third(*stub_);
  EXPECT_FALSE(third.is_open);
  const grpc::Status refused = third.reader->Finish();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(refused.error_message(),
            "the process has 2 open watches, as many as it may have "
            "(AdminServiceOptions::max_watches)");
  // The refused one has taken nobody's place, and who goes leaves his.
  first.End();
  for (;;) {
    Watch next(*stub_);
    const bool is_open = next.is_open;
    next.End();
    if (is_open) break;  // The server may hear of the end a little later.
  }
  second.End();

  options.max_watches = -1;
  Serve(options);
  EXPECT_FALSE(Watch(*stub_).is_open);
}

}  // namespace
}  // namespace grpc_breaker
