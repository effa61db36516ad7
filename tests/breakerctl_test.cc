// Runs the real breakerctl against a real server.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "grpc_breaker/admin_server.h"
#include "grpc_breaker/registry.h"
#include "grpc_breaker/registry/policy_fields.h"
#include "grpc_breaker/stats/call_records.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"
#include "tests/breakerctl_fixture.h"
#include "tests/change_option.h"
#include "tests/environments.h"

namespace grpc_breaker {
namespace {

using ::google::protobuf::util::JsonStringToMessage;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

using BreakerctlTest = BreakerctlFixture;

TEST_F(BreakerctlTest, ListsBreakersInAlignedColumns) {
  auto channel = MakeChannel("backend");
  channel->FindOrCreate("/pkg.S/Long");
  Open(channel->FindOrCreate("/pkg.S/M"));
  const Result result = Run({"list"});
  EXPECT_EQ(result.code, 0) << result.errors;
  EXPECT_EQ(result.errors, "");
  const std::vector<std::string> lines = result.lines();
  ASSERT_EQ(lines.size(), 3u) << result.output;
  EXPECT_THAT(lines[0], MatchesRegex("CHANNEL +METHOD +STATE +FOR +CALLS +"
                                     "FAILED +RATE +REJECTED +NEXT PROBE"));
  EXPECT_THAT(lines[1], MatchesRegex("backend +/pkg.S/Long +CLOSED .* -"));
  EXPECT_THAT(lines[2],
              MatchesRegex("backend +/pkg.S/M +OPEN .* 1 +1 +100.0% .*in .*s"));
  for (const char* column : {"METHOD", "STATE"}) {
    const size_t at = lines[0].find(column);
    for (const std::string& line : lines) {
      EXPECT_EQ(line[at - 1], ' ') << line;
      EXPECT_NE(line[at], ' ') << line;
    }
  }
}

TEST_F(BreakerctlTest, ListsTheHeadingAloneWhereThereIsNothing) {
  const Result result = Run({"list"});
  EXPECT_EQ(result.code, 0) << result.errors;
  EXPECT_THAT(result.lines(), ElementsAre(StartsWith("CHANNEL")));
}

TEST_F(BreakerctlTest, ListsWhatTheFiltersLeave) {
  auto a = MakeChannel("a");
  auto b = MakeChannel("b");
  Open(a->FindOrCreate("/pkg.S/M"));
  a->FindOrCreate("/pkg.S/N");
  a->FindOrCreate("/pkg.T/M");
  Open(b->FindOrCreate("/pkg.S/M"));
  EXPECT_EQ(Run({"list"}).lines().size(), 5u);
  EXPECT_EQ(Run({"list", "--channel=a"}).lines().size(), 4u);
  EXPECT_EQ(Run({"list", "--channel=a", "--prefix=/pkg.S/"}).lines().size(),
            3u);
  const Result result = Run(
      {"--channel=a", "--prefix=/pkg.S/", "--state=open,half-open", "list"});
  EXPECT_THAT(result.lines(),
              ElementsAre(StartsWith("CHANNEL"), HasSubstr("/pkg.S/M")));
}

TEST_F(BreakerctlTest, ListsMoreThanOnePage) {
  auto channel = MakeChannel("a");
  for (int i = 0; i < 250; ++i)
    channel->FindOrCreate(absl::StrCat("/pkg.S/M", i));
  EXPECT_EQ(Run({"list"}).lines().size(), 251u);
}

TEST_F(BreakerctlTest, ListsAsJson) {
  auto channel = MakeChannel("a");
  Open(channel->FindOrCreate("/pkg.S/M"));
  const Result result = Run({"list", "--json"});
  EXPECT_EQ(result.code, 0) << result.errors;
  admin::v1::ListBreakersResponse response;
  ASSERT_TRUE(JsonStringToMessage(result.output, &response).ok())
      << result.output;
  ASSERT_EQ(response.breakers_size(), 1);
  EXPECT_EQ(response.breakers(0).method(), "/pkg.S/M");
  EXPECT_EQ(response.breakers(0).state(), admin::v1::STATE_OPEN);
  // Zeros are shown, so that scripts need not know the defaults.
  EXPECT_THAT(result.output, HasSubstr("\"throttleProbability\": 0"));
}

TEST_F(BreakerctlTest, CountsInJsonAreNumbers) {
  const std::string name = "a\", \"rejections\": \"5\\";
  auto channel = MakeChannel(name);
  Method& method = channel->FindOrCreate("/pkg.S/M");
  Open(method);
  for (int i = 0; i < 3; ++i) {
    method.breaker().TryAcquire(Environment::Default().Now());
  }
  for (const char* command : {"list", "get"}) {
    std::vector<std::string> arguments = {command, "--json"};
    if (arguments[0] == "get") arguments.push_back("/pkg.S/M");
    const Result result = Run(arguments);
    EXPECT_THAT(result.output, HasSubstr("\"rejections\": 3,"));
    EXPECT_THAT(result.output, HasSubstr("\"transitions\": 1,"));
    EXPECT_THAT(result.output, HasSubstr("\"successes\": 0,"));
    EXPECT_THAT(result.output, HasSubstr("\"callsUnderWay\": 0,"));
    EXPECT_THAT(result.output, HasSubstr("\"wouldHaveRejected\": 0"));
    // Nothing else was taken for a number.
    EXPECT_THAT(result.output, HasSubstr("\"nextProbeIn\": \""));
    admin::v1::ListBreakersResponse list;
    admin::v1::Breaker* breaker = list.add_breakers();
    if (arguments[0] == "get") {
      ASSERT_TRUE(JsonStringToMessage(result.output, breaker).ok());
    } else {
      ASSERT_TRUE(JsonStringToMessage(result.output, &list).ok());
    }
    EXPECT_EQ(list.breakers(list.breakers_size() - 1).channel(), name);
    EXPECT_EQ(list.breakers(list.breakers_size() - 1).rejections(), 3u);
  }
}

TEST_F(BreakerctlTest, LongNamesFitIntoTheTerminal) {
  const std::string target =
      "dns:///" + std::string(900, 'x') + ".example.com:443";
  auto channel = MakeChannel(target);
  channel->FindOrCreate("/pkg.Service/Method");
  auto other = MakeChannel(
      "b\xC3\xA4"
      "ckend");
  other->FindOrCreate("/pkg.Service/Method");
  const auto run = [this](std::vector<std::string> arguments, int columns,
                          const std::string& variable) {
    arguments.insert(arguments.begin(),
                     {"--address=" + server_->address(), "--timeout=60s"});
    return RunAsIs(arguments, Process::Surroundings{{variable}, columns});
  };
  const auto widest = [](const Result& result) {
    size_t columns = 0;
    for (const std::string& line : result.lines()) {
      columns = std::max(columns, line.size());
    }
    return columns;
  };
  const Result fits = run({"list"}, 120, "A=B");
  EXPECT_LE(widest(fits), 120u) << fits.output;
  EXPECT_GE(widest(fits), 100u) << fits.output;
  EXPECT_THAT(fits.output, AllOf(HasSubstr("dns:///xxx"), HasSubstr("xxx..."),
                                 HasSubstr(".example.com:443 "),
                                 HasSubstr("b\xC3\xA4"
                                           "ckend"),
                                 HasSubstr(" /pkg.Service/Method ")));
  // Of both names the wider is the shorter in the end.
  const Result narrow = run({"list"}, 20, "A=B");
  EXPECT_THAT(narrow.output,
              AllOf(HasSubstr("dns:...m:443"), HasSubstr("/pkg...ethod")));
  EXPECT_EQ(widest(run({"list"}, 120, "COLUMNS=95")), 95u);
  EXPECT_GT(widest(run({"list", "--wide"}, 120, "A=B")), 900u);
  EXPECT_GT(widest(run({"list"}, 0, "COLUMNS=95")), 900u) << "into a pipe";
}

TEST_F(BreakerctlTest, OnlyWhatIsElsewhereGoesByTheProxy) {
  const int proxy = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(proxy, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(proxy, 100), 0);
  getsockname(proxy, reinterpret_cast<sockaddr*>(&address), &size);
  const std::string url =
      absl::StrCat("http://127.0.0.1:", ntohs(address.sin_port));
  const auto run = [&](const std::string& target, const std::string& timeout) {
    return RunAsIs(
        {"list", "--timeout=" + timeout, "--address=" + target},
        Process::Surroundings{
            {"http_proxy=" + url, "https_proxy=" + url, "grpc_proxy=" + url},
            0});
  };
  const auto proxy_was_asked = [proxy] {
    const int connection = accept(proxy, nullptr, nullptr);
    if (connection >= 0) close(connection);
    return connection >= 0;
  };

  auto on_port = Serve("127.0.0.1:0");
  const std::string& target = on_port->address();
  const std::string port = target.substr(target.rfind(':'));
  for (const std::string& local :
       {server_->address(), target, "ipv4:" + target, "dns:" + target,
        "dns:///" + target, "localhost" + port, "dns:///LOCALHOST" + port}) {
    const Result result = run(local, "60s");
    EXPECT_EQ(result.code, 0) << local << ": " << result.errors;
    EXPECT_FALSE(proxy_was_asked()) << local;
  }
  for (const char* local :
       {"[::1]:1", "ipv6:[::1]:1", "ipv6:%5B::1%5D:1", "127.1.2.3:1",
        "app.localhost:1", "ipv4:127.0.0.1:1,127.0.0.2:1"}) {
    run(local, "200ms");
    EXPECT_FALSE(proxy_was_asked()) << local;
  }
  for (const char* elsewhere :
       {"192.0.2.1:9", "example.com:9", "dns:///localhost.example.com:9"}) {
    run(elsewhere, "1s");
    EXPECT_TRUE(proxy_was_asked()) << elsewhere;
    while (proxy_was_asked()) {
    }
  }
  close(proxy);
}

TEST_F(BreakerctlTest, GetsAllOfOneBreaker) {
  server_.reset();
  AdminServerOptions options;
  options.show_error_messages = true;
  server_ = Serve("unix:" + path_ + "/s", options);
  auto channel = MakeChannel("backend");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  Open(method);
  LastError error;
  error.code = grpc::StatusCode::UNAVAILABLE;
  error.message = "no \x1b[31mred";
  error.error_class.category = ErrorCategory::kNetwork;
  error.error_class.severity = ErrorSeverity::kMedium;
  error.time = absl::Now();
  method.RecordError(error);

  const Result result = Run({"get", "/pkg.S/M"});
  EXPECT_EQ(result.code, 0) << result.errors;
  EXPECT_THAT(
      result.output,
      AllOf(HasSubstr("method:             /pkg.S/M\n"),
            HasSubstr("channel:            backend\n"),
            HasSubstr("state:              OPEN since "),
            HasSubstr("next probe:         in "),
            HasSubstr("1 call, 1 failed (100.0%)"),
            HasSubstr("UNAVAILABLE, NETWORK, MEDIUM, "),
            HasSubstr("ago: no \\x1b[31mred\n"),
            HasSubstr("3 times, after 1s x 2 up to 1m, jitter PLUS_MINUS_HALF"),
            HasSubstr("1 failure in a row; or 50.0% of at least 20 calls in "
                      "10s failed"),
            HasSubstr("history:\n  TIME ")));
  EXPECT_THAT(result.lines().back(),
              MatchesRegex(" +[0-9T:.-]+Z +backend +CLOSED +OPEN +1 +1 +.*"));
}

// What get writes, but for the lines that differ from method to method anyway.
std::string Rest(const Result& result) {
  EXPECT_EQ(result.code, 0) << result.errors;
  std::string rest;
  for (const std::string& line : result.lines()) {
    if (!absl::StartsWith(line, "method:") &&
        !absl::StartsWith(line, "channel:") &&
        !absl::StartsWith(line, "state:")) {
      absl::StrAppend(&rest, line, "\n");
    }
  }
  return rest;
}

TEST_F(BreakerctlTest, GetShowsEachFieldOfThePolicy) {
  Policy rich;  // In which each field matters.
  BreakerOptions& breaker = rich.breaker;
  breaker.last_calls = 100;
  breaker.last_calls_failures = 60;
  breaker.slow_rate = 0.75;
  breaker.slow_call = absl::Seconds(2);
  breaker.critical_weight = 4;
  breaker.throttle_k = 2;
  breaker.max_concurrent_calls = 17;
  breaker.open_multiplier = 1.5;
  breaker.open_jitter = 0.25;
  breaker.half_open_max_wait = absl::Seconds(9);
  breaker.ramp = {0.1};
  rich.hedging.max_hedges = 2;
  rich.hedging.delay_percentile = 90;
  rich.stream_retry.enabled = true;
  rich.fallback = Fallback::Fixed(grpc::Status::OK);
  ClassOverride& override = rich.classification[grpc::StatusCode::ABORTED];
  override.category = ErrorCategory::kRateLimit;
  override.severity = ErrorSeverity::kCritical;
  override.outcome = Outcome::kIgnored;
  override.retryable = false;

  Options options;
  options.channel_name = "rich";
  options.directory = &directory_;
  options.environment = &environment_;
  options.methods["/pkg.S/rich"] = rich;
  // A method per field, whose policy differs from that by it.
  const auto add_each_field = [&](const std::string& prefix, Policy& policy,
                                  auto& part) {
    internal::ForEachField(part, [&](const auto& field) {
      const auto kept = part;
      Change(field.value);
      options.methods[absl::StrCat("/pkg.S/", prefix, field.name)] = policy;
      part = kept;
    });
  };
  Policy policy = rich;
  add_each_field("", policy, policy);
  add_each_field("retry_", policy, policy.retry);
  add_each_field("hedging_", policy, policy.hedging);
  add_each_field("stream_retry_", policy, policy.stream_retry);
  add_each_field("breaker_", policy, policy.breaker);
  add_each_field("fallback_", policy, policy.fallback);
  add_each_field("classification_", policy,
                 policy.classification[grpc::StatusCode::ABORTED]);
  // There is a fallback already: what function it is cannot be seen.
  options.methods.erase("/pkg.S/fallback");
  options.methods.erase("/pkg.S/fallback_function");
  // That code has an override already: another one is added.
  options.methods["/pkg.S/classification"]
      .classification[grpc::StatusCode::NOT_FOUND];
  ASSERT_TRUE(options.Validate().ok()) << options.Validate();
  auto channel = *Registry::Create(options);

  const std::string before = Rest(Run({"get", "/pkg.S/rich"}));
  for (const auto& [name, changed] : options.methods) {
    if (name == "/pkg.S/rich") continue;
    EXPECT_NE(Rest(Run({"get", name})), before) << name;
  }
}

TEST_F(BreakerctlTest, GetShowsTheLastMinuteAndAllCalls) {
  auto channel = MakeManualChannel("a", Policy());
  Method& method = channel->FindOrCreate("/pkg.S/M");
  EXPECT_EQ(Got("/pkg.S/M", "last minute"), "0 calls");
  EXPECT_EQ(Got("/pkg.S/M", "calls"), "0, 0 failed");

  const auto reject = [&] {
    method.records().AddCall(
        {absl::StatusCode::kUnavailable, ErrorCategory::kTransient,
         StopReason::kBreakerOpen, /*attempts=*/0, absl::ZeroDuration()},
        environment_.Now());
  };
  reject();
  EXPECT_EQ(Got("/pkg.S/M", "last minute"),
            "1 call, 1 a second; 1 failed, 1 rejected");
  for (int i = 0; i < 98; ++i) {
    method.records().AddSuccessAtOnce(absl::Milliseconds(1.22),
                                      environment_.Now());
  }
  method.records().AddCall(
      {absl::StatusCode::kInternal, ErrorCategory::kPermanent,
       StopReason::kNotRetryable, /*attempts=*/1, absl::Seconds(3.05)},
      environment_.Now());
  environment_.Advance(absl::Seconds(8));
  EXPECT_EQ(Got("/pkg.S/M", "last minute"),
            "100 calls, 12.5 a second; 2 failed, 1 rejected; "
            "50% took 1.25ms at most, 95% 1.25ms, 99% 3.12s");
  EXPECT_EQ(Got("/pkg.S/M", "calls"), "100, 2 failed");

  environment_.Advance(absl::Minutes(1));
  EXPECT_EQ(Got("/pkg.S/M", "last minute"), "0 calls");
  EXPECT_EQ(Got("/pkg.S/M", "calls"), "100, 2 failed");
}

TEST_F(BreakerctlTest, GetShowsTheRetryBudget) {
  Options options;
  options.directory = &directory_;
  options.environment = &environment_;
  options.channel_name = "budget";
  options.retry_budget.max_tokens = 10;
  auto channel = *Registry::Create(options);
  channel->FindOrCreate("/pkg.S/M").retry_budget()->RecordFailure();
  EXPECT_EQ(Got("/pkg.S/M", "retry budget"),
            "9 of 10 tokens left, 0.1 back for a success");
}

TEST_F(BreakerctlTest, GetShowsTheRatioOfTheRetryBudget) {
  Options options;
  options.directory = &directory_;
  options.environment = &environment_;
  options.channel_name = "budget";
  options.retry_budget.ratio = 0.2;
  options.retry_budget.min_retries_per_second = 3;
  options.retry_budget.per_channel = true;
  auto channel = *Registry::Create(options);
  channel->FindOrCreate("/pkg.S/M")
      .retry_budget()
      ->TakeRetry(environment_.Now());
  EXPECT_EQ(Got("/pkg.S/M", "retry budget"),
            "20.0% of the calls in 10s, at least 3 a second, 29 left; "
            "of this channel alone");
}

TEST_F(BreakerctlTest, GetShowsTheOptionsThatABreakerHasNow) {
  auto channel = MakeManualChannel("a", Policy());
  Method& method = channel->FindOrCreate("/pkg.S/M");
  BreakerOptions options;
  options.consecutive_failures = 99;
  options.failure_rate = 0;
  options.open_duration = absl::Seconds(3);
  ASSERT_TRUE(method.breaker().Reconfigure(options, environment_.Now()).ok());
  EXPECT_EQ(Got("/pkg.S/M", "opens"), "99 failures in a row");
  EXPECT_EQ(Got("/pkg.S/M", "stays open"), "3s");
}

TEST_F(BreakerctlTest, GetShowsWhatMetricsOnlyWouldDo) {
  Policy policy;
  policy.breaker.consecutive_failures = 2;
  auto channel = MakeManualChannel("a", policy);
  Method& method = channel->FindOrCreate("/pkg.S/M");
  ASSERT_TRUE(method.breaker()
                  .SetManualState({BreakerState::kMetricsOnly, "", ""},
                                  environment_.Now())
                  .ok());
  EXPECT_EQ(Got("/pkg.S/M", "would be"), "CLOSED");
  Fail(method, 3);
  EXPECT_EQ(Got("/pkg.S/M", "would be"), "OPEN");
  EXPECT_EQ(Got("/pkg.S/M", "would have rejected"), "1 call");
  EXPECT_EQ(Got("/pkg.S/M", "rejections"), "0");
  Fail(method, 47);
  EXPECT_EQ(Got("/pkg.S/M", "would have rejected"), "48 calls");
  method.breaker().Reset("", "", environment_.Now());
  EXPECT_EQ(Got("/pkg.S/M", "would be"), "");
  EXPECT_EQ(Got("/pkg.S/M", "would have rejected"), "48 calls");
}

TEST_F(BreakerctlTest, GetShowsWhatThrottleAndBulkheadDo) {
  Policy policy;
  policy.breaker.consecutive_failures = 0;
  policy.breaker.failure_rate = 0;
  auto channel = MakeManualChannel("nothing", policy);
  channel->FindOrCreate("/pkg.S/Nothing");
  EXPECT_EQ(Got("/pkg.S/Nothing", "opens"), "never: no rule is set");
  EXPECT_EQ(Got("/pkg.S/Nothing", "recovers"), "");

  policy.breaker.throttle_k = 2;
  policy.breaker.max_concurrent_calls = 5;
  auto throttled = MakeManualChannel("throttled", policy);
  Method& method = throttled->FindOrCreate("/pkg.S/M");
  Fail(method);
  CircuitBreaker::Permit held = method.breaker().TryAcquire(environment_.Now());
  ASSERT_TRUE(held.admitted());
  EXPECT_EQ(Got("/pkg.S/M", "opens"), "never, but refuses calls as said below");
  EXPECT_EQ(Got("/pkg.S/M", "throttle"),
            "refuses 50.0% now; begins when the calls of 10s exceed 2 x their "
            "successes");
  EXPECT_EQ(Got("/pkg.S/M", "bulkhead"), "1 of at most 5 calls under way");

  policy.breaker.enabled = false;
  auto disabled = MakeManualChannel("disabled", policy);
  disabled->FindOrCreate("/pkg.S/Off");
  EXPECT_EQ(Got("/pkg.S/Off", "opens"), "never: turned off");
}

TEST_F(BreakerctlTest, GetShowsHowABreakerRecovers) {
  Policy policy;
  BreakerOptions& options = policy.breaker;
  options.consecutive_failures = 1;
  auto by_count = MakeManualChannel("by count", policy);
  by_count->FindOrCreate("/pkg.S/ByCount");
  EXPECT_EQ(Got("/pkg.S/ByCount", "stays open"), "1m");
  EXPECT_EQ(Got("/pkg.S/ByCount", "recovers"),
            "3 probes at once, 2 successes close, a failure opens again; a "
            "probe holds its place for 1m at most");

  options.half_open_failure_rate = 0.5;
  options.half_open_permits = 10;
  options.half_open_max_wait = absl::Seconds(7);
  options.open_multiplier = 2;
  options.open_jitter = 0.1;
  options.use_server_delay = true;
  options.ramp = {0.1, 0.5};
  auto by_rate = MakeManualChannel("by rate", policy);
  Method& method = by_rate->FindOrCreate("/pkg.S/ByRate");
  EXPECT_EQ(Got("/pkg.S/ByRate", "stays open"),
            "1m, 2 x as long after each failed recovery, give or take 10.0%, "
            "or as long as the server asks, at least 6s, up to 10m");
  EXPECT_EQ(Got("/pkg.S/ByRate", "recovers"),
            "10 outcomes awaited: opens again if at least 50.0% failed, else "
            "closes; a probe holds its place for 1m at most; opens again "
            "if undecided after 7s");
  EXPECT_EQ(Got("/pkg.S/ByRate", "ramp"),
            "admits 10.0%, 50.0% of the calls after recovery, each for 10s");

  Fail(method);
  EXPECT_EQ(Got("/pkg.S/ByRate", "next probe").substr(0, 3), "in ");
  EXPECT_EQ(Got("/pkg.S/ByRate", "window"),
            "1 call, 1 failed (100.0%), 0 slow (0.0%), at the last change of "
            "state");
  environment_.Advance(absl::Minutes(2));
  EXPECT_EQ(Got("/pkg.S/ByRate", "next probe"), "now");
  std::vector<CircuitBreaker::Permit> probes;
  for (int i = 0; i < 10; ++i) {
    probes.push_back(method.breaker().TryAcquire(environment_.Now()));
  }
  probes[0].Record(Outcome::kSuccess, environment_.Now());
  probes[1].Record(Outcome::kFailure, environment_.Now());
  EXPECT_EQ(Got("/pkg.S/ByRate", "probes"),
            "8 under way, 1 succeeded, 1 failed");
  for (int i = 2; i < 10; ++i) {
    probes[i].Record(Outcome::kSuccess, environment_.Now());
  }
  EXPECT_EQ(Got("/pkg.S/ByRate", "admits"), "10.0% of the calls, by the ramp");
}

TEST_F(BreakerctlTest, GetShowsWhoHoldsTheStateAndWhyAsFarAsTheySaid) {
  auto channel = MakeManualChannel("a", Policy());
  Method& method = channel->FindOrCreate("/pkg.S/M");
  const auto held = [&](const std::string& reason, const std::string& actor,
                        absl::Duration time_to_live) {
    EXPECT_TRUE(method.breaker()
                    .SetManualState({BreakerState::kForcedOpen, reason, actor,
                                     time_to_live},
                                    environment_.Now())
                    .ok());
    return Got("/pkg.S/M", "held");
  };
  const absl::Duration ever = absl::InfiniteDuration();
  EXPECT_EQ(Got("/pkg.S/M", "held"), "");
  EXPECT_EQ(held("", "", ever), "by hand, until reset");
  EXPECT_EQ(held("tests", "", ever), "by hand: tests, until reset");
  EXPECT_EQ(held("", "alice", ever), "by alice, until reset");
  EXPECT_EQ(held("tests", "alice", absl::Minutes(5)),
            "by alice: tests, for another 5m");
}

TEST_F(BreakerctlTest, GetShowsWhatListenersMissed) {
  struct Blind : BreakerListener {
    void OnTransition(const BreakerTransition&) override { throw 1; }
  };
  Options options;
  options.channel_name = "a";
  options.directory = &directory_;
  options.environment = &environment_;
  options.default_policy.breaker.consecutive_failures = 1;
  options.listeners.push_back(std::make_shared<Blind>());
  auto channel = *Registry::Create(options);
  Method& method = channel->FindOrCreate("/pkg.S/M");
  EXPECT_EQ(Got("/pkg.S/M", "listeners"), "");
  Fail(method);
  EXPECT_EQ(Got("/pkg.S/M", "listeners"), "missed 0 events, failed at 1 event");
}

TEST_F(BreakerctlTest, ShowsDurationsThatNobodyCanSet) {
  DelegatingEnvironment environment;
  Options options;
  options.channel_name = "a";
  options.directory = &directory_;
  options.environment = &environment;
  options.default_policy.breaker.consecutive_failures = 1;
  auto channel = *Registry::Create(options);
  Method& method = channel->FindOrCreate("/pkg.S/M");
  method.RecordError({grpc::StatusCode::UNAVAILABLE, "x", {}, {}});
  method.breaker()
      .TryAcquire(environment.Now())
      .Record(Outcome::kFailure, environment.Now());
  environment.Advance(absl::Seconds(10));
  environment.StepWallClock(absl::Hours(8760));
  EXPECT_THAT(Run({"list"}).lines().back(),
              MatchesRegex(".* OPEN +10s .* in 50s"));
  EXPECT_THAT(Got("/pkg.S/M", "state"), ::testing::EndsWith(", 10s ago"));
  EXPECT_EQ(Got("/pkg.S/M", "next probe"), "in 50s");
  // What the server wrote is not shown unless the application allows it.
  EXPECT_THAT(Got("/pkg.S/M", "last error"), ::testing::EndsWith(", 10s ago"));
}

TEST_F(BreakerctlTest, GetsAsJson) {
  auto channel = MakeChannel("a");
  Open(channel->FindOrCreate("/pkg.S/M"));
  const Result result = Run({"get", "/pkg.S/M", "--json"});
  admin::v1::Breaker breaker;
  ASSERT_TRUE(JsonStringToMessage(result.output, &breaker).ok())
      << result.output;
  EXPECT_EQ(breaker.channel(), "a");
  EXPECT_EQ(breaker.history_size(), 1);
}

TEST_F(BreakerctlTest, ExitsWith3WhereThereIsNoSuchBreaker) {
  const Result result = Run({"get", "/pkg.S/M"});
  EXPECT_EQ(result.code, 3);
  EXPECT_EQ(result.output, "");
  EXPECT_EQ(result.errors,
            "breakerctl: method: \"/pkg.S/M\" was not called and has no "
            "policy of its own\n");
}

TEST_F(BreakerctlTest, ExitsWith4WhereTheChannelMustBeChosen) {
  auto a = MakeChannel("a");
  auto b = MakeChannel("b");
  a->FindOrCreate("/pkg.S/M");
  b->FindOrCreate("/pkg.S/M");
  const Result result = Run({"get", "/pkg.S/M"});
  EXPECT_EQ(result.code, 4);
  EXPECT_THAT(result.errors, HasSubstr("several have /pkg.S/M"));
  EXPECT_EQ(Run({"get", "/pkg.S/M", "--channel=b"}).code, 0);
}

TEST_F(BreakerctlTest, ExitsWith2OnAWrongCommandLine) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{}, "a command is missing"},
      {{"lost"}, "there is no command \"lost\"; the nearest is list"},
      {{"help", "lost"}, "there is no command"},
      {{"get"}, "get: METHOD is missing"},
      {{"get", "/pkg.S/M", "/pkg.S/N"}, "get: too much"},
      {{"list", "all"}, "list: too much"},
      {{"get", "/pkg.S/M", "--state=OPEN"}, "get: --state is for list, watch"},
      {{"list", "--state=half-opn"},
       "there is no state \"half-opn\"; the nearest is HALF_OPEN"},
      {{"list", "--state=UNSPECIFIED"}, "there is no state"},
      {{"list", "--prefix=pkg"}, "filter.method_prefix"},
      {{"get", "pkg"}, "method: must be of the form"},
      {{"list", "--jsn"},
       "list: there is no flag --jsn; the nearest is --json"},
      {{"list", "--timeout=soon"},
       "must be a duration such as 500ms, got \"soon"},
      {{"list", "--color=blue"}, "must be auto, always or never, got \"blue\""},
      {{"--jsn"}, "there is no flag --jsn"},
  };
  for (const auto& [arguments, message] : cases) {
    const Result result = RunAsIs(arguments, server_->address());
    EXPECT_EQ(result.code, 2) << message << ": " << result.errors;
    EXPECT_THAT(result.errors, HasSubstr(message));
    EXPECT_EQ(result.output, "") << message;
  }
  EXPECT_THAT(RunAsIs({"list", "--timeout=0"}, server_->address()).errors,
              HasSubstr("--timeout: must be greater than 0"));
  EXPECT_EQ(RunAsIs({"get"}, server_->address()).errors,
            "breakerctl: get: METHOD is missing; see breakerctl get --help\n");
  const Result no_address = RunAsIs({"list"});
  EXPECT_EQ(no_address.code, 2);
  EXPECT_THAT(no_address.errors, HasSubstr("$BREAKERCTL_ADDRESS"));
}

TEST_F(BreakerctlTest, ExitsWith1WhereNobodyAnswers) {
  for (const char* command : {"list", "watch"}) {
    const Result result = RunAsIs(
        {command, "--timeout=100ms", "--address=unix:" + path_ + "/missing"});
    EXPECT_EQ(result.code, 1);
    EXPECT_EQ(result.output, "");
    EXPECT_THAT(result.errors, AllOf(StartsWith("breakerctl: "),
                                     HasSubstr(path_ + "/missing")));
  }
}

TEST_F(BreakerctlTest, TheFlagWinsOverTheEnvironment) {
  const Result result = RunAsIs(
      {"list", "--timeout=60s", "--address=" + server_->address()}, "nowhere");
  EXPECT_EQ(result.code, 0) << result.errors;
}

TEST_F(BreakerctlTest, HelpNamesEveryCommandAndExitStatus) {
  const Result result = RunAsIs({"--help"});
  EXPECT_EQ(result.code, 0);
  for (const char* word : {"Usage: breakerctl COMMAND [FLAG...]", "  list ",
                           "  get ", "  watch ", "  help ", "  --version",
                           "  0  ", "  1  ", "  2  ", "  3  ", "  4  "}) {
    EXPECT_THAT(result.output, HasSubstr(word));
  }
  EXPECT_EQ(RunAsIs({"help"}).output, result.output);
  EXPECT_EQ(RunAsIs({"-h"}).output, result.output);
}

TEST_F(BreakerctlTest, HelpOfACommandNamesItsArgumentsAndFlags) {
  const Result list = RunAsIs({"list", "--help"});
  EXPECT_EQ(list.code, 0);
  for (const char* word :
       {"Usage: breakerctl list [FLAG...]\n", "\nFlags:\n", "--channel CHANNEL",
        "--prefix PREFIX", "--state STATE,...", "HALF_OPEN",
        "--address ADDRESS", "$BREAKERCTL_ADDRESS", "--timeout DURATION",
        "default\n                        5s", "--json ", "--wide ",
        "--color WHEN"}) {
    EXPECT_THAT(list.output, HasSubstr(word));
  }
  EXPECT_EQ(RunAsIs({"help", "list"}).output, list.output);
  EXPECT_EQ(RunAsIs({"--json", "-h", "list"}).output, list.output);

  const Result get = RunAsIs({"get", "--help"});
  EXPECT_THAT(get.output,
              HasSubstr("Usage: breakerctl get [FLAG...] METHOD\n"));
  EXPECT_THAT(get.output, HasSubstr("--channel CHANNEL"));
  EXPECT_THAT(get.output, ::testing::Not(HasSubstr("--state")));
}

TEST_F(BreakerctlTest, HelpFitsIntoTheTerminal) {
  for (const auto& [columns, widest] :
       {std::pair(60, 60u), std::pair(200, 100u), std::pair(0, 80u)}) {
    const Result result =
        RunAsIs({"list", "--help"}, Process::Surroundings{{"A=B"}, columns});
    size_t width = 0;
    for (const std::string& line : result.lines()) {
      width = std::max(width, line.size());
    }
    EXPECT_LE(width, widest) << result.output;
    EXPECT_GT(width, widest * 9 / 10) << result.output;
  }
}

TEST_F(BreakerctlTest, ThereAreColoursOnATerminalThatHasThem) {
  auto channel = MakeChannel("a");
  Open(channel->FindOrCreate("/pkg.S/M"));
  const std::string red = "\x1b[31mOPEN\x1b[0m";
  const auto list = [this](int columns, std::vector<std::string> variables,
                           std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.end(), {"list", "--timeout=60s"});
    variables.push_back("BREAKERCTL_ADDRESS=" + server_->address());
    return RunAsIs(arguments, Process::Surroundings{variables, columns}).output;
  };
  const std::string plain = list(200, {});
  EXPECT_THAT(plain, HasSubstr(" OPEN "));
  EXPECT_THAT(plain, ::testing::Not(HasSubstr("\x1b")));
  const std::string colored = list(200, {"TERM=xterm"});
  EXPECT_THAT(colored, HasSubstr(red));
  EXPECT_THAT(colored, HasSubstr("\x1b[1mMETHOD\x1b[0m"));
  // Columns are where they are without.
  EXPECT_EQ(colored.find(red) - colored.rfind('\n', colored.find(red)),
            plain.find("OPEN") - plain.rfind('\n', plain.find("OPEN")));
  EXPECT_THAT(list(200, {"TERM=xterm", "NO_COLOR="}), HasSubstr(red));
  for (const std::string& without :
       {list(200, {"TERM=xterm", "NO_COLOR=1"}), list(200, {"TERM=dumb"}),
        list(0, {"TERM=xterm"}),
        list(200, {"TERM=xterm"}, {"--color=never"})}) {
    EXPECT_THAT(without, ::testing::Not(HasSubstr("\x1b")));
  }
  EXPECT_THAT(list(0, {"NO_COLOR=1"}, {"--color=always"}), HasSubstr(red));
}

TEST_F(BreakerctlTest, OfAFlagThatIsGivenTwiceTheLastCounts) {
  auto channel = MakeChannel("a");
  channel->FindOrCreate("/pkg.S/M");
  EXPECT_EQ(
      Run({"--prefix=/other.S/", "list", "--prefix", "/pkg.S/"}).lines().size(),
      2u);
}

// The value of a flag before the command is not taken for the command.
TEST_F(BreakerctlTest, FlagsMayStandBeforeTheCommand) {
  auto channel = MakeChannel("get");
  channel->FindOrCreate("/pkg.S/M");
  auto other = MakeChannel("other");
  other->FindOrCreate("/pkg.S/M");
  const Result result = Run({"--wide", "--channel", "get", "list"});
  EXPECT_EQ(result.code, 0) << result.errors;
  EXPECT_THAT(result.lines(),
              ElementsAre(StartsWith("CHANNEL"), StartsWith("get ")));
}

TEST_F(BreakerctlTest, TellsItsVersion) {
  const Result result = RunAsIs({"--version"});
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.output,
              MatchesRegex("breakerctl [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST_F(BreakerctlTest, ARepeatedStateAdds) {
  auto channel = MakeChannel("a");
  Open(channel->FindOrCreate("/pkg.S/Open"));
  channel->FindOrCreate("/pkg.S/Closed");
  EXPECT_EQ(Run({"list", "--state=OPEN", "--state", "closed"}).lines().size(),
            3u);
  EXPECT_EQ(Run({"list", "--state=OPEN", "--state=half-open"}).lines().size(),
            2u);
  EXPECT_EQ(Run({"list", "--state=AJAR", "--state=OPEN"}).code, 2);
}

TEST_F(BreakerctlTest, WatchesOneLinePerChange) {
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  Process process({"watch", "--timeout=60s"}, server_->address());
  const std::string time = "[0-9T:.-]+Z ";
  EXPECT_THAT(process.ReadLine(),
              MatchesRegex(time + "SNAPSHOT a /pkg.S/M CLOSED"));
  Open(method);
  EXPECT_THAT(process.ReadLine(),
              MatchesRegex(time + "CHANGED a /pkg.S/M OPEN \\(.+\\)"));
  channel->FindOrCreate("/pkg.S/N");
  EXPECT_THAT(process.ReadLine(),
              MatchesRegex(time + "ADDED a /pkg.S/N CLOSED"));
  channel.reset();
  EXPECT_THAT(process.ReadLine(), MatchesRegex(time + "REMOVED a"));
}

TEST_F(BreakerctlTest, WatchesAsOneJsonObjectPerLine) {
  using Event = admin::v1::WatchBreakersResponse;
  auto channel = MakeChannel("a");
  Method& method = channel->FindOrCreate("/pkg.S/M");
  Process process({"watch", "--json", "--timeout=60s"}, server_->address());
  const auto read = [&process] {
    Event event;
    const std::string line = process.ReadLine();
    EXPECT_TRUE(JsonStringToMessage(line, &event).ok()) << line;
    return event;
  };
  EXPECT_EQ(read().kind(), Event::KIND_SNAPSHOT);
  EXPECT_EQ(read().kind(), Event::KIND_SNAPSHOT_END);
  Open(method);
  const Event change = read();
  EXPECT_EQ(change.kind(), Event::KIND_CHANGED);
  EXPECT_EQ(change.breaker().state(), admin::v1::STATE_OPEN);
}

TEST_F(BreakerctlTest, AWatchExitsWith1WhenTheServerStops) {
  Process process({"watch", "--json", "--timeout=60s"}, server_->address());
  EXPECT_THAT(process.ReadLine(), HasSubstr("KIND_SNAPSHOT_END"));
  server_.reset();
  EXPECT_EQ(process.Wait(), 1);
  EXPECT_THAT(process.ReadErrors(), StartsWith("breakerctl: unix:"));
}

}  // namespace
}  // namespace grpc_breaker
