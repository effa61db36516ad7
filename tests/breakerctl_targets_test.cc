#include "tools/breakerctl/targets.h"

#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grpc_breaker::breakerctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// What names stand for, without anybody who could be asked.
std::vector<std::string> Resolve(const std::string& host, absl::Duration) {
  const std::map<std::string, std::vector<std::string>> known = {
      {"app.example", {"192.0.2.1", "192.0.2.2"}},
      {"six.example", {"2001:db8::1", "2001:db8::2"}},
      {"one.example", {"192.0.2.9"}},
      {"localhost", {"127.0.0.1", "127.0.0.2"}}};
  const auto found = known.find(host);
  return found == known.end() ? std::vector<std::string>() : found->second;
}

std::vector<std::string> AddressesOf(const std::string& address,
                                     bool* several = nullptr) {
  const absl::StatusOr<Targets> targets =
      FindTargets(address, absl::Seconds(60), Resolve);
  EXPECT_TRUE(targets.ok()) << targets.status();
  std::vector<std::string> addresses;
  if (!targets.ok()) return addresses;
  for (const Target& target : targets->all) {
    addresses.push_back(target.address +
                        (target.host.empty() ? "" : " of " + target.host));
  }
  if (several != nullptr) *several = targets->several;
  return addresses;
}

TEST(BreakerctlTargetsTest, AnAddressIsOneProcess) {
  for (const std::string address :
       {"unix:/run/app/admin.sock", "127.0.0.1:8089", "[::1]:8089",
        "one.example:80", "unknown.example:80", "localhost:80", "app.example",
        "ipv4:192.0.2.1:80", "dns://8.8.8.8/app.example:80"}) {
    bool several = true;
    EXPECT_THAT(AddressesOf(address, &several), ElementsAre(address));
    EXPECT_FALSE(several) << address;
  }
}

TEST(BreakerctlTargetsTest, CommasSeparateProcessesEachOfThemOnce) {
  bool several = false;
  EXPECT_THAT(AddressesOf("unix:/a, unix:/b,unix:/a,", &several),
              ElementsAre("unix:/a", "unix:/b"));
  EXPECT_TRUE(several);
}

TEST(BreakerctlTargetsTest, ANameWithSeveralAddressesIsAProcessAtEach) {
  for (const char* address :
       {"app.example:80", "dns:app.example:80", "dns:///app.example:80"}) {
    bool several = false;
    EXPECT_THAT(AddressesOf(address, &several),
                ElementsAre("192.0.2.1:80 of app.example",
                            "192.0.2.2:80 of app.example"));
    EXPECT_TRUE(several);
  }
  EXPECT_THAT(AddressesOf("six.example:80,one.example:80"),
              ElementsAre("[2001:db8::1]:80 of six.example",
                          "[2001:db8::2]:80 of six.example", "one.example:80"));
}

TEST(BreakerctlTargetsTest, AFileHasAnAddressOnEachLine) {
  std::string path = "/tmp/breakerctl_targets_test.XXXXXX";
  close(mkstemp(&path[0]));
  std::ofstream(path) << "# those of today\n\nunix:/a,b  # with a comma\n"
                         "  app.example:80\n";
  bool several = false;
  EXPECT_THAT(AddressesOf("@" + path, &several),
              ElementsAre("unix:/a,b", "192.0.2.1:80 of app.example",
                          "192.0.2.2:80 of app.example"));
  EXPECT_TRUE(several);

  // Also where it has one by now: what is written does not depend on it.
  std::ofstream(path) << "unix:/a\n";
  EXPECT_THAT(AddressesOf("@" + path, &several), ElementsAre("unix:/a"));
  EXPECT_TRUE(several);

  std::ofstream(path) << "# none\n";
  EXPECT_EQ(FindTargets("@" + path, absl::Seconds(60), Resolve).status().code(),
            absl::StatusCode::kInvalidArgument);
  unlink(path.c_str());
}

TEST(BreakerctlTargetsTest, SaysWhatIsWrong) {
  const auto message = [](const std::string& address) {
    return std::string(
        FindTargets(address, absl::Seconds(60), Resolve).status().message());
  };
  EXPECT_EQ(message(","), "--address: must not be empty");
  EXPECT_THAT(message("@/nowhere/at/all"),
              HasSubstr("cannot read /nowhere/at/all: No such file"));
  EXPECT_THAT(message("@/"), HasSubstr("cannot read /: Is a directory"));
  EXPECT_EQ(message("@/dev/null"), "--address: no address is in /dev/null");
  std::string many;
  for (int i = 0; i < 1001; ++i) many += "unix:/" + std::to_string(i) + ",";
  EXPECT_EQ(message(many),
            "--address: must mean at most 1000 processes, got 1001");
}

TEST(BreakerctlTargetsTest, TooManyAreRefusedBeforeAnyIsLookedUp) {
  std::string many;
  for (int i = 0; i < 1001; ++i) many += std::to_string(i) + ".example:80,";
  std::atomic<int> lookups = 0;
  const auto resolve = [&](const std::string&, absl::Duration) {
    ++lookups;
    return std::vector<std::string>();
  };
  EXPECT_EQ(FindTargets(many, absl::Seconds(60), resolve).status().message(),
            "--address: must mean at most 1000 processes, got 1001");
  EXPECT_EQ(lookups, 0);

  // One that is there again is no other one.
  std::string same;
  for (int i = 0; i < 1001; ++i) same += "one.example:80, ";
  EXPECT_EQ(FindTargets(same, absl::Seconds(60), resolve)->all.size(), 1u);
  EXPECT_EQ(lookups, 1);
}

TEST(BreakerctlTargetsTest, DoesNotWaitForEverForAName) {
  EXPECT_THAT(ResolveHost("app.invalid", absl::Nanoseconds(1)), ElementsAre());
  EXPECT_THAT(ResolveHost("127.0.0.1", absl::Seconds(60)),
              ElementsAre("127.0.0.1"));
}

}  // namespace
}  // namespace grpc_breaker::breakerctl
