// What the admin service changes: for whom, and what it says of it.

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "grpc_breaker/admin_authorizer.h"
#include "grpc_breaker/admin_service.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpc_breaker/v1/rpc_details.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/admin_fixture.h"

namespace grpc_breaker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

using admin::v1::Breaker;
using admin::v1::ChangeResponse;
using admin::v1::HoldRequest;
using admin::v1::ResetRequest;

AdminDecision AllowAll(const AdminRequest& /*request*/) {
  return AdminDecision::Allow();
}

class AdminChangesTest : public AdminFixture {
 protected:
  AdminChangesTest() {
    options_.environment = &environment_;
    options_.authorizer = AllowAll;
    options_.listeners.push_back(auditor_);
  }

  using HoldRpc = grpc::Status (Stub::*)(grpc::ClientContext*,
                                         const HoldRequest&, ChangeResponse*);

  grpc::Status Hold(HoldRpc rpc, const HoldRequest& request,
                    ChangeResponse* response = nullptr) {
    grpc::ClientContext context;
    GiveUpLater(&context);
    ChangeResponse unread;
    return (stub_.get()->*rpc)(&context, request,
                               response != nullptr ? response : &unread);
  }

  grpc::Status ForceOpen(const HoldRequest& request,
                         ChangeResponse* response = nullptr) {
    return Hold(&Stub::ForceOpen, request, response);
  }

  grpc::Status Reset(const ResetRequest& request, ChangeResponse* response) {
    grpc::ClientContext context;
    GiveUpLater(&context);
    return stub_->Reset(&context, request, response);
  }

  static HoldRequest OfMethod(const std::string& method) {
    HoldRequest request;
    request.mutable_target()->set_method(method);
    return request;
  }
  static HoldRequest OfPrefix(const std::string& prefix) {
    HoldRequest request;
    request.mutable_target()->set_method_prefix(prefix);
    return request;
  }

  // "channel method STATE" of each.
  static std::vector<std::string> Shown(const ChangeResponse& response) {
    std::vector<std::string> lines;
    for (const Breaker& breaker : response.breakers()) {
      lines.push_back(
          absl::StrCat(breaker.channel(), " ", breaker.method(), " ",
                       admin::v1::State_Name(breaker.state()).substr(6)));
    }
    return lines;
  }

  static BreakerState StateOf(const Method& method) {
    return method.breaker().Snapshot().state;
  }

  admin::v1::ListEventsResponse Events(
      const admin::v1::ListEventsRequest& request = {}) {
    grpc::ClientContext context;
    GiveUpLater(&context);
    admin::v1::ListEventsResponse response;
    const grpc::Status status = stub_->ListEvents(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  AdminServiceOptions options_;
  const std::shared_ptr<Auditor> auditor_ = std::make_shared<Auditor>();
};

// The violations of a google.rpc.BadRequest, as "FIELD: DESCRIPTION".
std::vector<std::string> Violations(const grpc::Status& status) {
  v1::RpcStatus details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.code(), status.error_code());
  std::vector<std::string> lines;
  for (const auto& detail : details.details()) {
    EXPECT_EQ(detail.type_url(), "type.googleapis.com/google.rpc.BadRequest");
    v1::BadRequest bad_request;
    EXPECT_TRUE(bad_request.ParseFromString(detail.value()));
    for (const auto& violation : bad_request.field_violations()) {
      lines.push_back(
          absl::StrCat(violation.field(), ": ", violation.description()));
    }
  }
  return lines;
}

TEST_F(AdminChangesTest, HoldsABreakerByHandForATimeAndSaysWhoAndWhy) {
  Serve(options_);
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  Method& other = channel->FindOrCreate("/pkg.S/MM");
  HoldRequest request = OfMethod("/pkg.S/M");
  request.set_reason("maintenance");
  request.set_actor("alice");
  request.mutable_ttl()->set_seconds(90);
  ChangeResponse response;
  const grpc::Status status = ForceOpen(request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.count(), 1);
  EXPECT_THAT(Shown(response), ElementsAre("a /pkg.S/M FORCED_OPEN"));
  const Breaker& shown = response.breakers(0);
  EXPECT_EQ(shown.manual().reason(), "maintenance");
  EXPECT_EQ(shown.manual().actor(), "alice (claimed)");
  EXPECT_EQ(shown.manual().remaining().seconds(), 90);
  EXPECT_EQ(shown.transitions(), 1u);
  EXPECT_EQ(StateOf(other), BreakerState::kClosed);

  ASSERT_THAT(method.breaker().History(), SizeIs(1));
  EXPECT_EQ(method.breaker().History()[0].cause,
            "set manually by alice (claimed): maintenance");
  environment_.Advance(absl::Seconds(90));
  EXPECT_EQ(StateOf(method), BreakerState::kClosed);
}

TEST_F(AdminChangesTest, EachRpcLeadsToItsState) {
  Serve(options_);
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  const std::map<BreakerState, HoldRpc> rpcs = {
      {BreakerState::kForcedOpen, &Stub::ForceOpen},
      {BreakerState::kForcedClosed, &Stub::ForceClose},
      {BreakerState::kMetricsOnly, &Stub::SetMetricsOnly}};
  for (const auto& [state, rpc] : rpcs) {
    ChangeResponse response;
    ASSERT_TRUE(Hold(rpc, OfMethod("/pkg.S/M"), &response).ok());
    EXPECT_EQ(StateOf(method), state);
    EXPECT_FALSE(response.breakers(0).manual().has_remaining()) << "for ever";
  }
  environment_.Advance(absl::Hours(100));
  EXPECT_EQ(StateOf(method), BreakerState::kMetricsOnly);

  ResetRequest reset;
  reset.mutable_target()->set_method("/pkg.S/M");
  reset.set_reason("over");
  reset.set_actor("bob");
  ChangeResponse response;
  ASSERT_TRUE(Reset(reset, &response).ok());
  EXPECT_THAT(Shown(response), ElementsAre("a /pkg.S/M CLOSED"));
  EXPECT_EQ(StateOf(method), BreakerState::kClosed);
  EXPECT_EQ(method.breaker().History().back().cause,
            "reset manually by bob (claimed): over");
  std::vector<std::string> audited;
  for (const BreakerAudit& audit : auditor_->audits()) {
    audited.push_back(audit.rpc);
  }
  EXPECT_THAT(audited, ElementsAre("ForceOpen", "ForceClose", "SetMetricsOnly",
                                   "Reset"));
}

TEST_F(AdminChangesTest, ChangesAllThatThePrefixMatchesOnOneChannelOrAll) {
  Serve(options_);
  auto a = MakeChannel("a");
  auto b = MakeChannel("b");
  for (const auto& channel : {a, b}) {
    channel->FindOrCreate("/pkg.S/M");
    channel->FindOrCreate("/pkg.S/N");
    channel->FindOrCreate("/pkg.T/M");
  }
  HoldRequest request = OfPrefix("/pkg.S/");
  ChangeResponse response;
  ASSERT_TRUE(ForceOpen(request, &response).ok());
  EXPECT_THAT(Shown(response),
              ElementsAre("a /pkg.S/M FORCED_OPEN", "a /pkg.S/N FORCED_OPEN",
                          "b /pkg.S/M FORCED_OPEN", "b /pkg.S/N FORCED_OPEN"));
  EXPECT_EQ(StateOf(*a->Find("/pkg.T/M")), BreakerState::kClosed);

  request.mutable_target()->set_channel("b");
  ASSERT_TRUE(Hold(&Stub::ForceClose, request, &response).ok());
  EXPECT_EQ(response.count(), 2);
  EXPECT_EQ(StateOf(*a->Find("/pkg.S/M")), BreakerState::kForcedOpen);
  EXPECT_EQ(StateOf(*b->Find("/pkg.S/M")), BreakerState::kForcedClosed);

  request = OfMethod("/pkg.T/M");
  ASSERT_TRUE(ForceOpen(request, &response).ok());
  EXPECT_THAT(Shown(response),
              ElementsAre("a /pkg.T/M FORCED_OPEN", "b /pkg.T/M FORCED_OPEN"));
}

TEST_F(AdminChangesTest, WhatMatchesNothingIsNotFoundAndNotMade) {
  Serve(options_);
  auto channel = MakeChannel("a");
  channel->FindOrCreate("/pkg.S/M");
  grpc::Status status = ForceOpen(OfMethod("/pkg.S/N"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(),
            "target: no method /pkg.S/N was called or has a policy of its own");
  EXPECT_EQ(channel->Find("/pkg.S/N"), nullptr);
  HoldRequest request = OfPrefix("/pkg.S");
  request.mutable_target()->set_channel("b");
  status = ForceOpen(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(),
            "target: no method that begins with /pkg.S was called or has a "
            "policy of its own on a channel called \"b\"");
}

TEST_F(AdminChangesTest, ChangesNothingIfThereAreMoreThanTheRequestAllows) {
  Serve(options_);
  Options options;
  options.max_methods = 1100;
  auto channel = MakeChannel("a", options);
  for (int i = 0; i < 101; ++i) {
    channel->FindOrCreate(absl::StrCat("/pkg.S/M", i));
  }
  const grpc::Status status = ForceOpen(OfPrefix("/pkg.S/"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(status.error_message(),
            "target.max_breakers: must be as many as would be changed, got "
            "100, and there are more");
  for (const Method* method : channel->Methods()) {
    EXPECT_EQ(StateOf(*method), BreakerState::kClosed);
  }
  HoldRequest request = OfPrefix("/pkg.S/");
  request.mutable_target()->set_max_breakers(101);
  ChangeResponse response;
  ASSERT_TRUE(ForceOpen(request, &response).ok());
  EXPECT_EQ(response.count(), 101);
  for (const Method* method : channel->Methods()) {
    EXPECT_EQ(StateOf(*method), BreakerState::kForcedOpen);
  }

  for (int i = 101; i < 1050; ++i) {
    channel->FindOrCreate(absl::StrCat("/pkg.S/M", i));
  }
  request.mutable_target()->set_max_breakers(5000);
  ASSERT_TRUE(ForceOpen(request, &response).ok());
  EXPECT_EQ(response.count(), 1050);
  EXPECT_EQ(response.breakers_size(), 1000) << "an answer has an end";
}

TEST_F(AdminChangesTest, ADryRunChangesNothing) {
  Serve(options_);
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  HoldRequest request = OfPrefix("/pkg");
  request.set_dry_run(true);
  ChangeResponse response;
  ASSERT_TRUE(ForceOpen(request, &response).ok());
  EXPECT_EQ(response.count(), 1);
  EXPECT_THAT(Shown(response), ElementsAre("a /pkg.S/M CLOSED"));
  EXPECT_EQ(StateOf(method), BreakerState::kClosed);
  EXPECT_THAT(method.breaker().History(), IsEmpty());
  EXPECT_THAT(auditor_->audits(), IsEmpty());
}

TEST_F(AdminChangesTest, TellsAllThatIsWrongWithARequestAtOnce) {
  Serve(options_);
  HoldRequest request;
  request.mutable_target()->set_method_prefix("pkg");
  request.mutable_target()->set_max_breakers(-1);
  request.set_reason(std::string(257, 'r'));
  request.set_actor(std::string(129, 'a'));
  request.mutable_ttl()->set_nanos(999);
  const grpc::Status status = ForceOpen(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const std::vector<std::string> violations = Violations(status);
  EXPECT_THAT(violations,
              ElementsAre("target.method_prefix: must be the beginning of "
                          "/package.Service/Method, or _other, got \"pkg\"",
                          "target.max_breakers: must be at least 0, got -1",
                          "reason: must be at most 256 bytes, got 257",
                          "actor: must be at most 128 bytes, got 129",
                          "ttl: must be at least 1ms, or 0, got 999ns"));
  EXPECT_EQ(status.error_message(), absl::StrJoin(violations, "; "));
}

TEST_F(AdminChangesTest, RefusesWhatNoTargetAndNoTimeCanBe) {
  Serve(options_);
  EXPECT_THAT(Violations(ForceOpen(HoldRequest())),
              ElementsAre("target: must be one with method or method_prefix, "
                          "got neither"));
  EXPECT_THAT(Violations(ForceOpen(OfPrefix(""))), SizeIs(1))
      << "not all by mistake";
  EXPECT_THAT(Violations(ForceOpen(OfMethod("/pkg.S/"))),
              ElementsAre("target.method: must be of the form "
                          "/package.Service/Method, or _other, got "
                          "\"/pkg.S/\""));
  const std::vector<std::pair<int64_t, int32_t>> bad = {
      {-1, 0}, {0, -1}, {1, 1'000'000'000}, {1, -1}, {315'576'000'001, 0}};
  for (const auto& [seconds, nanos] : bad) {
    HoldRequest request = OfMethod("/pkg.S/M");
    request.mutable_ttl()->set_seconds(seconds);
    request.mutable_ttl()->set_nanos(nanos);
    EXPECT_THAT(Violations(ForceOpen(request)),
                ElementsAre(absl::StrCat(
                    "ttl: must be at least 1ms, or 0, and well-formed, got ",
                    seconds, " seconds and ", nanos, " nanos")));
  }
}

TEST_F(AdminChangesTest, ABadReadIsToldOfItsFieldsAsWell) {
  Serve(options_);
  grpc::ClientContext context;
  GiveUpLater(&context);
  admin::v1::ListEventsRequest request;
  request.set_page_size(-7);
  request.mutable_filter()->set_method_prefix("pkg");
  admin::v1::ListEventsResponse response;
  EXPECT_THAT(Violations(stub_->ListEvents(&context, request, &response)),
              ElementsAre(StartsWith("filter.method_prefix: must be "),
                          "page_size: must be at least 0, got -7"));
}

// --- Who may ---

TEST_F(AdminChangesTest, WithoutAnAuthorizerNobodyMayChangeAndAllMayRead) {
  options_.authorizer = nullptr;
  Serve(options_);
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  const grpc::Status status = ForceOpen(OfMethod("/pkg.S/M"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(status.error_message(),
              HasSubstr("no authorizer (AdminServiceOptions::authorizer)"));
  HoldRequest dry_run = OfMethod("/pkg.S/M");
  dry_run.set_dry_run(true);
  EXPECT_EQ(ForceOpen(dry_run).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(StateOf(method), BreakerState::kClosed);
  grpc::ClientContext context;
  GiveUpLater(&context);
  admin::v1::ListBreakersResponse list;
  EXPECT_TRUE(stub_->ListBreakers(&context, {}, &list).ok());
}

TEST_F(AdminChangesTest, TheAuthorizerIsToldExactlyWhatIsAskedAndWillBeDone) {
  AdminRequest seen;
  std::map<std::string, std::string> metadata;
  options_.authorizer = [&](const AdminRequest& request) {
    seen = request;
    for (const auto& [key, value] : *request.metadata) {
      metadata[std::string(key.data(), key.size())] =
          std::string(value.data(), value.size());
    }
    seen.metadata = nullptr;
    return AdminDecision::Allow("alice@example.com");
  };
  Serve(options_);
  auto a = MakeChannel("a");
  auto b = MakeChannel("b");
  a->FindOrCreate("/pkg.S/M");
  a->FindOrCreate("/pkg.T/M");
  b->FindOrCreate("/pkg.S/N");
  HoldRequest request = OfPrefix("/pkg.S");
  request.set_actor("bob");
  request.set_reason("why not");
  grpc::ClientContext context;
  GiveUpLater(&context);
  context.AddMetadata("team", "payments");
  ChangeResponse response;
  ASSERT_TRUE(stub_->SetMetricsOnly(&context, request, &response).ok());
  EXPECT_EQ(seen.rpc, "SetMetricsOnly");
  EXPECT_TRUE(seen.is_change);
  EXPECT_FALSE(seen.dry_run);
  EXPECT_THAT(seen.peer, StartsWith("ipv4:127.0.0.1:"));
  EXPECT_NE(seen.auth_context, nullptr);
  EXPECT_EQ(metadata["team"], "payments");
  EXPECT_EQ(seen.actor, "bob");
  EXPECT_EQ(seen.reason, "why not");
  EXPECT_EQ(seen.method, "");
  EXPECT_EQ(seen.method_prefix, "/pkg.S");
  EXPECT_EQ(seen.channel, "");
  ASSERT_THAT(seen.breakers, SizeIs(2));
  EXPECT_EQ(seen.breakers[0].channel, "a");
  EXPECT_EQ(seen.breakers[0].method, "/pkg.S/M");
  EXPECT_EQ(seen.breakers[1].channel, "b");
  EXPECT_EQ(seen.breakers[1].method, "/pkg.S/N");

  // Whom the authorizer knows is the actor, whoever the request says.
  EXPECT_EQ(response.breakers(0).manual().actor(), "alice@example.com");
  ASSERT_THAT(auditor_->audits(), SizeIs(1));
  EXPECT_EQ(auditor_->audits()[0].actor, "alice@example.com");
  EXPECT_TRUE(auditor_->audits()[0].authenticated);
}

// What comes while the authorizer thinks was not shown to it.
TEST_F(AdminChangesTest, NothingIsChangedThatTheAuthorizerWasNotShown) {
  auto channel = MakeChannel("a");
  channel->FindOrCreate("/pkg.S/M");
  options_.authorizer = [&](const AdminRequest&) {
    channel->FindOrCreate("/pkg.S/N");
    return AdminDecision::Allow();
  };
  Serve(options_);
  ChangeResponse response;
  ASSERT_TRUE(ForceOpen(OfPrefix("/pkg.S/"), &response).ok());
  EXPECT_THAT(Shown(response), ElementsAre("a /pkg.S/M FORCED_OPEN"));
  EXPECT_EQ(StateOf(*channel->Find("/pkg.S/N")), BreakerState::kClosed);
}

TEST_F(AdminChangesTest, WhoIsRefusedIsToldWhyAndNotWhatThereIs) {
  options_.authorizer = [](const AdminRequest&) {
    return AdminDecision::Deny("ask the operators", "mallory");
  };
  Serve(options_);
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  for (const char* name : {"/pkg.S/M", "/pkg.S/NoSuchMethod"}) {
    const grpc::Status status = ForceOpen(OfMethod(name));
    EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
    EXPECT_EQ(status.error_message(), "ask the operators");
  }
  EXPECT_EQ(StateOf(method), BreakerState::kClosed);
  ASSERT_THAT(auditor_->audits(), SizeIs(2));
  EXPECT_EQ(auditor_->audits()[0].status.code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(auditor_->audits()[0].actor, "mallory");
}

TEST_F(AdminChangesTest, AnAuthorizerThatSaysNothingRefuses) {
  options_.authorizer = [](const AdminRequest&) { return AdminDecision(); };
  Serve(options_);
  EXPECT_EQ(ForceOpen(OfMethod("/pkg.S/M")).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
}

#ifdef __cpp_exceptions
TEST_F(AdminChangesTest, AnAuthorizerThatThrowsRefuses) {
  options_.authorizer = [](const AdminRequest&) -> AdminDecision {
    throw std::runtime_error("no connection");
  };
  options_.authorize_reads = true;
  Serve(options_);
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  const grpc::Status status = ForceOpen(OfMethod("/pkg.S/M"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(status.error_message(), "the authorizer of this process failed");
  EXPECT_EQ(StateOf(method), BreakerState::kClosed);
  grpc::ClientContext context;
  GiveUpLater(&context);
  admin::v1::ListBreakersResponse list;
  EXPECT_EQ(stub_->ListBreakers(&context, {}, &list).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(list.breakers_size(), 0);
}

TEST_F(AdminChangesTest, AListenerThatThrowsStopsNeitherOthersNorTheAnswer) {
  struct Thrower : BreakerListener {
    void OnAudit(const BreakerAudit&) override {
      throw std::runtime_error("disk full");
    }
  };
  options_.listeners.insert(options_.listeners.begin(),
                            std::make_shared<Thrower>());
  Serve(options_);
  auto channel = MakeChannel("a");
  channel->FindOrCreate("/pkg.S/M");
  EXPECT_TRUE(ForceOpen(OfMethod("/pkg.S/M")).ok());
  EXPECT_THAT(auditor_->audits(), SizeIs(1));
}
#endif

TEST_F(AdminChangesTest, ReadsAreGuardedWhereTheApplicationWantsThat) {
  absl::Mutex mutex;
  std::vector<std::string> asked;
  options_.authorize_reads = true;
  options_.environment = &Environment::Default();
  options_.authorizer = [&](const AdminRequest& request) {
    internal::MutexLock lock(mutex);
    asked.push_back(absl::StrCat(request.rpc, " ", request.method,
                                 request.method_prefix, " ", request.channel));
    EXPECT_FALSE(request.is_change);
    EXPECT_THAT(request.peer, StartsWith("ipv4:127.0.0.1:"));
    return request.channel == "a" ? AdminDecision::Allow()
                                  : AdminDecision::Deny("only a");
  };
  Serve(options_);
  auto channel = MakeChannel("a");
  channel->FindOrCreate("/pkg.S/M");
  for (const bool allowed : {true, false}) {
    admin::v1::BreakerFilter filter;
    filter.set_method_prefix("/pkg");
    filter.set_channel(allowed ? "a" : "b");
    const grpc::StatusCode code =
        allowed ? grpc::StatusCode::OK : grpc::StatusCode::PERMISSION_DENIED;
    {
      grpc::ClientContext context;
      GiveUpLater(&context);
      admin::v1::ListBreakersRequest request;
      *request.mutable_filter() = filter;
      admin::v1::ListBreakersResponse response;
      EXPECT_EQ(stub_->ListBreakers(&context, request, &response).error_code(),
                code);
      EXPECT_EQ(response.breakers_size(), allowed ? 1 : 0);
    }
    {
      grpc::ClientContext context;
      GiveUpLater(&context);
      admin::v1::GetBreakerRequest request;
      request.set_method("/pkg.S/M");
      request.set_channel(filter.channel());
      Breaker breaker;
      EXPECT_EQ(stub_->GetBreaker(&context, request, &breaker).error_code(),
                code);
    }
    {
      grpc::ClientContext context;
      GiveUpLater(&context);
      admin::v1::ListEventsRequest request;
      *request.mutable_filter() = filter;
      admin::v1::ListEventsResponse response;
      EXPECT_EQ(stub_->ListEvents(&context, request, &response).error_code(),
                code);
    }
    {
      grpc::ClientContext context;
      GiveUpLater(&context);
      admin::v1::WatchBreakersRequest request;
      *request.mutable_filter() = filter;
      auto reader = stub_->WatchBreakers(&context, request);
      admin::v1::WatchBreakersResponse response;
      EXPECT_EQ(reader->Read(&response), allowed);
      if (allowed) context.TryCancel();
      while (reader->Read(&response)) {
      }
      EXPECT_EQ(reader->Finish().error_code(),
                allowed ? grpc::StatusCode::CANCELLED : code);
    }
  }
  EXPECT_THAT(asked, ElementsAre("ListBreakers /pkg a", "GetBreaker /pkg.S/M a",
                                 "ListEvents /pkg a", "WatchBreakers /pkg a",
                                 "ListBreakers /pkg b", "GetBreaker /pkg.S/M b",
                                 "ListEvents /pkg b", "WatchBreakers /pkg b"));
}

TEST_F(AdminChangesTest, GuardedReadsNeedAnAuthorizer) {
  options_.authorizer = nullptr;
  options_.authorize_reads = true;
  Serve(options_);
  grpc::ClientContext context;
  GiveUpLater(&context);
  admin::v1::ListBreakersResponse response;
  EXPECT_EQ(stub_->ListBreakers(&context, {}, &response).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
}

// Not on a thread of gRPC's: there are few of those, and all calls need them.
TEST_F(AdminChangesTest, AuthorizersThatBlockDelayNothingElse) {
  absl::Notification go_on;
  std::atomic<int> waiting{0};
  options_.environment = &Environment::Default();
  options_.authorizer = [&](const AdminRequest&) {
    ++waiting;
    go_on.WaitForNotification();
    return AdminDecision::Allow();
  };
  Serve(options_);
  auto channel = MakeChannel("a");
  channel->FindOrCreate("/pkg.S/M");
  constexpr int kBlocked = 40;
  std::vector<std::thread> threads;
  for (int i = 0; i < kBlocked; ++i) {
    threads.emplace_back(
        [this] { EXPECT_TRUE(ForceOpen(OfMethod("/pkg.S/M")).ok()); });
  }
  for (int i = 0; i < 10; ++i) {
    grpc::ClientContext context;
    GiveUpLater(&context);
    admin::v1::ListBreakersResponse response;
    EXPECT_TRUE(stub_->ListBreakers(&context, {}, &response).ok());
  }
  while (waiting < 8) std::this_thread::yield();
  go_on.Notify();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(waiting, kBlocked);
}

// The server hears some time later that its caller has gone, so this takes as
// many calls as it takes until one hears of it while its authorizer thinks.
TEST_F(AdminChangesTest, IsNotDoneForACallerWhoHasGone) {
  // Used by the server.
  std::atomic<absl::Notification*> asked{nullptr};
  std::atomic<absl::Notification*> go_on{nullptr};
  options_.environment = &Environment::Default();
  options_.authorizer = [&](const AdminRequest&) {
    absl::Notification& wait_for = *go_on;
    asked.load()->Notify();
    wait_for.WaitForNotification();
    return AdminDecision::Allow();
  };
  Serve(options_);
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  for (size_t calls = 1;; ++calls) {
    absl::Notification was_asked;
    absl::Notification may_go_on;
    asked = &was_asked;
    go_on = &may_go_on;
    grpc::ClientContext context;
    GiveUpLater(&context);
    std::thread caller([&] {
      ChangeResponse response;
      EXPECT_EQ(stub_->ForceOpen(&context, OfMethod("/pkg.S/M"), &response)
                    .error_code(),
                grpc::StatusCode::CANCELLED);
    });
    was_asked.WaitForNotification();
    context.TryCancel();
    caller.join();
    Events();  // Comes after the end of the other call.
    may_go_on.Notify();
    while (auditor_->audits().size() < calls) std::this_thread::yield();
    const BreakerAudit audit = auditor_->audits().back();
    if (audit.status.code() == absl::StatusCode::kCancelled) {
      EXPECT_EQ(audit.changed, 0);
      break;
    }
    method.breaker().Reset("", "");
  }
  EXPECT_EQ(StateOf(method), BreakerState::kClosed);
}

// --- Audits ---

TEST_F(AdminChangesTest, TellsListenersOfWhatWasDoneAndWhatWasRefused) {
  options_.authorizer = [](const AdminRequest& request) {
    return request.method_prefix.empty() ? AdminDecision::Allow()
                                         : AdminDecision::Deny("one at a time");
  };
  Serve(options_);
  auto a = MakeChannel("a");
  auto b = MakeChannel("b");
  a->FindOrCreate("/pkg.S/M");
  b->FindOrCreate("/pkg.S/M");
  HoldRequest request = OfMethod("/pkg.S/M");
  request.set_reason("drill");
  request.set_actor("alice");
  request.mutable_ttl()->set_seconds(5);
  ASSERT_TRUE(ForceOpen(request).ok());
  request = OfPrefix("/");
  request.mutable_target()->set_channel("b");
  ASSERT_FALSE(Hold(&Stub::ForceClose, request).ok());
  ASSERT_FALSE(ForceOpen(OfMethod("/pkg.S/N")).ok());

  const std::vector<BreakerAudit> audits = auditor_->audits();
  ASSERT_THAT(audits, SizeIs(3));
  EXPECT_EQ(audits[0].rpc, "ForceOpen");
  EXPECT_EQ(audits[0].method, "/pkg.S/M");
  EXPECT_EQ(audits[0].channel, "");
  EXPECT_EQ(audits[0].reason, "drill");
  EXPECT_EQ(audits[0].actor, "alice (claimed)");
  EXPECT_FALSE(audits[0].authenticated);
  EXPECT_THAT(audits[0].peer, StartsWith("ipv4:127.0.0.1:"));
  EXPECT_EQ(audits[0].time_to_live, absl::Seconds(5));
  EXPECT_TRUE(audits[0].status.ok());
  EXPECT_EQ(audits[0].changed, 2);
  EXPECT_EQ(audits[0].wall_time, environment_.WallNow());
  EXPECT_EQ(audits[1].rpc, "ForceClose");
  EXPECT_EQ(audits[1].method_prefix, "/");
  EXPECT_EQ(audits[1].channel, "b");
  EXPECT_EQ(audits[1].status, absl::PermissionDeniedError("one at a time"));
  EXPECT_EQ(audits[1].changed, 0);
  EXPECT_EQ(audits[2].status.code(), absl::StatusCode::kNotFound);
}

TEST_F(AdminChangesTest, AuditsHaveTextsOfBoundedLength) {
  options_.authorizer = [](const AdminRequest&) {
    return AdminDecision::Deny(std::string(2000, 'w'), std::string(5000, 'i'));
  };
  Serve(options_);
  HoldRequest request = OfMethod("/pkg.S/M");
  request.mutable_target()->set_channel(std::string(100000, 'c'));
  ASSERT_FALSE(ForceOpen(request).ok());
  ASSERT_THAT(auditor_->audits(), SizeIs(1));
  const BreakerAudit audit = auditor_->audits()[0];
  EXPECT_EQ(audit.channel.size(), 512u);
  EXPECT_EQ(audit.actor.size(), 256u);
  EXPECT_EQ(audit.status.message().size(), 256u);
}

TEST_F(AdminChangesTest, ListsChangesOfStateAndAuditsInTheirOrder) {
  Serve(options_);
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  Open(method);
  environment_.Advance(absl::Seconds(2));
  HoldRequest request = OfMethod("/pkg.S/M");
  request.set_reason("drill");
  request.set_actor("alice");
  request.mutable_ttl()->set_seconds(9);
  ASSERT_TRUE(ForceOpen(request).ok());
  environment_.Advance(absl::Seconds(3));

  const admin::v1::ListEventsResponse events = Events();
  ASSERT_EQ(events.events_size(), 3);
  const admin::v1::Transition& opened = events.events(0).transition();
  EXPECT_EQ(opened.to(), admin::v1::STATE_OPEN);
  EXPECT_EQ(opened.cause(), "1 consecutive failure");
  EXPECT_EQ(opened.channel(), "a");
  EXPECT_EQ(opened.method(), "/pkg.S/M");
  EXPECT_EQ(opened.age().seconds(), 5);
  EXPECT_EQ(events.events(1).transition().to(), admin::v1::STATE_FORCED_OPEN);
  const admin::v1::Audit& audit = events.events(2).audit();
  EXPECT_EQ(audit.rpc(), "ForceOpen");
  EXPECT_EQ(audit.target().method(), "/pkg.S/M");
  EXPECT_FALSE(audit.target().has_method_prefix());
  EXPECT_EQ(audit.reason(), "drill");
  EXPECT_EQ(audit.actor(), "alice (claimed)");
  EXPECT_FALSE(audit.authenticated());
  EXPECT_THAT(audit.peer(), StartsWith("ipv4:127.0.0.1:"));
  EXPECT_EQ(audit.ttl().seconds(), 9);
  EXPECT_EQ(audit.code(), 0);
  EXPECT_EQ(audit.count(), 1);
  EXPECT_EQ(audit.age().seconds(), 3);
  EXPECT_FALSE(events.more());
  EXPECT_EQ(events.missed(), 0u);
}

// Many of everything at once.
TEST_F(AdminChangesTest, SurvivesChangesReadsAndChannelsThatComeAndGo) {
  options_.environment = &Environment::Default();
  Serve(options_);
  auto lasting = MakeChannel("lasting");
  lasting->FindOrCreate("/pkg.S/M");
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([this, t] {
      const HoldRpc rpcs[] = {&Stub::ForceOpen, &Stub::ForceClose,
                              &Stub::SetMetricsOnly};
      for (int i = 0; i < 50; ++i) {
        ChangeResponse response;
        ASSERT_TRUE(Hold(rpcs[(i + t) % 3], OfPrefix("/pkg"), &response).ok());
        // Each answer is of its own change.
        for (const Breaker& breaker : response.breakers()) {
          EXPECT_EQ(breaker.state(),
                    admin::v1::STATE_FORCED_OPEN + (i + t) % 3);
        }
        Events();
      }
    });
  }
  for (int i = 0; i < 100; ++i) {
    Open(MakeChannel("passing")->FindOrCreate("/pkg.S/M"));
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(auditor_->audits(), SizeIs(150));
}

// --- Ready-made authorizers ---

class AuthorizersTest : public AdminChangesTest {
 protected:
  AuthorizersTest() {
    std::string name = "/tmp/admin_changes_test.XXXXXX";
    if (mkdtemp(&name[0]) != nullptr) path_ = name;
    channel_ = MakeChannel("a");
    channel_->FindOrCreate("/pkg.S/M");
  }
  ~AuthorizersTest() override {
    Stop();
    std::filesystem::remove_all(path_);
  }

  std::string WriteFile(const std::string& name, const std::string& content) {
    const std::string file = absl::StrCat(path_, "/", name);
    std::ofstream(file, std::ios::binary | std::ios::trunc) << content;
    return file;
  }

  // Who the actor is, or why it was refused.
  std::string Try(const std::vector<std::string>& authorization = {}) {
    grpc::ClientContext context;
    GiveUpLater(&context);
    for (const std::string& value : authorization) {
      context.AddMetadata("authorization", value);
    }
    HoldRequest request = OfMethod("/pkg.S/M");
    request.set_actor("somebody");
    ChangeResponse response;
    const grpc::Status status = stub_->ForceOpen(&context, request, &response);
    return status.ok()
               ? response.breakers(0).manual().actor()
               : absl::StrCat(status.error_code(), " ", status.error_message());
  }

  std::string path_;
  std::shared_ptr<Registry> channel_;
};

TEST_F(AuthorizersTest, UnixSocketsAreAllowedAndPortsAreNot) {
  options_.authorizer = AllowUnixSockets();
  Serve(options_, absl::StrCat("unix:", path_, "/s"));
  EXPECT_EQ(Try(), "somebody (claimed)");
  Serve(options_);
  EXPECT_EQ(Try(), "7 not by a unix socket");
}

TEST_F(AuthorizersTest, ABearerTokenTellsWhoItIs) {
  const std::string alice = WriteFile("alice", "0123456789abcdef\n");
  const std::string bob = WriteFile("bob", "  fedcba9876543210\r\n");
  options_.authorizer = AllowBearerTokens({{"alice", alice}, {"bob", bob}});
  Serve(options_);
  EXPECT_EQ(Try({"Bearer 0123456789abcdef"}), "alice");
  EXPECT_EQ(Try({"bearer fedcba9876543210"}), "bob");
  const std::string unknown = "7 authorization: the token is not known";
  EXPECT_EQ(Try({"Bearer 0123456789abcdeF"}), unknown);
  EXPECT_EQ(Try({"Bearer 0123456789abcde"}), unknown);
  EXPECT_EQ(Try({"Bearer 0123456789abcdef0123456789abcdef"}), unknown);
  EXPECT_EQ(Try({"Bearer "}), unknown);
  const std::string missing = "16 authorization: must be one bearer token";
  EXPECT_EQ(Try(), missing);
  EXPECT_EQ(Try({"0123456789abcdef"}), missing);
  EXPECT_EQ(Try({"Basic 0123456789abcdef"}), missing);
  EXPECT_EQ(Try({"Bearer 0123456789abcdef", "Bearer fedcba9876543210"}),
            missing);
}

TEST_F(AuthorizersTest, TokensCanBeReplacedWhileTheServiceRuns) {
  const std::string file = WriteFile("token", "0123456789abcdef");
  options_.authorizer = AllowBearerTokens({{"ops", file}});
  Serve(options_);
  EXPECT_EQ(Try({"Bearer 0123456789abcdef"}), "ops");
  WriteFile("token", "another-0123456789");
  EXPECT_THAT(Try({"Bearer 0123456789abcdef"}), StartsWith("7 "));
  EXPECT_EQ(Try({"Bearer another-0123456789"}), "ops");
}

TEST_F(AuthorizersTest, AFileWithoutAGoodTokenAllowsNobody) {
  for (const std::string& content :
       {std::string(), std::string("\n"), std::string("short"),
        std::string(5000, 'x')}) {
    options_.authorizer =
        AllowBearerTokens({{"ops", WriteFile("token", content)}});
    Serve(options_);
    const std::string token(absl::StripAsciiWhitespace(content));
    EXPECT_THAT(Try({"Bearer " + token}), StartsWith("7 ")) << content.size();
    EXPECT_THAT(Try({"Bearer "}), StartsWith("7 "));
  }
  options_.authorizer = AllowBearerTokens({{"ops", path_ + "/missing"}});
  Serve(options_);
  EXPECT_THAT(Try({"Bearer "}), StartsWith("7 "));
}

}  // namespace
}  // namespace grpc_breaker
