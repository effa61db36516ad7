#include <httplib.h>
#include <signal.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/breakerctl_fixture.h"

namespace grpc_breaker {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

constexpr char kMethod[] = "/shop.Inventory/GetStock";

class BreakerctlDashboardTest : public BreakerctlFixture {
 protected:
  std::unique_ptr<Process> Start(std::vector<std::string> arguments,
                                 const std::string& address) {
    arguments.insert(arguments.begin(), "dashboard");
    auto process = std::make_unique<Process>(arguments, address);
    url_ = process->ReadLine();
    EXPECT_THAT(url_, MatchesRegex("http://127\\.0\\.0\\.1:[0-9]+/"));
    return process;
  }

  httplib::Client Browser() const {
    httplib::Client client(std::string(absl::StripSuffix(url_, "/")));
    client.set_read_timeout(60);
    return client;
  }

  // The first view with so many breakers.
  json View(size_t rows) const {
    for (;;) {
      const httplib::Result result = Browser().Get("/api/view");
      EXPECT_TRUE(result);
      if (!result) return json();
      json view = json::parse(result->body);
      if (view["rows"].size() >= rows) return view;
    }
  }

  std::string url_;
};

TEST_F(BreakerctlDashboardTest, SaysWhereThePageIsAndServesIt) {
  const auto prices = MakeChannel("prices");
  Open(prices->FindOrCreate(kMethod));
  const auto process = Start({}, server_->address());
  const httplib::Result page = Browser().Get("/");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->status, 200);
  EXPECT_THAT(page->body, HasSubstr("<title>Circuit breakers</title>"));
  const json view = View(1);
  EXPECT_EQ(view["processes"][0]["name"], server_->address());
  EXPECT_EQ(view["rows"][0]["method"], kMethod);
  EXPECT_EQ(view["rows"][0]["state"], "OPEN");
}

TEST_F(BreakerctlDashboardTest, EndsWellWhenItIsInterruptedOrTerminated) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const auto process = Start({}, server_->address());
    EXPECT_EQ(process->End(signal), 0);
    EXPECT_EQ(process->ReadErrors(), "");
  }
}

TEST_F(BreakerctlDashboardTest, ShowsSeveralProcessesAndWhatTheFilterChooses) {
  const auto prices = MakeChannel("prices");
  prices->FindOrCreate(kMethod);
  prices->FindOrCreate("/shop.Cart/Add");
  const auto other = Serve("unix:" + path_ + "/other");
  const auto process =
      Start({"--prefix=/shop.Cart/"},
            absl::StrCat(server_->address(), ",", other->address()));
  const json view = View(2);
  ASSERT_EQ(view["rows"].size(), 2u);
  for (const json& row : view["rows"]) {
    EXPECT_EQ(row["method"], "/shop.Cart/Add");
  }
  EXPECT_EQ(view["processes"][1]["name"], other->address());
}

TEST_F(BreakerctlDashboardTest, ChangesNothingUnlessItIsToldTo) {
  AdminServerOptions options;
  options.authorizer = AllowUnixSockets();
  const auto writable = Serve("unix:" + path_ + "/writable", options);
  const auto prices = MakeChannel("prices");
  Method& method = prices->FindOrCreate(kMethod);
  const auto change = [&] {
    const httplib::Result page = Browser().Get("/");
    const std::string before = "name=\"dashboard-token\" content=\"";
    const size_t at = page->body.find(before) + before.size();
    const json body = {{"process", writable->address()},
                       {"channel", "prices"},
                       {"method", kMethod},
                       {"action", "open"},
                       {"reason", "bad deploy"}};
    return Browser().Post(
        "/api/change",
        {{"Origin", std::string(absl::StripSuffix(url_, "/"))},
         {"X-Dashboard-Token",
          page->body.substr(at, page->body.find('"', at) - at)}},
        body.dump(), "application/json");
  };
  {
    const auto process = Start({}, writable->address());
    EXPECT_EQ(change()->status, 403);
    EXPECT_EQ(method.breaker().Snapshot().state, BreakerState::kClosed);
  }
  const auto process = Start({"--allow-changes"}, writable->address());
  EXPECT_EQ(change()->status, 200);
  EXPECT_EQ(method.breaker().Snapshot().state, BreakerState::kForcedOpen);
}

TEST_F(BreakerctlDashboardTest, WhatItCannotListenOnIsAWrongCommandLine) {
  const Result open = Run({"dashboard", "--listen=0.0.0.0:0"});
  EXPECT_EQ(open.code, 2);
  EXPECT_THAT(open.errors, AllOf(HasSubstr("must be a numeric loopback"),
                                 HasSubstr("got \"0.0.0.0:0\"")));
  const auto process = Start({}, server_->address());
  const Result taken =
      Run({"dashboard", "--listen", url_.substr(7, url_.size() - 8)});
  EXPECT_EQ(taken.code, 1);
  EXPECT_THAT(taken.errors, HasSubstr("--listen: cannot listen on 127.0.0.1:"));
}

TEST_F(BreakerctlDashboardTest, WhatIsWrongIsSaidByTheNamesOfItsFlags) {
  EXPECT_THAT(Run({"dashboard", "--listen=0.0.0.0:0"}).errors,
              AllOf(HasSubstr(": --listen: must be a numeric loopback"),
                    HasSubstr("; with --host-name it may be any")));
  EXPECT_THAT(Run({"dashboard", "--host-name=host_names/"}).errors,
              AllOf(HasSubstr(": --host-name: must be names as browsers say"),
                    HasSubstr("got \"host_names/\"")));
}

TEST_F(BreakerctlDashboardTest, HostNamesAreGivenBetweenCommas) {
  const auto process =
      Start({"--host-name=a.example.com,b.example.com"}, server_->address());
  for (const std::string host : {"a.example.com", "b.example.com"}) {
    EXPECT_EQ(Browser().Get("/", {{"Host", host}})->status, 200);
  }
  EXPECT_EQ(Browser().Get("/", {{"Host", "c.example.com"}})->status, 421);
}

}  // namespace
}  // namespace grpc_breaker
