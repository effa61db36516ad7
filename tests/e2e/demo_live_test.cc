// `./dev demo --live`: what it prints is there, and ends with it.

#include <signal.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/e2e/child.h"
#include "tests/e2e/http.h"
#include "tests/e2e/real_prometheus.h"
#include "tests/e2e/wait.h"

namespace grpc_breaker::e2e {
namespace {

using ::testing::HasSubstr;

class DemoLiveTest : public ::testing::Test {
 protected:
  DemoLiveTest() : demo_(Command()) {
    for (std::string line; !absl::StrContains(line, "Ctrl-C ends it");) {
      line = demo_.ReadLine();
      absl::StrAppend(&said_, line, "\n");
      if (absl::StrContains(line, "is lost")) break;
    }
  }

  static std::vector<std::string> Command() {
    std::vector<std::string> command = {DEMO_LIVE, DEMO_SERVER, BREAKERCTL};
    if (IsInstalled("prometheus")) {
      ChildProgram which({"sh", "-c", "command -v prometheus"});
      command.push_back(which.ReadLine());
      command.push_back(GRPC_BREAKER_SOURCE_DIR
                        "/examples/prometheus/alerts.yml");
    }
    return command;
  }

  // That of the address which follows these words; 0 if there is none.
  int PortAfter(absl::string_view words) const {
    absl::string_view rest = said_;
    const size_t begin = rest.find(words);
    if (begin == absl::string_view::npos) return 0;
    rest.remove_prefix(begin + words.size());
    rest = absl::StripLeadingAsciiWhitespace(rest);
    int port = 0;
    if (absl::ConsumePrefix(&rest, "http://127.0.0.1:") &&
        !absl::SimpleAtoi(rest.substr(0, rest.find('/')), &port)) {
      return 0;
    }
    return port;
  }

  // Where its sockets are.
  std::filesystem::path Folder() const {
    const size_t begin = said_.find("unix:") + 5;
    EXPECT_GT(said_.size(), begin) << said_;
    return std::filesystem::path(
               said_.substr(begin, said_.find(',', begin) - begin))
        .parent_path();
  }

  bool AnyAnswers() const {
    return HttpGet(PortAfter("metrics"), "/metrics") != "" ||
           HttpGet(PortAfter("the page"), "/") != "" ||
           HttpGet(PortAfter("Prometheus"), "/metrics") != "";
  }

  std::string said_;
  ChildProgram demo_;
};

TEST_F(DemoLiveTest, ShowsAllProcessesOnThePageAndToPrometheus) {
  EXPECT_THAT(HttpGet(PortAfter("metrics"), "/metrics"),
              HasSubstr("grpc_breaker_calls_total{channel=\"north\","));
#ifdef HAS_DASHBOARD
  const int page = PortAfter("the page");
  ASSERT_NE(page, 0) << said_;
  EXPECT_THAT(HttpGet(page, "/"), HasSubstr("<!DOCTYPE html>"));
  for (const char* expected :
       {"/client1\"", "/client2\"", "/client3\"", "\"north\"", "\"middle\"",
        "\"south\"", "\"/demo.Prices/GetPrice\""}) {
    WaitUntil(
        [&] { return absl::StrContains(HttpGet(page, "/api/view"), expected); },
        absl::StrCat("the page to have ", expected));
  }
#endif
  if (const int prometheus = PortAfter("Prometheus"); prometheus != 0) {
    ExpectOfPrometheus(prometheus, "sum(up{job='demo'})", "\"3\"");
    ExpectOfPrometheus(prometheus,
                       "count(grpc_breaker_state{state='closed'} == 1) > 0",
                       "\"value\"");
  } else {
    EXPECT_FALSE(IsInstalled("prometheus")) << said_;
  }
}

TEST_F(DemoLiveTest, EndsWithAllThatItHasStarted) {
  const std::filesystem::path folder = Folder();
  EXPECT_TRUE(std::filesystem::exists(folder / "client1"));
  demo_.Send(SIGINT);
  EXPECT_EQ(demo_.Wait(), 0);
  EXPECT_FALSE(std::filesystem::exists(folder));
  EXPECT_FALSE(AnyAnswers());
}

TEST_F(DemoLiveTest, LeavesNoProcessBehindWhereItIsKilled) {
  const std::filesystem::path folder = Folder();
  demo_.Kill();
  WaitUntil([&] { return !AnyAnswers(); }, "all to end");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace grpc_breaker::e2e
