// The page of the dashboard in a real browser, where Chromium and Node.js are
// installed: dashboard_page.mjs is what is done there.

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpc_breaker/admin_server.h"
#include "grpc_breaker/dashboard_server.h"
#include "grpc_breaker/registry.h"
#include "grpc_breaker/stats/call_records.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/e2e/child.h"
#include "tests/fragile_channel.h"

namespace grpc_breaker::e2e {
namespace {

class DashboardPageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* const program : {"chromium", "node"}) {
      if (!IsInstalled(program)) {
        GTEST_SKIP() << program
                     << " (Debian: chromium, nodejs) is not installed";
      }
    }
    options_.directory = &directory_;
    shop_ = MakeChannel("shop");
    pay_ = MakeChannel("pay");
  }

  std::shared_ptr<Registry> MakeChannel(const std::string& name) {
    return MakeFragileChannel(name, &directory_);
  }

  static void Open(Method& method) { RecordOutcome(method, Outcome::kFailure); }

  static std::string NameOf(absl::string_view method) {
    return absl::StrCat("/shop.Inventory/", method);
  }

  void MakeBreakers() {
    shop_->FindOrCreate(NameOf("Alpha"));
    shop_->FindOrCreate(NameOf("Bravo"));
    pay_->FindOrCreate("/pay.Payments/Charlie");
  }

  void Serve() {
    auto server = DashboardServer::Start(options_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    // Where it is the next time as well.
    options_.address = server_->address();
  }

  // The page is also that of another process with what is in the directory.
  void ShowProcess(const std::string& name, Directory* directory) {
    AdminServerOptions admin;
    admin.directory = directory;
    auto process = AdminServer::Start("127.0.0.1:0", admin);
    ASSERT_TRUE(process.ok()) << process.status();
    options_.processes.push_back(
        {name,
         grpc::CreateChannel((*process)->address(),
                             grpc::InsecureChannelCredentials()),
         nullptr});
    processes_[name] = *std::move(process);
  }

  // Does what the page's side asks for.
  void Do(absl::string_view what) {
    if (what == "open Charlie") {
      Open(pay_->FindOrCreate("/pay.Payments/Charlie"));
    } else if (absl::ConsumePrefix(&what, "open ")) {
      Open(shop_->FindOrCreate(NameOf(what)));
    } else if (what == "stop") {
      server_.reset();
    } else if (absl::ConsumePrefix(&what, "stop ")) {
      processes_.erase(std::string(what));
    } else if (what == "start") {
      Serve();
    } else if (what == "refuse") {
      allows_ = false;
    } else {
      FAIL() << "there is no " << what;
    }
  }

  // Plays a scene; what it writes is of use where it fails.
  void Play(const std::string& scene) {
    ASSERT_NO_FATAL_FAILURE(Serve());
    ChildProgram node(
        {"node", DASHBOARD_PAGE, "chromium", server_->url(), scene},
        /*with_errors=*/true);
    std::string said;
    for (std::string line; !(line = node.ReadLine()).empty() ||
                           !(line = node.ReadLine()).empty();) {
      absl::string_view rest = line;
      if (absl::ConsumePrefix(&rest, "please ")) {
        Do(rest);
        node.Write("done\n");
      } else {
        absl::StrAppend(&said, line, "\n");
      }
    }
    EXPECT_EQ(node.Wait(), 0) << said;
    if (absl::StrContains(said, "500 breakers")) RecordProperty("smooth", said);
  }

  Directory directory_;
  Directory other_directory_;
  DashboardOptions options_;
  std::shared_ptr<Registry> shop_;
  std::shared_ptr<Registry> pay_;
  std::map<std::string, std::unique_ptr<AdminServer>> processes_;
  std::atomic<bool> allows_{true};
  std::unique_ptr<DashboardServer> server_;
};

TEST_F(DashboardPageTest, ShowsFiltersAndSortsAndIsUsedByKeysAlone) {
  MakeBreakers();
  Play("use");
}

TEST_F(DashboardPageTest, ChoosesByProcessAndCountsThoseThatAnswer) {
  MakeBreakers();
  const auto other = MakeFragileChannel("shop", &other_directory_);
  Method& delta = other->FindOrCreate(NameOf("Delta"));
  Open(delta);
  delta.records().AddSuccessAtOnce(absl::Milliseconds(1),
                                   Environment::Default().Now());
  ASSERT_NO_FATAL_FAILURE(ShowProcess("one", &directory_));
  ASSERT_NO_FATAL_FAILURE(ShowProcess("two", &other_directory_));
  Play("processes");
}

TEST_F(DashboardPageTest, CauseIsKnownOfWhatWasBeforeTheServer) {
  MakeBreakers();
  Do("open Charlie");
  Play("before");
}

TEST_F(DashboardPageTest, BreakerThatOpensIsSeenWithinASecond) {
  MakeBreakers();
  shop_->FindOrCreate(NameOf("Delta"));
  Play("opens");
}

TEST_F(DashboardPageTest, TextHasContrastAndEverythingHasAName) {
  MakeBreakers();
  for (const BreakerState state :
       {BreakerState::kForcedOpen, BreakerState::kForcedClosed,
        BreakerState::kMetricsOnly}) {
    ManualState manual;
    manual.state = state;
    manual.reason = "to be read";
    ASSERT_TRUE(shop_->FindOrCreate(NameOf(ToString(state)))
                    .breaker()
                    .SetManualState(manual)
                    .ok());
  }
  Play("readable");
}

TEST_F(DashboardPageTest, FitsAPhone) {
  MakeBreakers();
  shop_->FindOrCreate(NameOf(std::string(200, 'x')));
  Play("phone");
}

TEST_F(DashboardPageTest, KeepsStillForWhoWantsThat) {
  MakeBreakers();
  Play("calm");
}

TEST_F(DashboardPageTest, SaysThatItsServerIsGoneAndComesBackByItself) {
  MakeBreakers();
  shop_->FindOrCreate(NameOf("Delta"));
  Play("lost");
}

TEST_F(DashboardPageTest, HostileNamesAreTextAndNothingElse) {
  const auto hostile = MakeChannel(
      "</script><img src=x onerror=window.attacked=1><iframe src=/>");
  Open(hostile->FindOrCreate("/a.B/C"));
  Play("hostile");
}

TEST_F(DashboardPageTest, ChangesABreakerForThoseWhoMay) {
  MakeBreakers();
  options_.allow_changes = true;
  options_.authorizer = [this](const AdminRequest&) {
    return allows_ ? AdminDecision::Allow("alice")
                   : AdminDecision::Deny("ask ops");
  };
  Play("changes");
}

TEST_F(DashboardPageTest, FiveHundredBreakersStaySmooth) {
  std::vector<Method*> methods;
  for (int i = 0; i < 500; ++i) {
    methods.push_back(&shop_->FindOrCreate(NameOf(absl::StrCat("Method", i))));
  }
  std::atomic<bool> is_over{false};
  std::thread calls([&] {
    Environment& environment = Environment::Default();
    for (size_t round = 0; !is_over; ++round) {
      for (size_t i = 0; i < methods.size(); ++i) {
        for (size_t calls = 0; calls < 1 + (i + round) % 5; ++calls) {
          methods[i]->records().AddSuccessAtOnce(absl::Milliseconds(1 + i % 50),
                                                 environment.Now());
        }
      }
      absl::SleepFor(absl::Milliseconds(200));
    }
  });
  Play("many");
  is_over = true;
  calls.join();
}

}  // namespace
}  // namespace grpc_breaker::e2e
