// breakerctl config and breakerctl channels, against a real server.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/message_differencer.h"
#include "grpc_breaker/admin/v1/admin.pb.h"
#include "grpc_breaker/admin_server.h"
#include "grpc_breaker/config_file.h"
#include "grpc_breaker/config_file_source.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "gtest/gtest.h"
#include "tests/channels_fixture.h"
#include "tools/breakerctl/program.h"

namespace grpc_breaker {
namespace {

namespace fs = std::filesystem;

using breakerctl::ExitCode;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Result {
  ExitCode code;
  std::string output;
  std::string errors;
};

class BreakerctlConfigTest : public ChannelsFixture<ManualEnvironment> {
 protected:
  BreakerctlConfigTest() {
    std::string name = "/tmp/breakerctl_config_test.XXXXXX";
    if (mkdtemp(name.data()) != nullptr) folder_ = name;
    AdminServerOptions options;
    options.directory = &directory_;
    server_ = *AdminServer::Start("unix:" + (folder_ / "s").string(),
                                  std::move(options));
  }

  ~BreakerctlConfigTest() override {
    server_.reset();
    fs::remove_all(folder_);
  }

  std::string Write(const std::string& name, const std::string& text) {
    const fs::path path = folder_ / name;
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
  }

  static Result Run(const std::vector<std::string>& words) {
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    Result result;
    result.code = breakerctl::RunProgram(words);
    result.output = ::testing::internal::GetCapturedStdout();
    result.errors = ::testing::internal::GetCapturedStderr();
    return result;
  }

  // With the server, and time enough.
  Result RunThere(std::vector<std::string> words) {
    words.push_back("--address=" + server_->address());
    words.push_back("--timeout=60s");
    return Run(words);
  }

  fs::path folder_;
  std::unique_ptr<AdminServer> server_;
};

TEST_F(BreakerctlConfigTest, CheckTellsOfEachFileWhetherItIsRight) {
  const std::string right = Write("right.yaml", "max_methods: 5\n");
  const std::string wrong =
      Write("wrong.json", "{\n\"default_policy\": {\"timeout\": \"5\"}}");
  const std::string out_of_range =
      Write("range.txtpb", "default_policy { retry { max_retries: 101 } }");
  EXPECT_EQ(Run({"config", "check", right}).code, ExitCode::kDone);
  const Result result = Run({"config", "check", wrong, right, out_of_range});
  EXPECT_EQ(result.code, ExitCode::kFailed);
  EXPECT_EQ(result.output, right + ": right\n");
  EXPECT_THAT(result.errors,
              HasSubstr(wrong + ":2: default_policy.timeout: must be"));
  EXPECT_THAT(
      result.errors,
      HasSubstr(out_of_range + ":1: default_policy.retry.max_retries: must"));
}

TEST_F(BreakerctlConfigTest, CheckNeedsAFile) {
  const Result result = Run({"config", "check"});
  EXPECT_EQ(result.code, ExitCode::kUsageError);
  EXPECT_THAT(result.errors, HasSubstr("FILE is missing"));
}

TEST_F(BreakerctlConfigTest, CheckKnowsTheMethodsThatDescriptorsHave) {
  google::protobuf::FileDescriptorSet set;
  auto& file = *set.add_file();
  file.set_name("shop.proto");
  file.set_package("shop");
  file.add_message_type()->set_name("Item");
  auto& service = *file.add_service();
  service.set_name("Inventory");
  auto& method = *service.add_method();
  method.set_name("GetStock");
  method.set_input_type(".shop.Item");
  method.set_output_type(".shop.Item");
  const std::string descriptors = Write("set", set.SerializeAsString());
  const std::string flag = "--descriptors=" + descriptors;
  EXPECT_EQ(Run({"config", "check", flag,
                 Write("right.yaml",
                       "services: {/shop.Inventory/: {}}\n"
                       "methods: {/shop.Inventory/GetStock: {}}\n")})
                .code,
            ExitCode::kDone);
  const std::string wrong = Write("wrong.yaml",
                                  "services:\n  /shop.Invetory/: {}\n"
                                  "methods:\n  /shop.Inventory/GetStok: {}\n"
                                  "  /shop.Bill/Pay: {}\n");
  const Result result = Run({"config", "check", flag, wrong});
  EXPECT_EQ(result.code, ExitCode::kFailed);
  EXPECT_THAT(
      result.errors,
      HasSubstr(wrong + ":2: services[/shop.Invetory/]: there is no service "
                        "shop.Invetory; the nearest is shop.Inventory"));
  EXPECT_THAT(result.errors,
              HasSubstr(":4: methods[/shop.Inventory/GetStok]: its service has "
                        "no method GetStok; the nearest is GetStock"));
  EXPECT_THAT(result.errors, HasSubstr(":5: methods[/shop.Bill/Pay]: there is "
                                       "no service shop.Bill"));
}

TEST_F(BreakerctlConfigTest, DescriptorsThatAreNoneAreAnError) {
  const std::string file = Write("right.yaml", "max_methods: 5\n");
  const std::string missing = (folder_ / "missing").string();
  Result result = Run({"config", "check", file, "--descriptors=" + missing});
  EXPECT_EQ(result.code, ExitCode::kFailed);
  EXPECT_THAT(result.errors, HasSubstr("cannot read " + missing +
                                       ": No such file or directory"));
  result = Run({"config", "check", file, "--descriptors=" + file});
  EXPECT_EQ(result.code, ExitCode::kFailed);
  EXPECT_THAT(result.errors, HasSubstr("FileDescriptorSet"));
}

TEST_F(BreakerctlConfigTest, DiffTellsWhatWouldChange) {
  Options options;
  options.default_policy.retry.max_retries = 3;
  options.default_policy.fallback = Fallback::Fixed({});
  const auto channel = MakeChannel("a", options);
  const std::string file =
      Write("shop.yaml",
            "default_policy: {retry: {max_retries: 5}, fallback: {name: x}}\n"
            "methods: {/p.S/M: {timeout: 5s}}\n");
  Result result = RunThere({"config", "diff", file});
  EXPECT_EQ(result.code, ExitCode::kDifferent) << result.errors;
  EXPECT_EQ(result.output,
            "default_policy.retry.max_retries: 3 -> 5\n"
            "methods[/p.S/M].retry.max_retries: 3 -> 5\n"
            "methods[/p.S/M].timeout: unset -> 5s\n");
  result = RunThere({"config", "diff", file, "--json"});
  google::protobuf::ListValue list;
  ASSERT_TRUE(
      google::protobuf::util::JsonStringToMessage(result.output, &list).ok())
      << result.output;
  ASSERT_EQ(list.values_size(), 3);
  const auto& fields = list.values(2).struct_value().fields();
  EXPECT_EQ(fields.at("field").string_value(), "methods[/p.S/M].timeout");
  EXPECT_EQ(fields.at("from").string_value(), "unset");
  EXPECT_EQ(fields.at("to").string_value(), "5s");
}

// Over what the application says, not over what the old file says.
TEST_F(BreakerctlConfigTest, DiffTakesBackWhatTheFileInForceSays) {
  ConfigFileSource source;
  source.environment = &environment_;
  Options options;
  options.policy_source = *source.Create(
      Write("shop.yaml", "default_policy: {retry: {max_retries: 7}}"));
  options.default_policy.retry.max_retries = 3;
  const auto channel = MakeChannel("a", options);
  Result result = RunThere(
      {"config", "diff",
       Write("new.yaml", "default_policy: {wait_when_rejected: true}")});
  EXPECT_EQ(result.code, ExitCode::kDifferent) << result.errors;
  EXPECT_EQ(result.output,
            "default_policy.retry.max_retries: 7 -> 3\n"
            "default_policy.wait_when_rejected: false -> true\n");
  result = RunThere({"config", "diff", (folder_ / "shop.yaml").string()});
  EXPECT_EQ(result.code, ExitCode::kDone) << result.errors;
  EXPECT_EQ(result.output, "");
}

TEST_F(BreakerctlConfigTest, DiffNeedsARightFileAndAChannel) {
  const std::string right = Write("right.yaml", "max_methods: 5\n");
  EXPECT_EQ(RunThere({"config", "diff", right}).code, ExitCode::kNotFound);
  const auto a = MakeChannel("a");
  const auto b = MakeChannel("b");
  EXPECT_EQ(RunThere({"config", "diff", right}).code, ExitCode::kAmbiguous);
  EXPECT_EQ(RunThere({"config", "diff", right, "--channel=a"}).code,
            ExitCode::kDone);
  const Result result = RunThere(
      {"config", "diff", Write("wrong.yaml", "max_methods: 0"), "--channel=a"});
  EXPECT_EQ(result.code, ExitCode::kFailed);
  EXPECT_THAT(result.errors, HasSubstr("wrong.yaml:1: max_methods: "));
}

// Nothing would change, and a process that sets nothing gets the same.
TEST_F(BreakerctlConfigTest, InitWritesWhatAProcessHasInEachFormat) {
  Options options;
  options.default_policy.retry.max_retries = 4;
  options.services["/p.S/"].timeout = absl::Seconds(2);
  options.methods["/p.S/M"].hedging.max_hedges = 1;
  const auto channel = MakeChannel("a", options);
  for (const std::string format : {"yaml", "json", "txtpb"}) {
    const Result result = RunThere({"config", "init", "--format=" + format});
    EXPECT_EQ(result.code, ExitCode::kDone) << result.errors;
    const std::string file = Write("init." + format, result.output);
    EXPECT_EQ(Run({"config", "check", file}).errors, "") << result.output;
    EXPECT_EQ(RunThere({"config", "diff", file}).output, "") << result.output;
    Options fresh;
    ASSERT_TRUE(LoadConfigFile(file)->ApplyTo(&fresh).ok());
    EXPECT_EQ(fresh.default_policy.retry.max_retries, 4);
    EXPECT_EQ(fresh.PolicyFor("/p.S/N").timeout, absl::Seconds(2));
    EXPECT_EQ(fresh.PolicyFor("/p.S/M").hedging.max_hedges, 1);
  }
  const std::string yaml = RunThere({"config", "init"}).output;
  EXPECT_THAT(yaml, StartsWith("# What holds in channel a of unix:"));
  // The defaults of the library are not in it.
  EXPECT_THAT(yaml, Not(HasSubstr("base_delay")));
}

TEST_F(BreakerctlConfigTest, InitTakesOverAServiceConfig) {
  const std::string file = Write("service_config.json", R"({
    "methodConfig": [{"name": [{"service": "p.S", "method": "M"}],
                      "timeout": "2s",
                      "retryPolicy": {"maxAttempts": 3,
                                      "initialBackoff": "0.1s",
                                      "maxBackoff": "1s",
                                      "backoffMultiplier": 2,
                                      "retryableStatusCodes": ["UNAVAILABLE"]}}],
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.5}})");
  const Result result =
      Run({"config", "init", "--service-config=" + file, "--format=txtpb"});
  EXPECT_EQ(result.code, ExitCode::kDone) << result.errors;
  Options options;
  const std::string written = Write("new.txtpb", result.output);
  ASSERT_TRUE(LoadConfigFile(written)->ApplyTo(&options).ok()) << result.output;
  EXPECT_EQ(options.PolicyFor("/p.S/M").retry.max_retries, 2);
  EXPECT_EQ(options.PolicyFor("/p.S/M").timeout, absl::Seconds(2));
  EXPECT_EQ(options.retry_budget.max_tokens, 10);
  const Result wrong = Run(
      {"config", "init",
       "--service-config=" + Write("wrong.json", R"({"methodConfig": 1})")});
  EXPECT_EQ(wrong.code, ExitCode::kFailed);
  EXPECT_THAT(wrong.errors, HasSubstr("wrong.json: methodConfig: "));
  const Result folder =
      Run({"config", "init", "--service-config=" + folder_.string()});
  EXPECT_EQ(folder.code, ExitCode::kFailed);
  EXPECT_THAT(folder.errors, HasSubstr("cannot read " + folder_.string() +
                                       ": Is a directory"));
}

TEST_F(BreakerctlConfigTest, InitNeedsAProcessOrAServiceConfig) {
  unsetenv("BREAKERCTL_ADDRESS");
  const Result result = Run({"config", "init"});
  EXPECT_EQ(result.code, ExitCode::kUsageError);
  EXPECT_THAT(result.errors, HasSubstr("--service-config"));
  EXPECT_EQ(Run({"config", "init", "--format=toml"}).code,
            ExitCode::kUsageError);
}

TEST_F(BreakerctlConfigTest, InitIsOfOneProcess) {
  const auto channel = MakeChannel("a");
  const Result several =
      Run({"config", "init", "--address=unix:/nowhere/a,unix:/nowhere/b"});
  EXPECT_EQ(several.code, ExitCode::kUsageError);
  EXPECT_THAT(several.errors,
              HasSubstr("--address: must mean one process, got 2;"));
  const std::string file = Write("addresses", server_->address() + "\n");
  const Result one =
      Run({"config", "init", "--timeout=60s", "--address=@" + file});
  EXPECT_EQ(one.code, ExitCode::kDone) << one.errors;
  EXPECT_THAT(one.output, StartsWith("# What holds in channel a of unix:"));
}

// The schema is in the repository, where editors find it.
TEST_F(BreakerctlConfigTest, TheSchemaThatIsShippedIsThatOfTheMessages) {
  std::ifstream file(GRPC_BREAKER_SOURCE_DIR
                     "/proto/grpc_breaker/config/v1/config.schema.json");
  std::ostringstream shipped;
  shipped << file.rdbuf();
  const Result result = Run({"config", "schema"});
  EXPECT_EQ(result.code, ExitCode::kDone);
  google::protobuf::Struct expected;
  google::protobuf::Struct actual;
  using google::protobuf::util::JsonStringToMessage;
  ASSERT_TRUE(JsonStringToMessage(result.output, &expected).ok());
  ASSERT_TRUE(JsonStringToMessage(shipped.str(), &actual).ok());
  EXPECT_TRUE(
      google::protobuf::util::MessageDifferencer::Equals(actual, expected))
      << "write it anew by breakerctl config schema";
}

TEST_F(BreakerctlConfigTest, ChannelsAreListedWithWhereTheirPoliciesComeFrom) {
  ConfigFileSource source;
  source.environment = &environment_;
  Options options;
  const std::string path = Write("shop.yaml", "max_methods: 5\n");
  options.policy_source = *source.Create(path);
  const auto a = MakeChannel("a", options);
  const auto b = MakeChannel("b");
  b->FindOrCreate("/p.S/M");
  Write("shop.yaml", "max_methods: x\n");
  environment_.Advance(source.interval);
  Result result = RunThere({"channels"});
  EXPECT_EQ(result.code, ExitCode::kDone) << result.errors;
  EXPECT_THAT(result.output, HasSubstr(path));
  EXPECT_THAT(result.output, HasSubstr(options.policy_source->status().hash));
  EXPECT_THAT(result.output, HasSubstr(":1: max_methods: must be an integer"));
  EXPECT_THAT(result.output, ::testing::ContainsRegex("\nb +1 +code +- "));
  result = RunThere({"channels", "--json"});
  admin::v1::ListChannelsResponse list;
  ASSERT_TRUE(
      google::protobuf::util::JsonStringToMessage(result.output, &list).ok());
  ASSERT_EQ(list.channels_size(), 2);
  EXPECT_EQ(list.channels(0).policy_source().failures(), 1u);
}

}  // namespace
}  // namespace grpc_breaker
