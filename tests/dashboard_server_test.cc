// The dashboard over HTTP, by a client as real as a browser's.

#include "grpc_breaker/dashboard_server.h"

#include <httplib.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/admin_server.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpc_breaker/registry.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/admin_fixture.h"
#include "tests/fragile_channel.h"

namespace grpc_breaker {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

constexpr char kMethod[] = "/shop.Inventory/GetStock";

AdminDecision AllowAll(const AdminRequest&) { return AdminDecision::Allow(); }

class DashboardServerTest : public ::testing::Test {
 protected:
  DashboardServerTest() { options_.directory = &directory_; }

  // With options_ as they are now.
  void Serve() {
    auto server = DashboardServer::Start(options_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    address_ = server_->address();
  }

  std::string StartError() {
    const auto server = DashboardServer::Start(options_);
    return server.ok() ? "" : std::string(server.status().message());
  }

  std::shared_ptr<Registry> MakeChannel(const std::string& name) {
    return MakeFragileChannel(name, &directory_);
  }

  static void Open(Method& method) { RecordOutcome(method, Outcome::kFailure); }

  httplib::Client Client() const {
    httplib::Client client("http://" + address_);
    client.set_read_timeout(60);
    return client;
  }

  httplib::Result Get(const std::string& path,
                      const httplib::Headers& headers = {}) const {
    return Client().Get(path.c_str(), headers);
  }

  json GetJson(const std::string& path) const {
    const httplib::Result result = Get(path);
    EXPECT_TRUE(result) << path;
    if (!result) return json();
    EXPECT_EQ(result->status, 200) << result->body;
    return json::parse(result->body);
  }

  // What is new since the last view.
  json Next(const json& last) const {
    const json view = GetJson(
        absl::StrCat("/api/view?since=", last["version"].get<uint64_t>(),
                     "&epoch=", last["epoch"].get<std::string>()));
    return view["changed"] == true ? view : Next(last);
  }

  // Follows the views until one has what is looked for.
  json Await(const std::function<bool(const json& view)>& has) const {
    json view = GetJson("/api/view");
    while (!has(view)) view = Next(view);
    return view;
  }
  json AwaitRow(const std::string& method, const std::string& state) const {
    json found;
    Await([&](const json& view) {
      for (const json& row : view["rows"]) {
        if (row["method"] == method && row["state"] == state) found = row;
      }
      return !found.is_null();
    });
    return found;
  }

  // The token of the page, as its script reads it.
  std::string Token() const {
    const httplib::Result page = Get("/");
    const std::string before = "name=\"dashboard-token\" content=\"";
    const size_t at = page->body.find(before) + before.size();
    return page->body.substr(at, page->body.find('"', at) - at);
  }

  httplib::Headers ChangeHeaders() const {
    return {{"Origin", "http://" + address_},
            {"Sec-Fetch-Site", "same-origin"},
            {"X-Dashboard-Token", Token()}};
  }
  static json ChangeBody() {
    return {{"process", "this process"}, {"channel", "prices"},
            {"method", kMethod},         {"action", "open"},
            {"reason", "bad deploy"},    {"actor", "bob"},
            {"ttl_seconds", 600}};
  }
  httplib::Result Post(const json& body, const httplib::Headers& headers,
                       const std::string& type = "application/json") const {
    return Client().Post("/api/change", headers, body.dump(), type.c_str());
  }
  httplib::Result Change(const json& body) const {
    return Post(body, ChangeHeaders());
  }

  Directory directory_;
  DashboardOptions options_;
  std::unique_ptr<DashboardServer> server_;
  std::string address_;  // Of the server, which tests destroy under requests.
};

void ExpectRefusal(const httplib::Result& result, int code,
                   const std::string& field, const std::string& message) {
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, code) << result->body;
  EXPECT_EQ(result->get_header_value("Content-Type"), "application/json");
  const json body = json::parse(result->body, nullptr, false);
  ASSERT_TRUE(body.is_object()) << result->body;
  EXPECT_EQ(body["error"]["field"], field) << result->body;
  EXPECT_THAT(body["error"]["message"].get<std::string>(), HasSubstr(message));
}

// ---- The page --------------------------------------------------------------

TEST_F(DashboardServerTest, PageIsOneFileWhosePolicyLetsNothingElseIn) {
  Serve();
  const httplib::Result page = Get("/");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->status, 200);
  EXPECT_EQ(page->get_header_value("Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(page->get_header_value("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(page->get_header_value("Referrer-Policy"), "no-referrer");
  EXPECT_EQ(page->get_header_value("Cache-Control"), "no-store");
  ASSERT_EQ(page->get_header_value_count("Content-Security-Policy"), 1u);
  const std::string policy = page->get_header_value("Content-Security-Policy");
  EXPECT_THAT(policy,
              AllOf(HasSubstr("default-src 'none'"),
                    HasSubstr("frame-ancestors 'none'"),
                    HasSubstr("connect-src 'self'"),
                    HasSubstr("base-uri 'none'"), Not(HasSubstr("unsafe"))));
  const std::string before = "script-src 'nonce-";
  const size_t at = policy.find(before) + before.size();
  const std::string nonce = policy.substr(at, policy.find('\'', at) - at);
  EXPECT_EQ(nonce.size(), 32u);
  EXPECT_THAT(page->body, HasSubstr("<script nonce=\"" + nonce + "\">"));
  EXPECT_THAT(page->body, HasSubstr("<style nonce=\"" + nonce + "\">"));
  EXPECT_THAT(page->body, Not(HasSubstr("{{")));
  for (const std::string outside : {" src=", "@import", "url(http"}) {
    EXPECT_THAT(page->body, Not(HasSubstr(outside)));
  }
  EXPECT_NE(Get("/")->get_header_value("Content-Security-Policy"), policy)
      << "each answer has a nonce of its own";
}

TEST_F(DashboardServerTest, TokenIsInThePageOnlyWhereChangesAreAllowed) {
  Serve();
  EXPECT_EQ(Token(), "");
  options_.allow_changes = true;
  options_.authorizer = AllowAll;
  Serve();
  EXPECT_EQ(Token().size(), 32u);
}

TEST_F(DashboardServerTest, SaysWhereItIs) {
  Serve();
  EXPECT_THAT(server_->address(), MatchesRegex("127\\.0\\.0\\.1:[1-9][0-9]*"));
  EXPECT_EQ(server_->url(), "http://" + server_->address() + "/");
  options_.address = "[::1]:0";
  Serve();
  EXPECT_EQ(Client().Get("/")->status, 200);
}

// ---- Views -----------------------------------------------------------------

TEST_F(DashboardServerTest, ViewHasTheBreakersOfThisProcess) {
  const auto prices = MakeChannel("prices");
  prices->FindOrCreate(kMethod);
  Open(prices->FindOrCreate("/shop.Cart/Add"));
  Serve();
  const json view =
      Await([](const json& view) { return view["rows"].size() == 2; });
  EXPECT_EQ(view["processes"].size(), 1u);
  EXPECT_EQ(view["processes"][0]["name"], "this process");
  EXPECT_EQ(view["rows"][0]["method"], "/shop.Cart/Add");
  EXPECT_EQ(view["rows"][0]["state"], "OPEN");
  EXPECT_EQ(view["rows"][1]["method"], kMethod);
  EXPECT_EQ(view["rows"][1]["state"], "CLOSED");
}

TEST_F(DashboardServerTest, ViewIsFilteredAsTheOptionsSay) {
  const auto prices = MakeChannel("prices");
  prices->FindOrCreate(kMethod);
  prices->FindOrCreate("/shop.Cart/Add");
  options_.filter.set_method_prefix("/shop.Cart/");
  Serve();
  const json view =
      Await([](const json& view) { return !view["rows"].empty(); });
  ASSERT_EQ(view["rows"].size(), 1u);
  EXPECT_EQ(view["rows"][0]["method"], "/shop.Cart/Add");
}

TEST_F(DashboardServerTest, DetailsAreThoseOfWhatTheFilterChooses) {
  const auto prices = MakeChannel("prices");
  const auto stock = MakeChannel("stock");
  for (const auto& channel : {prices, stock}) {
    channel->FindOrCreate(kMethod);
    channel->FindOrCreate("/shop.Cart/Add");
  }
  options_.filter.set_method_prefix("/shop.Cart/");
  options_.filter.set_channel("prices");
  // Which states the page shows says nothing of the details.
  options_.filter.add_states(admin::v1::STATE_OPEN);
  Serve();
  const auto path = [](const std::string& channel, const std::string& method) {
    return absl::StrCat("/api/breaker?process=this%20process&channel=", channel,
                        "&method=", method);
  };
  EXPECT_EQ(GetJson(path("prices", "/shop.Cart/Add"))["channel"], "prices");
  ExpectRefusal(Get(path("prices", kMethod)), 404, "method",
                "this page does not have it");
  for (const std::string channel : {"stock", ""}) {
    ExpectRefusal(Get(path(channel, "/shop.Cart/Add")), 404, "channel",
                  "this page does not have it");
  }
}

TEST_F(DashboardServerTest, NextViewHasWhatIsNew) {
  auto prices = MakeChannel("prices");
  Method& method = prices->FindOrCreate(kMethod);
  Serve();
  EXPECT_EQ(GetJson("/api/view")["full"], true);
  json view = Await([](const json& view) { return !view["rows"].empty(); });
  Open(method);
  bool has_event = false;
  bool is_open = false;
  while (!has_event || !is_open) {
    view = Next(view);
    EXPECT_EQ(view["full"], false);
    for (const json& event : view["events"]) {
      has_event =
          event["to"] == "OPEN" && event["cause"] == "1 consecutive failure";
    }
    for (const json& row : view["rows"]) is_open |= row["state"] == "OPEN";
  }
  prices.reset();
  do view = Next(view);
  while (view["gone"].empty());
  EXPECT_EQ(view["gone"],
            json::parse(R"([[0, "prices", "/shop.Inventory/GetStock"]])"));
}

TEST_F(DashboardServerTest, ViewOfAnotherServerOrOfLongAgoIsNoBase) {
  Serve();
  const json view = GetJson("/api/view");
  const std::string epoch = view["epoch"];
  EXPECT_EQ(GetJson("/api/view?since=" +
                    std::to_string(view["version"].get<uint64_t>()) +
                    "&epoch=another")["full"],
            true);
  EXPECT_EQ(GetJson("/api/view?since=1000000&epoch=" + epoch)["full"], true);
  ExpectRefusal(Get("/api/view?since=soon&epoch=" + epoch), 400, "since",
                "got \"soon\"");
}

// A process about which nothing new comes until the test says so.
class SilentProcessTest : public DashboardServerTest {
 protected:
  SilentProcessTest() {
    options_.processes.push_back(
        {"silent",
         grpc::CreateChannel("127.0.0.1:1", grpc::InsecureChannelCredentials()),
         [this](grpc::ClientContext&) {
           speaks_.WaitForNotification();
           return grpc::Status(grpc::StatusCode::UNAVAILABLE, "not today");
         }});
    Serve();
    view_ = GetJson("/api/view");
  }
  ~SilentProcessTest() override {
    if (!speaks_.HasBeenNotified()) speaks_.Notify();
    server_.reset();
  }

  std::string NextPath() const {
    return absl::StrCat("/api/view?since=", view_["version"].get<uint64_t>(),
                        "&epoch=", view_["epoch"].get<std::string>());
  }

  absl::Notification speaks_;
  json view_;
};

TEST_F(SilentProcessTest, PageThatHasAllWaitsForNewsForAWhile) {
  const absl::Time begin = absl::Now();
  const json answer = GetJson(NextPath());
  EXPECT_GE(absl::Now() - begin, absl::Seconds(1));
  EXPECT_EQ(answer["changed"], false);
  EXPECT_EQ(answer["version"], view_["version"]);
  EXPECT_EQ(answer["retry_ms"], 0);
}

TEST_F(SilentProcessTest, NewsWakeThoseWhoWait) {
  std::atomic<bool> is_new{false};
  std::thread waiter([&] {
    json answer;
    do answer = GetJson(NextPath());
    while (answer["changed"] == false);
    is_new = answer["processes"][0]["error"] == "not today";
  });
  speaks_.Notify();
  waiter.join();
  EXPECT_TRUE(is_new);
}

TEST_F(SilentProcessTest, SoManyWaitAndOthersAreToldToComeAgain) {
  std::atomic<int> waited{0};
  std::atomic<int> sent_away{0};
  std::atomic<int> running{12};
  std::vector<std::thread> tabs;
  for (int i = 0; i < 12; ++i) {
    tabs.emplace_back([&] {
      // Together, sooner or later.
      for (int tries = 0; sent_away == 0 && tries < 10; ++tries) {
        const json answer = GetJson(NextPath());
        if (answer["retry_ms"] == 0) ++waited;
        if (answer["retry_ms"] == 1000) ++sent_away;
      }
      --running;
    });
  }
  // The page is there meanwhile.
  while (sent_away == 0 && running > 0) EXPECT_EQ(Get("/")->status, 200);
  for (std::thread& tab : tabs) tab.join();
  EXPECT_GE(sent_away, 1);
  EXPECT_GE(waited, 8);
}

TEST_F(DashboardServerTest, EndsWhileRequestsWait) {
  // Accepts connections and says nothing.
  grpc::ChannelArguments arguments;
  httplib::Server silent;
  const int port = silent.bind_to_any_port("127.0.0.1");
  options_.processes.push_back(
      {"silent",
       grpc::CreateChannel(absl::StrCat("127.0.0.1:", port),
                           grpc::InsecureChannelCredentials()),
       nullptr});
  Serve();
  const json view = GetJson("/api/view");
  std::atomic<int> ended{0};
  std::vector<std::thread> tabs;
  for (int i = 0; i < 8; ++i) {
    tabs.emplace_back([&, client = std::make_shared<httplib::Client>(
                              "http://" + server_->address())] {
      client->set_read_timeout(60);
      while (client->Get(
          absl::StrCat("/api/view?since=", view["version"].get<uint64_t>(),
                       "&epoch=", view["epoch"].get<std::string>())
              .c_str())) {
      }
      ++ended;
    });
  }
  server_.reset();
  for (std::thread& tab : tabs) tab.join();
  EXPECT_EQ(ended, 8);
}

TEST_F(DashboardServerTest, EndsWhileProcessesAreAsked) {
  MakeChannel("prices")->FindOrCreate(kMethod);
  absl::BlockingCounter asked(2);
  absl::Notification answers;
  AdminServerOptions admin;
  admin.directory = &directory_;
  admin.authorize_reads = true;
  admin.authorizer = [&](const AdminRequest& request) {
    if (request.rpc == "GetBreaker" || request.rpc == "ForceOpen") {
      asked.DecrementCount();
      answers.WaitForNotification();
    }
    return AdminDecision::Allow();
  };
  const auto slow = AdminServer::Start("127.0.0.1:0", admin);
  ASSERT_TRUE(slow.ok());
  options_.processes = {
      {"slow",
       grpc::CreateChannel((*slow)->address(),
                           grpc::InsecureChannelCredentials()),
       nullptr}};
  options_.allow_changes = true;
  options_.timeout = absl::Seconds(60);
  Serve();
  json body = ChangeBody();
  body["process"] = "slow";
  // By the end, not by the timeout.
  std::thread looks([&] {
    ExpectRefusal(
        Get(absl::StrCat("/api/breaker?process=slow&channel=prices&method=",
                         kMethod)),
        502, "", "");
  });
  std::thread changes([&] { ExpectRefusal(Change(body), 502, "", ""); });
  asked.Wait();
  server_.reset();
  looks.join();
  changes.join();
  answers.Notify();
}

TEST_F(DashboardServerTest, ShowsOtherProcessesAndWhichDoNotAnswer) {
  const auto prices = MakeChannel("prices");
  Open(prices->FindOrCreate(kMethod));
  AdminServerOptions admin;
  admin.directory = &directory_;
  const auto other = AdminServer::Start("127.0.0.1:0", admin);
  ASSERT_TRUE(other.ok());
  const auto dial = [](const std::string& address) {
    return grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  };
  options_.processes = {{"good", dial((*other)->address()), nullptr},
                        {"down", dial("127.0.0.1:1"), nullptr}};
  Serve();
  const json row = AwaitRow(kMethod, "OPEN");
  EXPECT_EQ(row["process"], 0);
  const json view = Await([](const json& view) {
    return !view["processes"][1]["failing_ms"].is_null();
  });
  EXPECT_EQ(view["processes"][0]["failing_ms"], nullptr);
  EXPECT_NE(view["processes"][1]["error"], "");
}

TEST_F(DashboardServerTest, HostileNamesStayText) {
  const std::string name = "</script><img src=x onerror=alert(1)>\"\\";
  const auto channel = MakeChannel(name);
  Open(channel->FindOrCreate(kMethod));
  Serve();
  EXPECT_EQ(AwaitRow(kMethod, "OPEN")["channel"], name);
  const httplib::Result view = Get("/api/view");
  EXPECT_EQ(view->get_header_value("Content-Type"), "application/json");
  EXPECT_EQ(view->get_header_value("X-Content-Type-Options"), "nosniff");
  EXPECT_THAT(view->get_header_value("Content-Security-Policy"),
              HasSubstr("default-src 'none'"));
  EXPECT_THAT(Get("/")->body, Not(HasSubstr("onerror")));
}

TEST_F(DashboardServerTest, DetailsHavePolicyAndHistory) {
  const auto prices = MakeChannel("prices");
  Open(prices->FindOrCreate(kMethod));
  Serve();
  const std::string path =
      "/api/breaker?process=this%20process&channel=prices&method=";
  const json breaker = GetJson(path + kMethod);
  EXPECT_EQ(breaker["policy"]["breaker"]["consecutiveFailures"], 1);
  EXPECT_EQ(breaker["history"][0]["to"], "STATE_OPEN");
  ExpectRefusal(Get(path + "/no.Such/Method"), 404, "", "");
  ExpectRefusal(Get(path), 400, "method", "must be there");
  ExpectRefusal(Get("/api/breaker?process=this%20proces&method=/a.B/C"), 404,
                "process", "the nearest is this process, got \"this proces\"");
}

// ---- Who gets nothing ------------------------------------------------------

// Each differs from a good request in one thing.
TEST_F(DashboardServerTest, RequestMustNameThisServerAsItsHost) {
  Serve();
  const std::string port =
      server_->address().substr(server_->address().rfind(':'));
  for (const std::string host :
       {"127.0.0.1", "localhost", "[::1]", "LocalHost"}) {
    EXPECT_EQ(Get("/", {{"Host", host + port}})->status, 200) << host;
  }
  for (const std::string& host :
       {"evil.example.com" + port, std::string("127.0.0.1"),
        std::string("127.0.0.1:1"), "127.0.0.2" + port,
        "127.0.0.1.evil.example.com" + port, std::string("")}) {
    for (const char* const path : {"/", "/api/view", "/nothing"}) {
      ExpectRefusal(Get(path, {{"Host", host}}), 421, "Host",
                    absl::StrCat("got \"", host, "\""));
    }
  }
  ExpectRefusal(
      Get("/", {{"Host", server_->address()}, {"Host", "evil.example.com"}}),
      421, "Host", "");
}

TEST_F(DashboardServerTest, RequestMustNotComeFromAnotherOrigin) {
  Serve();
  EXPECT_EQ(
      Get("/api/view", {{"Origin", "http://" + server_->address()}})->status,
      200);
  for (const std::string& origin :
       {std::string("http://evil.example.com"), std::string("null"),
        "https://" + server_->address(), std::string("http://127.0.0.1:1")}) {
    ExpectRefusal(Get("/api/view", {{"Origin", origin}}), 403, "Origin",
                  "got \"" + origin + "\"");
  }
}

TEST_F(DashboardServerTest, RequestMustNotComeFromAnotherSite) {
  Serve();
  const auto from = [](const std::string& site, const std::string& mode,
                       const std::string& destination) {
    return httplib::Headers{{"Sec-Fetch-Site", site},
                            {"Sec-Fetch-Mode", mode},
                            {"Sec-Fetch-Dest", destination}};
  };
  for (const std::string site : {"same-origin", "none"}) {
    EXPECT_EQ(Get("/api/view", from(site, "cors", "empty"))->status, 200);
  }
  // Other ports of this machine are the same site, and somebody else.
  for (const std::string site : {"cross-site", "same-site"}) {
    ExpectRefusal(Get("/api/view", from(site, "no-cors", "script")), 403,
                  "Sec-Fetch-Site", "got \"" + site + "\"");
    ExpectRefusal(Get("/api/view", from(site, "navigate", "document")), 403,
                  "Sec-Fetch-Site", "");
    ExpectRefusal(Get("/", from(site, "navigate", "iframe")), 403,
                  "Sec-Fetch-Site", "");
    ExpectRefusal(Get("/", from(site, "no-cors", "image")), 403,
                  "Sec-Fetch-Site", "");
    // A link to the page.
    EXPECT_EQ(Get("/", from(site, "navigate", "document"))->status, 200);
  }
}

TEST_F(DashboardServerTest, OnlyGetHeadAndPostAreKnown) {
  Serve();
  EXPECT_EQ(Client().Head("/")->status, 200);
  for (const httplib::Result& result :
       {Client().Put("/", "", "text/plain"), Client().Delete("/"),
        Client().Patch("/", "", "text/plain"), Client().Options("/")}) {
    ExpectRefusal(result, 405, "method", "must be GET, HEAD or POST");
    EXPECT_EQ(result->get_header_value("Allow"), "GET, HEAD, POST");
  }
}

TEST_F(DashboardServerTest, WhatThereIsNotIsAnErrorInJsonToo) {
  Serve();
  ExpectRefusal(Get("/favicon.ico"), 404, "path", "got \"/favicon.ico\"");
  EXPECT_EQ(Get("/nothing")->get_header_value("X-Content-Type-Options"),
            "nosniff");
}

TEST_F(DashboardServerTest, WhoSaysNothingIsNotWaitedForForLong) {
  Serve();
  int port = 0;
  ASSERT_TRUE(absl::SimpleAtoi(
      server_->address().substr(server_->address().rfind(':') + 1), &port));
  for (const std::string said : {"", "GET / HTTP/1.1\r\nHost: "}) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(
        connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    ASSERT_EQ(send(fd, said.data(), said.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(said.size()));
    // Until the server ends it, perhaps with an error.
    char bytes[4096];
    while (recv(fd, bytes, sizeof(bytes), 0) > 0) {
    }
    close(fd);
  }
  EXPECT_EQ(Get("/")->status, 200);
}

TEST_F(DashboardServerTest, WhoLooksIsAskedOfTheAuthorizerIfItGuardsReads) {
  options_.authorize_reads = true;
  Serve();
  for (const char* const path :
       {"/", "/api/view", "/api/breaker?method=/a.B/C"}) {
    EXPECT_EQ(Get(path)->status, 403) << "without an authorizer";
  }
  options_.authorizer = [](const AdminRequest& request) {
    EXPECT_FALSE(request.is_change);
    EXPECT_THAT(request.peer, HasSubstr("ipv4:127.0.0.1:"));
    EXPECT_NE(request.auth_context, nullptr);
    const auto user = request.metadata->find("x-user");
    return user != request.metadata->end() && user->second == "alice"
               ? AdminDecision::Allow("alice")
               : AdminDecision::Deny("not you");
  };
  Serve();
  ExpectRefusal(Get("/api/view"), 403, "", "not you");
  EXPECT_EQ(Get("/api/view", {{"X-User", "alice"}})->status, 200);
}

TEST_F(DashboardServerTest, WhoLooksIsAskedOfByWhatIsLookedAt) {
  const auto prices = MakeChannel("prices");
  prices->FindOrCreate(kMethod);
  options_.filter.set_method_prefix("/shop.");
  options_.filter.set_channel("prices");
  options_.authorize_reads = true;
  absl::Mutex mutex;
  std::vector<std::string> asked;
  std::string denied;
  options_.authorizer = [&](const AdminRequest& request) {
    internal::MutexLock lock(mutex);
    asked.push_back(absl::StrCat(request.rpc, " ", request.channel, " ",
                                 request.method_prefix, request.method));
    return request.rpc == denied ? AdminDecision::Deny("not that")
                                 : AdminDecision::Allow();
  };
  Serve();
  const auto asked_for = [&](const std::string& path) {
    EXPECT_EQ(Get(path)->status, 200) << path;
    internal::MutexLock lock(mutex);
    return std::exchange(asked, {});
  };
  const auto deny = [&](const std::string& rpc) {
    internal::MutexLock lock(mutex);
    denied = rpc;
  };
  const std::string details = absl::StrCat(
      "/api/breaker?process=this%20process&channel=prices&method=", kMethod);
  EXPECT_THAT(asked_for("/"), ElementsAre("ListBreakers prices /shop."));
  EXPECT_THAT(asked_for("/api/view"), ElementsAre("ListBreakers prices /shop.",
                                                  "ListEvents prices /shop."));
  EXPECT_THAT(asked_for(details),
              ElementsAre(absl::StrCat("GetBreaker prices ", kMethod)));
  // It sees no more than by the admin service itself.
  deny("GetBreaker");
  ExpectRefusal(Get(details), 403, "", "not that");
  EXPECT_EQ(Get("/api/view")->status, 200);
  deny("ListEvents");
  ExpectRefusal(Get("/api/view"), 403, "", "not that");
  EXPECT_EQ(Get(details)->status, 200);
  deny("ListBreakers");
  ExpectRefusal(Get("/api/view"), 403, "", "not that");
  ExpectRefusal(Get("/"), 403, "", "not that");
  ExpectRefusal(Get("/nothing"), 403, "", "not that");
}

// ---- Changes ---------------------------------------------------------------

class DashboardChangesTest : public DashboardServerTest {
 protected:
  DashboardChangesTest() {
    prices_ = MakeChannel("prices");
    method_ = &prices_->FindOrCreate(kMethod);
    options_.allow_changes = true;
    options_.authorizer = AllowAll;
    options_.listeners.push_back(auditor_);
  }

  // The page is that of another process, which has the same breakers.
  void ShowOther(AdminAuthorizer decides) {
    AdminServerOptions admin;
    admin.directory = &directory_;
    admin.authorizer = std::move(decides);
    auto other = AdminServer::Start("127.0.0.1:0", admin);
    ASSERT_TRUE(other.ok()) << other.status();
    other_ = *std::move(other);
    options_.processes = {
        {"other",
         grpc::CreateChannel(other_->address(),
                             grpc::InsecureChannelCredentials()),
         nullptr}};
  }
  static json OtherBody() {
    json body = ChangeBody();
    body["process"] = "other";
    return body;
  }

  BreakerState state() const { return method_->breaker().Snapshot().state; }

  std::unique_ptr<AdminServer> other_;
  const std::shared_ptr<Auditor> auditor_ = std::make_shared<Auditor>();
  std::shared_ptr<Registry> prices_;
  Method* method_ = nullptr;
};

TEST_F(DashboardChangesTest, HoldsOpenAndClosedAndResets) {
  Serve();
  httplib::Result result = Change(ChangeBody());
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200) << result->body;
  EXPECT_EQ(json::parse(result->body)["count"], 1);
  EXPECT_EQ(state(), BreakerState::kForcedOpen);
  const json row = AwaitRow(kMethod, "FORCED_OPEN");
  EXPECT_EQ(row["manual"]["reason"], "bad deploy");
  EXPECT_EQ(row["manual"]["actor"], "bob (claimed)");
  EXPECT_LE(row["manual"]["remaining_ms"], 600000);
  json body = ChangeBody();
  body["action"] = "close";
  body["ttl_seconds"] = 0;
  EXPECT_EQ(Change(body)->status, 200);
  EXPECT_EQ(state(), BreakerState::kForcedClosed);
  EXPECT_EQ(AwaitRow(kMethod, "FORCED_CLOSED")["manual"]["remaining_ms"],
            nullptr);
  body["action"] = "reset";
  EXPECT_EQ(Change(body)->status, 200);
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST_F(DashboardChangesTest, NothingIsChangedUnlessTheOptionsSaySo) {
  options_.allow_changes = false;
  Serve();
  ExpectRefusal(Change(ChangeBody()), 403, "method", "without permission");
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST_F(DashboardChangesTest, AuthorizerDecidesAndKnowsWhoAsks) {
  options_.authorizer = [](const AdminRequest& request) {
    EXPECT_EQ(request.rpc, "ForceOpen");
    EXPECT_TRUE(request.is_change);
    EXPECT_THAT(request.peer, HasSubstr("ipv4:127.0.0.1:"));
    EXPECT_EQ(request.method, kMethod);
    EXPECT_EQ(request.breakers.size(), 1u);
    const auto user = request.metadata->find("x-user");
    return user == request.metadata->end()
               ? AdminDecision::Deny("ask ops")
               : AdminDecision::Allow(
                     std::string(user->second.data(), user->second.size()));
  };
  Serve();
  ExpectRefusal(Change(ChangeBody()), 403, "", "ask ops");
  EXPECT_EQ(state(), BreakerState::kClosed);
  ASSERT_EQ(auditor_->audits().size(), 1u) << "refused ones are told of, too";
  httplib::Headers headers = ChangeHeaders();
  headers.emplace("X-User", "alice");
  EXPECT_EQ(Post(ChangeBody(), headers)->status, 200);
  EXPECT_EQ(AwaitRow(kMethod, "FORCED_OPEN")["manual"]["actor"], "alice");
}

TEST_F(DashboardChangesTest, OfOtherProcessesTheirOwnServicesDecide) {
  ShowOther([](const AdminRequest& request) {
    return request.actor == "carol" ? AdminDecision::Allow()
                                    : AdminDecision::Deny("ask carol");
  });
  options_.authorizer = nullptr;
  Serve();
  json body = OtherBody();
  ExpectRefusal(Change(body), 403, "", "ask carol");
  body["actor"] = "carol";
  EXPECT_EQ(Change(body)->status, 200);
  EXPECT_EQ(state(), BreakerState::kForcedOpen);
  // And before them the dashboard's, which knows who it was.
  body["actor"] = "mallory";
  options_.authorizer = [](const AdminRequest& request) {
    EXPECT_THAT(request.peer, HasSubstr("ipv4:127.0.0.1:"));
    EXPECT_NE(request.auth_context, nullptr);
    EXPECT_EQ(request.metadata->count("x-dashboard-token"), 1u);
    return request.reason == "please" ? AdminDecision::Allow("carol")
                                      : AdminDecision::Deny("say please");
  };
  Serve();
  ExpectRefusal(Change(body), 403, "", "say please");
  body["reason"] = "please";
  EXPECT_EQ(Change(body)->status, 200);
}

TEST_F(DashboardChangesTest, OnlyWhatTheFilterChoosesIsChanged) {
  options_.filter.set_method_prefix("/shop.Cart/");
  Serve();
  ExpectRefusal(Change(ChangeBody()), 404, "method",
                "this page does not have it");
  options_.filter.clear_method_prefix();
  options_.filter.set_channel("stock");
  Serve();
  ExpectRefusal(Change(ChangeBody()), 404, "channel",
                "this page does not have it");
  EXPECT_EQ(state(), BreakerState::kClosed);
  options_.filter.set_channel("prices");
  options_.filter.add_states(admin::v1::STATE_OPEN);
  Serve();
  EXPECT_EQ(Change(ChangeBody())->status, 200);
  EXPECT_EQ(state(), BreakerState::kForcedOpen);
}

// Without a channel it would be all of them, and the authorizer, which is shown
// what will be changed, would be shown nothing.
TEST_F(DashboardChangesTest, ChangeMustNameItsChannel) {
  ShowOther(AllowAll);
  options_.authorizer = [](const AdminRequest& request) {
    for (const AdminRequest::Breaker& breaker : request.breakers) {
      if (breaker.channel == "prices") return AdminDecision::Deny("ask ops");
    }
    return AdminDecision::Allow();
  };
  Serve();
  json body = OtherBody();
  ExpectRefusal(Change(body), 403, "", "ask ops");
  body["channel"] = "";
  ExpectRefusal(Change(body), 400, "channel", "must be there");
  body.erase("channel");
  ExpectRefusal(Change(body), 400, "channel", "must be there");
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST_F(DashboardChangesTest, ChangeMustComeFromThePageItself) {
  Serve();
  const auto with = [&](const std::string& name, const std::string& value) {
    httplib::Headers headers = ChangeHeaders();
    headers.erase(name);
    if (!value.empty()) headers.emplace(name, value);
    return headers;
  };
  ExpectRefusal(Post(ChangeBody(), with("Origin", "")), 403, "Origin",
                "must be there");
  ExpectRefusal(Post(ChangeBody(), with("Origin", "http://evil.example.com")),
                403, "Origin", "must be this server");
  ExpectRefusal(Post(ChangeBody(), with("Sec-Fetch-Site", "cross-site")), 403,
                "Sec-Fetch-Site", "");
  ExpectRefusal(Post(ChangeBody(), with("X-Dashboard-Token", "")), 403,
                "X-Dashboard-Token", "reload");
  ExpectRefusal(
      Post(ChangeBody(), with("X-Dashboard-Token", std::string(32, '0'))), 403,
      "X-Dashboard-Token", "reload");
  httplib::Headers twice = ChangeHeaders();
  twice.emplace("X-Dashboard-Token", "another");
  ExpectRefusal(Post(ChangeBody(), twice), 403, "X-Dashboard-Token", "");
  // What a form of another page could send.
  for (const std::string type :
       {"text/plain", "application/x-www-form-urlencoded",
        "text/plain; application/json"}) {
    ExpectRefusal(Post(ChangeBody(), ChangeHeaders(), type), 415,
                  "Content-Type", "must be application/json");
  }
  ExpectRefusal(Post(ChangeBody(), with("Host", "evil.example.com")), 421,
                "Host", "");
  EXPECT_EQ(state(), BreakerState::kClosed);
  EXPECT_THAT(auditor_->audits(), ::testing::IsEmpty());
  EXPECT_EQ(
      Post(ChangeBody(), ChangeHeaders(), "application/json; charset=utf-8")
          ->status,
      200);
}

TEST_F(DashboardChangesTest, BodyMustBeOfItsForm) {
  Serve();
  const auto with = [](const std::string& field, const json& value) {
    json body = ChangeBody();
    body[field] = value;
    return body;
  };
  const auto without = [](const std::string& field) {
    json body = ChangeBody();
    body.erase(field);
    return body;
  };
  ExpectRefusal(Client().Post("/api/change", ChangeHeaders(),
                              "{\"a\":", "application/json"),
                400, "body", "must be an object of JSON, got \"{\\\"a\\\":\"");
  ExpectRefusal(Change(json::array()), 400, "body", "must be an object");
  ExpectRefusal(Change(with("reasons", "why")), 400, "reasons",
                "there is no such field; the nearest is reason");
  ExpectRefusal(Change(with("reason", 7)), 400, "reason",
                "must be a string, got \"7\"");
  ExpectRefusal(Change(with("action", "opne")), 400, "action",
                "must be open, close or reset; the nearest is open, got "
                "\"opne\"");
  ExpectRefusal(Change(with("ttl_seconds", -1)), 400, "ttl_seconds",
                "must be a whole number from 0 to");
  ExpectRefusal(Change(with("ttl_seconds", 1.5)), 400, "ttl_seconds", "");
  ExpectRefusal(Change(without("method")), 400, "method", "must be there");
  ExpectRefusal(Change(without("action")), 400, "action", "must be there");
  ExpectRefusal(Change(without("process")), 400, "process", "must be there");
  ExpectRefusal(Change(with("process", "that process")), 404, "process",
                "the nearest is this process");
  ExpectRefusal(Change(with("action", "reset")), 400, "ttl_seconds",
                "must be 0 for a reset");
  ExpectRefusal(Change(with("reason", std::string(300, 'x'))), 400, "",
                "reason");
  ExpectRefusal(Change(with("reason", std::string(20000, 'x'))), 413, "body",
                "must have at most 16384 bytes");
  ExpectRefusal(Change(with("method", "/no.Such/Method")), 404, "", "");
  EXPECT_EQ(state(), BreakerState::kClosed);
}

// ---- Options ---------------------------------------------------------------

TEST_F(DashboardServerTest, AddressMustBeLoopbackWithoutHostNames) {
  for (const std::string address :
       {"0.0.0.0:0", "10.0.0.1:80", "[::]:0", "localhost:0", "127.0.0.1",
        "unix:/tmp/s", "127.0.0.1:65536", ""}) {
    options_.address = address;
    EXPECT_THAT(StartError(), HasSubstr("address: must be a numeric loopback "
                                        "address with a port"))
        << address;
  }
  options_.host_names = {"breakers.example.com"};
  options_.address = "example.com:80";
  EXPECT_THAT(StartError(), HasSubstr("got \"example.com:80\""));
  options_.address = "0.0.0.0:0";
  Serve();
  EXPECT_THAT(server_->url(), HasSubstr("http://127.0.0.1:"));
}

TEST_F(DashboardServerTest, HostNamesAreThoseOfAProxyToo) {
  options_.host_names = {"Breakers.example.com", "other.example.com:8443"};
  Serve();
  const auto from = [](const std::string& host, const std::string& origin) {
    return httplib::Headers{{"Host", host}, {"Origin", origin}};
  };
  EXPECT_EQ(
      Get("/", from("breakers.example.com", "https://breakers.example.com"))
          ->status,
      200);
  EXPECT_EQ(
      Get("/", from("other.example.com:8443", "https://other.example.com:8443"))
          ->status,
      200);
  EXPECT_EQ(Get("/", {{"Host", "other.example.com"}})->status, 421);
  EXPECT_EQ(Get("/", {{"Host", "evil.example.com"}})->status, 421);
  for (const std::string name : {"", "a b", "http://a", "a/b", "*"}) {
    options_.host_names = {name};
    EXPECT_THAT(StartError(),
                AllOf(HasSubstr("host_names: must be names as browsers say"),
                      HasSubstr("got \"" + name + "\"")));
  }
}

TEST_F(DashboardServerTest, ChangesOfThisProcessNeedAnAuthorizer) {
  options_.allow_changes = true;
  EXPECT_THAT(StartError(), HasSubstr("allow_changes: needs an authorizer"));
}

TEST_F(DashboardServerTest, ProcessesAreNamedOnceAndHaveChannels) {
  const auto channel =
      grpc::CreateChannel("127.0.0.1:1", grpc::InsecureChannelCredentials());
  options_.processes = {{"a", channel, nullptr}, {"a", channel, nullptr}};
  EXPECT_THAT(StartError(), HasSubstr("\"a\""));
  options_.processes = {{"a", nullptr, nullptr}};
  EXPECT_THAT(StartError(), HasSubstr("channel"));
}

TEST_F(DashboardServerTest, TimeoutIsInItsRange) {
  options_.timeout = absl::ZeroDuration();
  EXPECT_THAT(StartError(), HasSubstr("timeout"));
}

TEST_F(DashboardServerTest, PortThatIsTakenIsAnError) {
  Serve();
  options_.address = server_->address();
  const auto second = DashboardServer::Start(options_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr("address: cannot listen on " + server_->address()));
}

TEST_F(DashboardServerTest, LeavesTheSignalsOfTheProcessAsTheyWere) {
  signal(SIGPIPE, SIG_DFL);
  Serve();
  struct sigaction after;
  sigaction(SIGPIPE, nullptr, &after);
  EXPECT_EQ(after.sa_handler, SIG_DFL);
  // Who goes away while he is answered ends nothing, either.
  for (int i = 0; i < 20; ++i) {
    httplib::Client client("http://" + server_->address());
    client.set_read_timeout(0, 1);
    client.Get("/");
  }
  EXPECT_EQ(Get("/")->status, 200);
}

}  // namespace
}  // namespace grpc_breaker
