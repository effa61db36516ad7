// One breakerctl and several processes.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "grpc_breaker/admin_authorizer.h"
#include "grpc_breaker/admin_server.h"
#include "grpc_breaker/registry.h"
#include "gtest/gtest.h"
#include "tests/breakerctl_fixture.h"
#include "tests/on_terminal.h"

namespace grpc_breaker {
namespace {

using ::google::protobuf::util::JsonStringToMessage;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

// It accepts connections and says nothing.
class Silent {
 public:
  Silent() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(socket_, 100), 0);
    getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    address_ = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  }
  ~Silent() { close(socket_); }
  Silent(const Silent&) = delete;
  Silent& operator=(const Silent&) = delete;

  const std::string& address() const { return address_; }

 private:
  const int socket_;
  std::string address_;
};

// Two processes: each has a directory and a server of its own.
class BreakerctlFleetTest : public BreakerctlFixture {
 protected:
  BreakerctlFleetTest() {
    first_ = Start(&directory_, "1");
    second_ = Start(&other_directory_, "2");
    here_ = MakeIn(&directory_);
    there_ = MakeIn(&other_directory_);
  }

  std::unique_ptr<AdminServer> Start(Directory* directory,
                                     const std::string& name) {
    AdminServerOptions options;
    options.directory = directory;
    options.authorizer = AllowUnixSockets();
    return *AdminServer::Start(absl::StrCat("unix:", path_, "/", name),
                               options);
  }

  static std::shared_ptr<Registry> MakeIn(Directory* directory) {
    return MakeFragileChannel("a", directory);
  }

  std::string Path(const std::string& name) const {
    return absl::StrCat("unix:", path_, "/", name);
  }
  // Both of them.
  std::string Both() const { return absl::StrCat(Path("1"), ",", Path("2")); }

  Result RunFor(const std::string& address, std::vector<std::string> words) {
    words.insert(words.end(), {"--address=" + address, "--timeout=60s"});
    return RunAsIs(words);
  }

  Directory other_directory_;
  std::unique_ptr<AdminServer> first_;
  std::unique_ptr<AdminServer> second_;
  std::shared_ptr<Registry> here_;
  std::shared_ptr<Registry> there_;
};

TEST_F(BreakerctlFleetTest, ListsWhatAllHaveAndWhoHasIt) {
  here_->FindOrCreate("/pkg.S/M");
  Open(there_->FindOrCreate("/pkg.S/M"));
  const Result result = RunFor(Both(), {"list"});
  EXPECT_EQ(result.code, 0) << result.errors;
  EXPECT_THAT(
      result.lines(),
      ElementsAre(
          MatchesRegex("PROCESS +CHANNEL +METHOD +STATE .*"),
          MatchesRegex(absl::StrCat(Path("1"), " +a +/pkg.S/M +CLOSED .*")),
          MatchesRegex(absl::StrCat(Path("2"), " +a +/pkg.S/M +OPEN .*"))));
}

TEST_F(BreakerctlFleetTest, AFileNamesThemAsWell) {
  here_->FindOrCreate("/pkg.S/M");
  std::ofstream(path_ + "/list") << Path("1") << "\n" << Path("2") << "\n";
  there_->FindOrCreate("/pkg.S/N");
  EXPECT_THAT(RunFor("@" + path_ + "/list", {"list"}).lines(),
              ElementsAre(StartsWith("PROCESS"), StartsWith(Path("1")),
                          StartsWith(Path("2"))));
  const Result missing = RunFor("@" + path_ + "/missing", {"list"});
  EXPECT_EQ(missing.code, 2);
  EXPECT_THAT(missing.errors, HasSubstr("cannot read"));
}

TEST_F(BreakerctlFleetTest, OneThatIsDownHasALineAndTheOthersAreShown) {
  here_->FindOrCreate("/pkg.S/M");
  for (const char* command : {"list", "get", "open", "events"}) {
    std::vector<std::string> words = {command};
    if (words[0] == "get" || words[0] == "open") words.push_back("/pkg.S/M");
    const Result result =
        RunFor(absl::StrCat(Path("missing"), ",", Path("1")), words);
    EXPECT_EQ(result.code, 1) << command;
    EXPECT_THAT(result.output, HasSubstr("/pkg.S/M")) << command;
    EXPECT_THAT(result.errors,
                StartsWith(absl::StrCat("breakerctl: ", Path("missing"),
                                        ": UNAVAILABLE: ")))
        << command;
  }
  const Result none =
      RunFor(absl::StrCat(Path("missing"), ",", Path("lost")), {"list"});
  EXPECT_EQ(none.code, 1);
  EXPECT_EQ(none.output, "");
  EXPECT_THAT(none.errors, AllOf(HasSubstr("missing"), HasSubstr("lost")));
}

TEST_F(BreakerctlFleetTest, ListsTheChannelsOfAll) {
  here_->FindOrCreate("/pkg.S/M");
  const Result result = RunFor(Both(), {"channels"});
  EXPECT_EQ(result.code, 0) << result.errors;
  EXPECT_THAT(
      result.lines(),
      ElementsAre(MatchesRegex("PROCESS +CHANNEL +METHODS .*"),
                  MatchesRegex(absl::StrCat(Path("1"), " +a +1 +code .*")),
                  MatchesRegex(absl::StrCat(Path("2"), " +a +0 +code .*"))));
}

TEST_F(BreakerctlFleetTest, ComparesAFileWithAll) {
  const std::string file = path_ + "/shop.json";
  std::ofstream(file) << R"({"default_policy": {"timeout": "7s"}})";
  Result result = RunFor(Both(), {"config", "diff", file});
  EXPECT_EQ(result.code, 5) << result.errors;
  const std::string difference = "\ndefault_policy.timeout: unset -> 7s\n";
  EXPECT_EQ(result.output,
            absl::StrCat(Path("1"), difference, "\n", Path("2"), difference));
  // What is missing weighs more than what differs.
  result = RunFor(absl::StrCat(Path("1"), ",", Path("missing")),
                  {"config", "diff", file, "--json"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.errors, HasSubstr("missing: UNAVAILABLE"));
  google::protobuf::Struct json;
  ASSERT_TRUE(JsonStringToMessage(result.output, &json).ok()) << result.output;
  const auto& processes = json.fields().at("processes").list_value().values();
  ASSERT_EQ(processes.size(), 2);
  EXPECT_EQ(processes[0]
                .struct_value()
                .fields()
                .at("answer")
                .list_value()
                .values(0)
                .struct_value()
                .fields()
                .at("to")
                .string_value(),
            "7s");
  EXPECT_EQ(processes[1].struct_value().fields().count("error"), 1u);
}

TEST_F(BreakerctlFleetTest, WhoDoesNotAnswerDelaysTheOthersNoLongerThanItMay) {
  here_->FindOrCreate("/pkg.S/M");
  const Silent silent;
  const Result result =
      RunAsIs({"list", "--timeout=2s",
               absl::StrCat("--address=", silent.address(), ",", Path("1"))});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.output, HasSubstr("/pkg.S/M"));
  EXPECT_THAT(result.errors,
              StartsWith(absl::StrCat("breakerctl: ", silent.address())))
      << "and how many have answered is not for a pipe";
}

TEST_F(BreakerctlFleetTest, ATerminalIsToldHowManyHaveAnswered) {
  here_->FindOrCreate("/pkg.S/M");
  auto silent = std::make_unique<Silent>();
  const std::string address =
      absl::StrCat("--address=", silent->address(), ",", Path("1"));
  OnTerminal list({"list", "--timeout=60s", address}, {"TERM=dumb"});
  EXPECT_TRUE(list.Shows("1 of 2 answered"));
  silent.reset();
  const int status = list.Wait();
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_THAT(list.written(), HasSubstr("answered\r               \rPROCESS"))
      << "the line is gone before anything is shown";
}

TEST_F(BreakerctlFleetTest, AnAggregateHasTheWorstStateAndTheSums) {
  here_->FindOrCreate("/pkg.S/M");
  Open(there_->FindOrCreate("/pkg.S/M"));
  Open(here_->FindOrCreate("/pkg.S/Here"));
  const std::string all = absl::StrCat(Both(), ",", Path("missing"));
  const Result result = RunFor(all, {"list", "--aggregate"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.errors, HasSubstr("missing: UNAVAILABLE"));
  EXPECT_THAT(
      result.lines(),
      ElementsAre(
          MatchesRegex(absl::StrCat("CHANNEL +METHOD +STATE +CALLS +FAILED "
                                    "+RATE +REJECTED +",
                                    Path("1"), " +", Path("2"), " +",
                                    Path("missing"))),
          MatchesRegex("a +/pkg.S/Here +OPEN +1 +1 +100.0% +0 +OPEN +- +\\?"),
          MatchesRegex(
              "a +/pkg.S/M +OPEN +1 +1 +100.0% +0 +CLOSED +OPEN +\\?")));

  // Where that is too wide.
  const Result narrow =
      RunAsIs({"list", "--aggregate", "--address=" + all, "--timeout=60s"},
              Process::Surroundings{{"A=B"}, 90});
  EXPECT_THAT(
      narrow.lines(),
      ElementsAre(HasSubstr(" PROCESSES"),
                  MatchesRegex("a +/pkg.S/Here .* 0 +1 OPEN, 1 \\?"),
                  MatchesRegex("a +/pkg.S/M .* 0 +1 OPEN, 1 CLOSED, 1 \\?")));

  const Result json = RunFor(all, {"list", "--aggregate", "--json"});
  google::protobuf::Struct value;
  ASSERT_TRUE(JsonStringToMessage(json.output, &value).ok()) << json.output;
  const auto& breakers = value.fields().at("breakers").list_value();
  ASSERT_EQ(breakers.values_size(), 2);
  const auto& both = breakers.values(1).struct_value().fields();
  EXPECT_EQ(both.at("state").string_value(), "STATE_OPEN");
  EXPECT_EQ(both.at("failures").number_value(), 1);
  EXPECT_EQ(
      both.at("states").struct_value().fields().at(Path("1")).string_value(),
      "STATE_CLOSED");
  EXPECT_EQ(value.fields().at("processes").list_value().values_size(), 3);
}

TEST_F(BreakerctlFleetTest, TheWorstStateIsThatWhichRefusesCalls) {
  Method& here = here_->FindOrCreate("/pkg.S/M");
  Method& there = there_->FindOrCreate("/pkg.S/M");
  const MonotonicTime now = Environment::Default().Now();
  const auto worst = [&](BreakerState a, BreakerState b) {
    for (const auto& [method, state] : {std::pair(&here, a), {&there, b}}) {
      EXPECT_TRUE(method->breaker().SetManualState({state, "", ""}, now).ok());
    }
    return RunFor(Both(), {"list", "--aggregate"}).lines()[1];
  };
  EXPECT_THAT(worst(BreakerState::kForcedOpen, BreakerState::kForcedClosed),
              HasSubstr("/pkg.S/M  FORCED_OPEN "));
  EXPECT_THAT(worst(BreakerState::kMetricsOnly, BreakerState::kForcedClosed),
              HasSubstr("/pkg.S/M  FORCED_CLOSED "));
}

TEST_F(BreakerctlFleetTest, GetsOneBreakerFromEachThatHasIt) {
  here_->FindOrCreate("/pkg.S/M");
  there_->FindOrCreate("/pkg.S/M");
  here_->FindOrCreate("/pkg.S/Here");
  const Result both = RunFor(Both(), {"get", "/pkg.S/M"});
  EXPECT_EQ(both.code, 0) << both.errors;
  EXPECT_THAT(both.output,
              AllOf(StartsWith(absl::StrCat("process:            ", Path("1"),
                                            "\nmethod:             /pkg.S/M")),
                    HasSubstr(absl::StrCat(
                        "\n\nprocess:            ", Path("2"), "\n"))));
  const Result one = RunFor(Both(), {"get", "/pkg.S/Here"});
  EXPECT_EQ(one.code, 0) << one.errors;
  EXPECT_EQ(one.errors, "");
  EXPECT_THAT(one.output, Not(HasSubstr(Path("2"))));
  EXPECT_EQ(RunFor(Both(), {"get", "/pkg.S/Nowhere"}).code, 3);

  const Result json = RunFor(Both(), {"get", "/pkg.S/Here", "--json"});
  google::protobuf::Struct value;
  ASSERT_TRUE(JsonStringToMessage(json.output, &value).ok()) << json.output;
  const auto& processes = value.fields().at("processes").list_value();
  ASSERT_EQ(processes.values_size(), 2);
  const auto& first = processes.values(0).struct_value().fields();
  EXPECT_EQ(first.at("address").string_value(), Path("1"));
  EXPECT_EQ(
      first.at("answer").struct_value().fields().at("method").string_value(),
      "/pkg.S/Here");
  EXPECT_EQ(processes.values(1).struct_value().fields().count("error"), 1u);
}

TEST_F(BreakerctlFleetTest, ChangesThemInAllProcesses) {
  Method& here = here_->FindOrCreate("/pkg.S/M");
  Method& there = there_->FindOrCreate("/pkg.S/M");
  const Result result = RunFor(Both(), {"open", "/pkg.S/M"});
  EXPECT_EQ(result.code, 0) << result.errors;
  EXPECT_THAT(result.output,
              AllOf(StartsWith(Path("1") + "\nCHANNEL"),
                    HasSubstr("1 breaker changed\n\n" + Path("2") + "\n")));
  const MonotonicTime now = Environment::Default().Now();
  for (Method* method : {&here, &there}) {
    EXPECT_EQ(method->breaker().Snapshot(now).state, BreakerState::kForcedOpen);
  }
}

TEST_F(BreakerctlFleetTest, WatchesAllUntilTheLastOneIsGone) {
  Method& here = here_->FindOrCreate("/pkg.S/M");
  Method& there = there_->FindOrCreate("/pkg.S/M");
  Process process({"watch", "--timeout=60s"}, Both());
  const std::string time = " [0-9T:.-]+Z ";
  std::vector<std::string> begin = {process.ReadLine(), process.ReadLine()};
  EXPECT_THAT(
      begin,
      UnorderedElementsAre(
          MatchesRegex(Path("1") + time + "SNAPSHOT a /pkg.S/M CLOSED"),
          MatchesRegex(Path("2") + time + "SNAPSHOT a /pkg.S/M CLOSED")));
  Open(here);
  EXPECT_THAT(process.ReadLine(),
              MatchesRegex(Path("1") + time + "CHANGED a /pkg.S/M OPEN .*"));
  first_.reset();
  Open(there);
  EXPECT_THAT(process.ReadLine(),
              MatchesRegex(Path("2") + time + "CHANGED a /pkg.S/M OPEN .*"));
  second_.reset();
  EXPECT_EQ(process.Wait(), 1);
  EXPECT_THAT(process.ReadErrors(),
              AllOf(HasSubstr(Path("1")), HasSubstr(Path("2"))));
}

TEST_F(BreakerctlFleetTest, WatchesAsOneObjectPerLineThatSaysWhose) {
  here_->FindOrCreate("/pkg.S/M");
  second_.reset();
  Process process({"watch", "--json", "--timeout=60s"},
                  absl::StrCat(Path("1"), ",", Path("2")));
  google::protobuf::Struct value;
  ASSERT_TRUE(JsonStringToMessage(process.ReadLine(), &value).ok());
  EXPECT_EQ(value.fields().at("process").string_value(), Path("1"));
  EXPECT_EQ(value.fields()
                .at("event")
                .struct_value()
                .fields()
                .at("kind")
                .string_value(),
            "KIND_SNAPSHOT");
}

TEST_F(BreakerctlFleetTest, EventsOfAllComeInTheOrderOfTheirTimes) {
  Method& here = here_->FindOrCreate("/pkg.S/M");
  Method& there = there_->FindOrCreate("/pkg.S/M");
  Open(here);
  Open(there);
  here.breaker().Reset("", "", Environment::Default().Now());
  const std::vector<std::string> lines = RunFor(Both(), {"events"}).lines();
  EXPECT_THAT(lines, ElementsAre(StartsWith(Path("1") + " "),
                                 StartsWith(Path("2") + " "),
                                 StartsWith(Path("1") + " ")));

  Process process({"events", "--follow", "--interval=10ms", "--timeout=60s"},
                  Both());
  for (size_t i = 0; i < lines.size(); ++i) process.ReadLine();
  first_.reset();
  there.breaker().Reset("", "", Environment::Default().Now());
  EXPECT_THAT(process.ReadLine(), StartsWith(Path("2") + " "));
  second_.reset();
  EXPECT_EQ(process.Wait(), 1);
}

}  // namespace
}  // namespace grpc_breaker
