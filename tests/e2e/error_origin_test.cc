// Who made a status, and what it is taken for: the same with each version of
// gRPC, whose words for it differ, and however the call is made.

#include "grpc_breaker/error_origin.h"

#include <unistd.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "grpc_breaker/registry/grpc_compat.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/raw_server.h"
#include "tests/e2e/reserved_port.h"
#include "tests/e2e/stream_flavours.h"

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;
using ::testing::AnyOf;

constexpr char kLost[] = "NETWORK MEDIUM FAILURE retryable";
constexpr char kNotSent[] = "NETWORK MEDIUM FAILURE retryable never sent";
constexpr char kBusy[] = "TRANSIENT MEDIUM FAILURE retryable";
constexpr char kRateLimit[] = "RATE_LIMIT MEDIUM FAILURE retryable";
constexpr char kTooLarge[] = "RESOURCE HIGH IGNORED";
constexpr char kUnknown[] = "PERMANENT HIGH FAILURE";

struct Situation {
  std::string name;
  RawServer::Script script;
  StatusCode code;  // As the application sees it.
  std::optional<bool> answered;
  std::string error_class;
  RawServer::When when = RawServer::When::kRequestFinished;
  std::function<void(grpc::ChannelArguments*)> limits = nullptr;
  // Call credentials that are only for a safer channel.
  bool has_token = false;
  bool unary_only = false;

  friend void PrintTo(const Situation& situation, std::ostream* out) {
    *out << situation.name;
  }
};

class NoToken final : public grpc::MetadataCredentialsPlugin {
  grpc::Status GetMetadata(grpc::string_ref, grpc::string_ref,
                           const grpc::AuthContext&,
                           std::multimap<std::string, std::string>*) override {
    return grpc::Status(StatusCode::UNAVAILABLE, "no token");
  }
};

RawServer::Script Says(int code, const std::string& message) {
  return [=](RawCall call) { call.SendTrailersOnly(code, message); };
}

RawServer::Script SaysAfterHeaders(int code, const std::string& message,
                                   const HeaderList& trailers = {}) {
  return AfterHeaders([=](RawCall call) {
    call.SendTrailers(StatusTrailers(code, message, trailers));
  });
}

RawServer::Script Resets(int error) {
  return [=](RawCall call) { call.Reset(static_cast<Http2Error>(error)); };
}

RawServer::Script Page(int http_status) {
  return [=](RawCall call) {
    call.SendHeaders({{":status", absl::StrCat(http_status)},
                      {"content-type", "text/html"}});
    call.SendData("<html>no gRPC here</html>", /*end_stream=*/true);
  };
}

void Close(const RawCall& call) { call.CloseConnection(); }
void ResetConnection(const RawCall& call) { call.ResetConnection(); }

void AddLostConnections(std::vector<Situation>* all) {
  const auto add = [all](const std::string& name, RawServer::Script script,
                         StatusCode code = StatusCode::UNAVAILABLE) {
    all->push_back({name, std::move(script), code, std::nullopt, kLost});
  };
  add("Closed", Close);
  add("ClosedAfterHeaders", AfterHeaders(Close));
  add("ClosedAfterAMessage", AfterHeaders([](RawCall call) {
        call.SendMessage("");
        call.CloseConnection();
      }));
  add("ClosedInAMessage", AfterHeaders([](RawCall call) {
        call.SendData(kHalfAMessage);
        call.CloseConnection();
      }));
  add("ClosedAfterAGoAwayThatHasSeenIt", [](RawCall call) {
    call.GoAway(call.stream(), Http2Error::kInternalError, "bye");
    call.CloseConnection();
  });
  add("EndedInAMessage", AfterHeaders([](RawCall call) {
        call.SendData(kHalfAMessage, /*end_stream=*/true);
      }),
      StatusCode::UNKNOWN);
  add("EndedWithoutAStatus", AfterHeaders([](RawCall call) {
        call.SendData("", /*end_stream=*/true);
      }),
      StatusCode::UNKNOWN);
}

void AddResets(std::vector<Situation>* all) {
  for (int error = 0; error <= 13; ++error) {
    Situation before = {absl::StrCat("Reset", error), Resets(error),
                        StatusCode::INTERNAL, std::nullopt, kLost};
    if (error == static_cast<int>(Http2Error::kRefusedStream)) {
      before.code = StatusCode::UNAVAILABLE;
    } else if (error == static_cast<int>(Http2Error::kCancel)) {
      before.code = StatusCode::CANCELLED;
    } else if (error == static_cast<int>(Http2Error::kEnhanceYourCalm)) {
      before.code = StatusCode::RESOURCE_EXHAUSTED;
      before.error_class = kRateLimit;
    } else if (error == 12) {  // INADEQUATE_SECURITY
      before.code = StatusCode::PERMISSION_DENIED;
      before.error_class = "PERMANENT MEDIUM SUCCESS";
    }
    Situation after = before;
    absl::StrAppend(&after.name, "AfterHeaders");
    after.script = AfterHeaders(before.script);
    // What has begun to answer has seen the call, whatever it says.
    if (error == static_cast<int>(Http2Error::kRefusedStream)) {
      before.error_class = kNotSent;
    }
    all->push_back(before);
    all->push_back(after);
  }
}

void AddProxies(std::vector<Situation>* all) {
  const auto add = [all](int http_status, StatusCode code,
                         const std::string& error_class) {
    all->push_back({absl::StrCat("Http", http_status), Page(http_status), code,
                    true, error_class});
  };
  add(301, StatusCode::UNKNOWN, kUnknown);
  add(400, StatusCode::INTERNAL, kUnknown);
  add(401, StatusCode::UNAUTHENTICATED, "PERMANENT MEDIUM SUCCESS");
  add(403, StatusCode::PERMISSION_DENIED, "PERMANENT MEDIUM SUCCESS");
  add(404, StatusCode::UNIMPLEMENTED, "PERMANENT HIGH SUCCESS");
  add(413, StatusCode::UNKNOWN, kTooLarge);
  add(429, StatusCode::UNAVAILABLE, kBusy);
  add(431, StatusCode::UNKNOWN, kTooLarge);
  add(502, StatusCode::UNAVAILABLE, kBusy);
  add(503, StatusCode::UNAVAILABLE, kBusy);
  add(504, StatusCode::UNAVAILABLE, kBusy);
  all->push_back({"Http503WithoutAPage",
                  [](RawCall call) {
                    call.SendHeaders({{":status", "503"}}, /*end_stream=*/true);
                  },
                  StatusCode::UNAVAILABLE, true, kBusy});
}

// A server may pass on what gRPC's core told it of a call of its own.
void AddQuotations(std::vector<Situation>* all) {
  int number = 0;
  const auto add = [&](const std::string& words, bool plain_answer) {
    ++number;
    for (const bool headers : {false, true}) {
      all->push_back(
          {absl::StrCat("Quotes", number, headers ? "AfterHeaders" : ""),
           headers ? SaysAfterHeaders(14, words) : Says(14, words),
           StatusCode::UNAVAILABLE,
           plain_answer ? std::optional<bool>(true) : std::nullopt,
           plain_answer ? kBusy : kLost});
    }
    all->push_back({absl::StrCat("Quotes", number, "WithTrailers"),
                    SaysAfterHeaders(14, words, {{"x-own", "trailer"}}),
                    StatusCode::UNAVAILABLE, true, kBusy});
  };
  add("busy", true);
  add("", true);
  for (const char* words :
       {"failed to connect to all addresses; last error: UNKNOWN: refused",
        "connections to all backends failing",
        "DNS resolution failed for example.org", "errors resolving example.org",
        "Getting metadata from plugin failed with error: no token",
        "Established channel does not have a sufficient security level",
        "Received http2 header with status: 503", "Deadline Exceeded"}) {
    add(words, true);
  }
  // With nothing to tell them apart, these are taken for what they say.
  for (const char* words :
       {"Socket closed", "Stream removed (Socket closed)",
        "recvmsg:Connection reset by peer", "Connection reset by peer",
        "Broken pipe", "keepalive watchdog timeout",
        "Stream removed (keepalive timeout)",
        "Received RST_STREAM with error code 2"}) {
    add(words, false);
  }
  // But who has sent headers has seen the call.
  for (const char* words :
       {"Received RST_STREAM with error code 7",
        "Stream removed (RST_STREAM (Received RST_STREAM with error code 7))",
        "GOAWAY received", "Stream removed (GOAWAY received; Error code: 0)"}) {
    add(words, false);
    (all->end() - 3)->error_class = kNotSent;
  }
}

void AddSizes(std::vector<Situation>* all) {
  const auto add = [all](const std::string& name, RawServer::Script script) {
    all->push_back({name, std::move(script), StatusCode::RESOURCE_EXHAUSTED,
                    true, kTooLarge});
  };
  // In the words of Go, Java, .NET, Rust, Connect.
  add("TooLargeGo",
      Says(8, "grpc: received message larger than max (5 vs. 4)"));
  add("TooLargeJava", Says(8, "gRPC message exceeds maximum size 4: 5"));
  add("TooLargeDotNet",
      Says(8, "Received message exceeds the maximum configured message size."));
  add("TooLargeRust",
      Says(8,
           "Error, message length too large: found 5 bytes, the limit is: 4 "
           "bytes"));
  add("TooLargeConnect",
      Says(8, "message size 5 is larger than configured max 4"));
  // Metadata, by a limit of this side.
  const HeaderList large = {{"x-large", std::string(20'000, 'x')}};
  add("TrailersTooLarge", [=](RawCall call) {
    call.SendTrailersOnly(StatusCode::NOT_FOUND, "no", large);
  });
  add("HeadersTooLarge", [=](RawCall call) {
    call.SendHeaders(ResponseHeaders(large));
    call.SendTrailers(StatusTrailers(0));
  });
  // Limits of this side.
  const auto local = [all](
                         const std::string& name, RawServer::Script script,
                         std::function<void(grpc::ChannelArguments*)> limits) {
    all->push_back({name, std::move(script), StatusCode::RESOURCE_EXHAUSTED,
                    false, kTooLarge, RawServer::When::kRequestFinished,
                    std::move(limits)});
  };
  local(
      "ReplyTooLarge",
      [](RawCall call) { call.SendReply(std::string(100, '\0')); },
      [](grpc::ChannelArguments* limits) {
        limits->SetMaxReceiveMessageSize(10);
      });
  // To a stream, gRPC 1.83 says CANCELLED instead.
  all->back().unary_only = true;
  local(
      "RequestTooLarge", [](RawCall call) { call.SendReply(""); },
      [](grpc::ChannelArguments* limits) { limits->SetMaxSendMessageSize(2); });
}

std::vector<Situation> AllSituations() {
  std::vector<Situation> all = {
      {"HungUpBeforeTheHandshake", Close, StatusCode::UNAVAILABLE, false,
       kNotSent, RawServer::When::kConnected},
      {"ResetBeforeTheHandshake", ResetConnection, StatusCode::UNAVAILABLE,
       false, kNotSent, RawServer::When::kConnected},
      {"GoAwayUnseen", [](RawCall call) { call.GoAway(0); },
       StatusCode::UNAVAILABLE, std::nullopt, kNotSent},
      {"Code99", Says(99, "what?"), StatusCode::UNKNOWN, true, kUnknown},
      {"Code17", Says(17, "what?"), StatusCode::UNKNOWN, true, kUnknown},
      {"Cancelled", Says(1, "I will not"), StatusCode::CANCELLED, true,
       "PERMANENT LOW SUCCESS"},
      {"ItsDeadline", Says(4, "Deadline Exceeded"),
       StatusCode::DEADLINE_EXCEEDED, true, "NETWORK MEDIUM FAILURE"},
      {"QuotaOfMessages", Says(8, "message quota exceeded, slow down"),
       StatusCode::RESOURCE_EXHAUSTED, true, kRateLimit},
      {"TokenForASaferChannel", [](RawCall call) { call.SendReply(""); },
       StatusCode::UNAUTHENTICATED, false,
       "PERMANENT MEDIUM IGNORED never sent", RawServer::When::kRequestFinished,
       nullptr, /*has_token=*/true, /*unary_only=*/true},
  };
  AddLostConnections(&all);
  AddResets(&all);
  AddProxies(&all);
  AddQuotations(&all);
  AddSizes(&all);
  return all;
}

class ErrorOriginTest : public E2eTest {
 protected:
  // One call of each kind: on a bare channel, by the library, native, a stream.
  void Check(const Situation& situation, const std::string& target) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    if (situation.limits) situation.limits(&arguments);
    const Configure configure = [&](grpc::ClientContext* context) {
      if (situation.has_token) {
        context->set_credentials(
            grpc::MetadataCredentialsFromPlugin(std::make_unique<NoToken>()));
      }
    };
    const auto expect = [&](const std::string& method,
                            const grpc::Status& status) {
      EXPECT_EQ(status.error_code(), situation.code) << status.error_message();
      EXPECT_EQ(LastClass(method), situation.error_class)
          << status.error_message();
    };

    grpc::ClientContext context;
    configure(&context);
    Request request;
    request.set_text("hello");
    Reply reply;
    const auto bare = grpc::CreateCustomChannel(
        target, grpc::InsecureChannelCredentials(), arguments);
    const grpc::Status status =
        TestService::NewStub(bare)->Unary(&context, request, &reply);
    const ErrorOrigin origin = OriginOf(status, context);
    EXPECT_EQ(origin.server_answered, situation.answered)
        << status.error_message() << ", peer: " << context.peer();

    policy().retry.max_retries = 0;
    policy().on_final_failure = [](const FailedCall&) {};
    expect(kUnary, Call(Flavour::kSync, MakeChannelTo(target, arguments),
                        "hello", configure)
                       .status);

    policy().on_final_failure = nullptr;
    expect(kUnary, Call(Flavour::kSync, MakeChannelTo(target, arguments),
                        "hello", configure)
                       .status);
    if (situation.unary_only) return;
    auto stream = StartStream({StreamKind::kServer, StreamApi::kSync},
                              MakeChannelTo(target, arguments));
    expect(MethodOf(StreamKind::kServer),
           RunStream(*stream, StreamKind::kServer, {"hello"}).call.status);
  }
};

class SituationTest : public ErrorOriginTest,
                      public ::testing::WithParamInterface<Situation> {};

TEST_P(SituationTest, IsTakenForWhatItIsHoweverTheCallIsMade) {
  RawServer server(GetParam().script, GetParam().when);
  Check(GetParam(), server.target());
}

// Without these: headers, and then a failure of which the server says that it
// is one to reach a server. The target of the channel tells, if that is known,
// and no address.
std::vector<Situation> SituationsWithoutATarget() {
  std::vector<Situation> situations;
  for (Situation& situation : AllSituations()) {
    if (!absl::StartsWith(situation.name, "Quotes") ||
        !absl::EndsWith(situation.name, "AfterHeaders")) {
      situations.push_back(std::move(situation));
    }
  }
  return situations;
}

INSTANTIATE_TEST_SUITE_P(All, SituationTest,
                         ::testing::ValuesIn(internal::kHasPrivateAccess
                                                 ? AllSituations()
                                                 : SituationsWithoutATarget()),
                         [](const auto& info) { return info.param.name; });

// Where the peer that the core shows proves nothing, as it is the target, too.
class ToAnAddressTest : public SituationTest {
 public:
  static std::vector<Situation> Situations() {
    std::vector<Situation> situations = SituationsWithoutATarget();
    for (Situation& situation : situations) {
      // Limits of this side are the call's fault whoever has answered.
      if (situation.limits) situation.answered = true;
    }
    return situations;
  }
};

TEST_P(ToAnAddressTest, IsTakenForTheSame) {
  RawServer server(GetParam().script, GetParam().when);
  Check(GetParam(), absl::StrCat("ipv4:", server.target()));
}

INSTANTIATE_TEST_SUITE_P(All, ToAnAddressTest,
                         ::testing::ValuesIn(ToAnAddressTest::Situations()),
                         [](const auto& info) { return info.param.name; });

TEST_F(ErrorOriginTest, NothingWasSentToAPortWhereNobodyListens) {
  const ReservedPort port;
  const Situation nobody = {"", nullptr, StatusCode::UNAVAILABLE, false,
                            kNotSent};
  Check(nobody, port.target());
  Check(nobody, absl::StrCat("ipv4:", port.target()));
}

TEST_F(ErrorOriginTest, NothingWasSentToANameThatDoesNotResolve) {
  Check({"", nullptr, StatusCode::UNAVAILABLE, false, kNotSent},
        "dns:///no.such.host.invalid:443");
}

TEST_F(ErrorOriginTest, ConnectionThatNoLongerAnswersIsLost) {
  for (const bool headers : {false, true}) {
    absl::Notification over;
    // Answers no PING meanwhile.
    RawServer server([&](RawCall call) {
      if (headers) call.SendHeaders(ResponseHeaders());
      over.WaitForNotification();
    });
    Situation situation = {"", nullptr, StatusCode::UNAVAILABLE, std::nullopt,
                           kLost};
    situation.limits = [](grpc::ChannelArguments* arguments) {
      arguments->SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 100);
      arguments->SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 100);
      // One that is under way already would stand for it, since gRPC 1.6x.
      arguments->SetInt("grpc.http2.ping_timeout_ms", 100);
    };
    Check(situation, server.target());
    over.Notify();
  }
}

TEST_F(ErrorOriginTest, TokenThatCannotBeHadSaysNothingOfTheServer) {
  for (const std::string scheme : {"", "ipv4:"}) {
    const auto channel =
        grpc::CreateChannel(scheme + server_.target(),
                            grpc::experimental::LocalCredentials(LOCAL_TCP));
    grpc::ClientContext context;
    context.set_credentials(
        grpc::MetadataCredentialsFromPlugin(std::make_unique<NoToken>()));
    Reply reply;
    const grpc::Status status =
        TestService::NewStub(channel)->Unary(&context, Request(), &reply);

    const ErrorOrigin origin = OriginOf(status, context);

    EXPECT_EQ(origin.server_answered, false) << status.error_message();
    EXPECT_TRUE(ClassifyError(status, origin).never_sent);
    EXPECT_EQ(ClassifyError(status, origin).outcome, Outcome::kIgnored);
  }
}

TEST_F(ErrorOriginTest, ServerOfASocketOrOfThisProcessAnswersAsAnyOther) {
  // The path of a socket must be short, which that of Bazel's folder is not.
  const std::string address = absl::StrCat("unix:/tmp/origin.", getpid());
  TestService::Service implements_nothing;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  builder.RegisterService(&implements_nothing);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  ASSERT_NE(server, nullptr) << address;

  for (const auto& channel :
       {grpc::CreateChannel(address, grpc::InsecureChannelCredentials()),
        server->InProcessChannel(grpc::ChannelArguments())}) {
    grpc::ClientContext context;
    Reply reply;
    const grpc::Status status =
        TestService::NewStub(channel)->Unary(&context, Request(), &reply);

    EXPECT_EQ(status.error_code(), StatusCode::UNIMPLEMENTED);
    EXPECT_EQ(OriginOf(status, context).server_answered, true)
        << context.peer();
  }
}

TEST_F(ErrorOriginTest, DeadlineThatPassesHereIsNobodysAnswer) {
  RawServer server([](RawCall) {});
  const auto channel =
      grpc::CreateChannel(server.target(), grpc::InsecureChannelCredentials());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(20));
  Reply reply;
  const grpc::Status status =
      TestService::NewStub(channel)->Unary(&context, Request(), &reply);

  EXPECT_EQ(status.error_code(), StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(OriginOf(status, context).server_answered, false);
}

// gRPC 1.51 itself may forget such a call: then the deadline ends it.
TEST_F(ErrorOriginTest, ResetOfTheConnectionEndsCallsByTheDeadlineAtTheLatest) {
  policy().retry.max_retries = 0;
  const auto by_deadline = [](grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() +
                          std::chrono::seconds(2));
  };
  const auto expect_lost = [this](const std::string& method,
                                  const grpc::Status& status) {
    EXPECT_THAT(status.error_code(),
                AnyOf(StatusCode::UNAVAILABLE, StatusCode::DEADLINE_EXCEEDED))
        << status.error_message();
    if (status.error_code() == StatusCode::UNAVAILABLE) {
      EXPECT_EQ(LastClass(method), kLost);
    }
  };
  for (const RawServer::Script& script :
       {RawServer::Script(ResetConnection), AfterHeaders(ResetConnection)}) {
    RawServer server(script);
    for (const bool told : {false, true}) {
      policy().on_final_failure = nullptr;
      if (told) policy().on_final_failure = [](const FailedCall&) {};
      expect_lost(kUnary, Call(Flavour::kSync, MakeChannelTo(server.target()),
                               "hello", by_deadline)
                              .status);
    }
    auto stream = StartStream({StreamKind::kServer, StreamApi::kSync},
                              MakeChannelTo(server.target()), by_deadline);
    expect_lost(MethodOf(StreamKind::kServer),
                RunStream(*stream, StreamKind::kServer, {"hello"}).call.status);
  }
}

TEST_F(ErrorOriginTest, IsNotKnownOfACallThatWasNeverMade) {
  grpc::ClientContext context;
  const ErrorOrigin origin =
      OriginOf(grpc::Status(StatusCode::UNAVAILABLE, "no call"), context);
  EXPECT_EQ(origin.server_answered, std::nullopt);
  EXPECT_FALSE(origin.answer_begun);
}

}  // namespace
}  // namespace grpc_breaker::e2e
