// Runs the real breakerctl against a real server.

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "grpc_breaker/admin_server.h"
#include "grpc_breaker/registry.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

using ::google::protobuf::util::JsonStringToMessage;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

// One run of breakerctl.
class Process {
 public:
  Process(const std::vector<std::string>& arguments,
          const std::string& address_in_environment = "") {
    int out[2];
    int err[2];
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) abort();
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO);
    std::vector<std::string> words = {BREAKERCTL};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(&word[0]);
    argv.push_back(nullptr);
    std::string variable =
        absl::StrCat("BREAKERCTL_ADDRESS=", address_in_environment);
    char* environment[] = {&variable[0], nullptr};
    started_ = posix_spawn(&pid_, BREAKERCTL, &actions, nullptr, argv.data(),
                           environment) == 0;
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    close(err[1]);
    out_ = fdopen(out[0], "r");
    err_ = fdopen(err[0], "r");
    EXPECT_TRUE(started_) << "cannot run " << BREAKERCTL;
  }
  ~Process() {
    Stop();
    fclose(out_);
    fclose(err_);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // The next line of the output, without its end; "" at the end of it.
  std::string ReadLine() {
    std::string line;
    for (int c; (c = fgetc(out_)) != EOF && c != '\n';) line += char(c);
    return line;
  }

  std::string ReadOutput() { return ReadAll(out_); }
  std::string ReadErrors() { return ReadAll(err_); }

  // Waits for the end; -1 if there was no exit status.
  int Wait() {
    int status = 0;
    if (!started_ || waitpid(pid_, &status, 0) != pid_) return -1;
    started_ = false;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  void Stop() {
    if (!started_) return;
    kill(pid_, SIGTERM);
    Wait();
  }

 private:
  static std::string ReadAll(FILE* file) {
    std::string text;
    for (int c; (c = fgetc(file)) != EOF;) text += char(c);
    return text;
  }

  bool started_ = false;
  pid_t pid_ = 0;
  FILE* out_ = nullptr;
  FILE* err_ = nullptr;
};

struct Result {
  int code;
  std::string output;
  std::string errors;
  std::vector<std::string> lines() const {
    return absl::StrSplit(output, '\n', absl::SkipEmpty());
  }
};

class BreakerctlTest : public ::testing::Test {
 protected:
  BreakerctlTest() {
    std::string name = "/tmp/breakerctl_test.XXXXXX";
    if (mkdtemp(&name[0]) != nullptr) path_ = name;
    server_ = *AdminServer::Start("unix:" + path_ + "/s", directory_);
  }
  ~BreakerctlTest() override {
    server_.reset();
    std::filesystem::remove_all(path_);
  }

  // With the server's address in the environment, and time enough.
  Result Run(std::vector<std::string> arguments) {
    arguments.push_back("--timeout=60s");
    return RunAsIs(arguments, server_->address());
  }

  static Result RunAsIs(const std::vector<std::string>& arguments,
                        const std::string& address = "") {
    Process process(arguments, address);
    Result result;
    result.output = process.ReadOutput();
    result.errors = process.ReadErrors();
    result.code = process.Wait();
    return result;
  }

  std::shared_ptr<Registry> MakeChannel(const std::string& name) {
    Options options;
    options.channel_name = name;
    options.directory = &directory_;
    options.default_policy.breaker.consecutive_failures = 1;
    return *Registry::Create(options);
  }

  static void Open(Method& method) {
    Environment& environment = Environment::Default();
    method.breaker()
        .TryAcquire(environment.Now())
        .Record(Outcome::kFailure, environment.Now());
  }

  std::string path_;
  Directory directory_;
  std::unique_ptr<AdminServer> server_;
};

TEST_F(BreakerctlTest, ListsBreakersInAlignedColumns) {
  auto channel = MakeChannel("backend");
  channel->Find("/pkg.S/Long");
  Open(channel->Find("/pkg.S/M"));
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
  Open(a->Find("/pkg.S/M"));
  a->Find("/pkg.S/N");
  a->Find("/pkg.T/M");
  Open(b->Find("/pkg.S/M"));
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
  for (int i = 0; i < 250; ++i) channel->Find(absl::StrCat("/pkg.S/M", i));
  EXPECT_EQ(Run({"list"}).lines().size(), 251u);
}

TEST_F(BreakerctlTest, ListsAsJson) {
  auto channel = MakeChannel("a");
  Open(channel->Find("/pkg.S/M"));
  const Result result = Run({"list", "--json"});
  EXPECT_EQ(result.code, 0) << result.errors;
  admin::v1::ListBreakersResponse response;
  ASSERT_TRUE(JsonStringToMessage(result.output, &response).ok())
      << result.output;
  ASSERT_EQ(response.breakers_size(), 1);
  EXPECT_EQ(response.breakers(0).method(), "/pkg.S/M");
  EXPECT_EQ(response.breakers(0).state(), admin::v1::STATE_OPEN);
  // Zeros are shown, so that scripts need not know the defaults.
  EXPECT_THAT(result.output, HasSubstr("\"rejections\": \"0\""));
}

TEST_F(BreakerctlTest, GetsAllOfOneBreaker) {
  auto channel = MakeChannel("backend");
  Method& method = channel->Find("/pkg.S/M");
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
            HasSubstr("1 calls, 1 failed (100.0%)"),
            HasSubstr("UNAVAILABLE, NETWORK, MEDIUM, "),
            HasSubstr("ago: no \\x1b[31mred\n"),
            HasSubstr("3 times, after 1s x 2 up to 1m, jitter PLUS_MINUS_HALF"),
            HasSubstr("1 failures in a row; or 50.0% of at least 20 calls in "
                      "10s failed"),
            HasSubstr("history:\n  TIME ")));
  EXPECT_THAT(result.lines().back(), MatchesRegex(".*CLOSED +OPEN +1 +1 +.*"));
}

TEST_F(BreakerctlTest, GetsAsJson) {
  auto channel = MakeChannel("a");
  Open(channel->Find("/pkg.S/M"));
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
  a->Find("/pkg.S/M");
  b->Find("/pkg.S/M");
  const Result result = Run({"get", "/pkg.S/M"});
  EXPECT_EQ(result.code, 4);
  EXPECT_THAT(result.errors, HasSubstr("several have /pkg.S/M"));
  EXPECT_EQ(Run({"get", "/pkg.S/M", "--channel=b"}).code, 0);
}

TEST_F(BreakerctlTest, ExitsWith2OnAWrongCommandLine) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{}, "a command is missing"},
      {{"frobnicate"}, "there is no command"},
      {{"get"}, "get: METHOD is missing"},
      {{"get", "/pkg.S/M", "/pkg.S/N"}, "get: too much"},
      {{"list", "all"}, "list: too much"},
      {{"get", "/pkg.S/M", "--state=OPEN"}, "--prefix and --state"},
      {{"list", "--state=AJAR"}, "there is no state"},
      {{"list", "--state=UNSPECIFIED"}, "there is no state"},
      {{"list", "--prefix=pkg"}, "filter.method_prefix"},
      {{"get", "pkg"}, "method: must be of the form"},
      {{"list", "--no_such_flag"}, "no_such_flag"},
      {{"list", "--timeout=soon"}, "timeout"},
  };
  for (const auto& [arguments, message] : cases) {
    const Result result = RunAsIs(arguments, server_->address());
    EXPECT_EQ(result.code, 2) << message << ": " << result.errors;
    EXPECT_THAT(result.errors, HasSubstr(message));
    EXPECT_EQ(result.output, "") << message;
  }
  EXPECT_THAT(RunAsIs({"list", "--timeout=0"}, server_->address()).errors,
              HasSubstr("--timeout: must be greater than 0"));
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

TEST_F(BreakerctlTest, HelpNamesEveryCommandFlagAndExitStatus) {
  const Result result = RunAsIs({"--help"});
  EXPECT_EQ(result.code, 0);
  for (const char* word :
       {"list", "get METHOD", "watch", "--address", "--channel", "--prefix",
        "--state", "--timeout", "--json", "  0  ", "  1  ", "  2  ", "  3  ",
        "  4  "}) {
    EXPECT_THAT(result.output, HasSubstr(word));
  }
}

TEST_F(BreakerctlTest, WatchesOneLinePerChange) {
  auto channel = MakeChannel("a");
  Method& method = channel->Find("/pkg.S/M");
  Process process({"watch", "--timeout=60s"}, server_->address());
  const std::string time = "[0-9T:.-]+Z ";
  EXPECT_THAT(process.ReadLine(),
              MatchesRegex(time + "SNAPSHOT a /pkg.S/M CLOSED"));
  Open(method);
  EXPECT_THAT(process.ReadLine(),
              MatchesRegex(time + "CHANGED a /pkg.S/M OPEN \\(.+\\)"));
  channel->Find("/pkg.S/N");
  EXPECT_THAT(process.ReadLine(),
              MatchesRegex(time + "ADDED a /pkg.S/N CLOSED"));
  channel.reset();
  EXPECT_THAT(process.ReadLine(), MatchesRegex(time + "REMOVED a"));
}

TEST_F(BreakerctlTest, WatchesAsOneJsonObjectPerLine) {
  using Event = admin::v1::WatchBreakersResponse;
  auto channel = MakeChannel("a");
  Method& method = channel->Find("/pkg.S/M");
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
