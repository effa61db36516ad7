// What DisableConfiguredRetries makes of a channel's arguments: gRPC can
// neither replace nor erase one, so they are copied.

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "grpc_breaker/channel.h"
#include "grpcpp/support/channel_arguments.h"
#include "gtest/gtest.h"

namespace grpc_breaker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kRetries[] = R"({
  "loadBalancingConfig": [{"round_robin": {}}],
  "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
  "methodConfig": [
    {"name": [{}], "timeout": "1s", "retryPolicy": {"maxAttempts": 4}},
    {"name": [{"service": "S"}], "hedgingPolicy": {"maxAttempts": 4}}
  ]
})";

// All arguments under a name, as the core gets them.
std::vector<const grpc_arg*> Find(const grpc::ChannelArguments& arguments,
                                  const std::string& name) {
  std::vector<const grpc_arg*> found;
  const grpc_channel_args raw = arguments.c_channel_args();
  for (size_t i = 0; i < raw.num_args; ++i) {
    if (raw.args[i].key == name) found.push_back(&raw.args[i]);
  }
  return found;
}

std::vector<std::string> Strings(const grpc::ChannelArguments& arguments,
                                 const std::string& name) {
  std::vector<std::string> texts;
  for (const grpc_arg* argument : Find(arguments, name)) {
    EXPECT_EQ(argument->type, GRPC_ARG_STRING);
    texts.emplace_back(argument->value.string);
  }
  return texts;
}

std::vector<int> Integers(const grpc::ChannelArguments& arguments,
                          const std::string& name) {
  std::vector<int> numbers;
  for (const grpc_arg* argument : Find(arguments, name)) {
    EXPECT_EQ(argument->type, GRPC_ARG_INTEGER);
    numbers.push_back(argument->value.integer);
  }
  return numbers;
}

// A pointer whose owners are counted.
struct Counted {
  int owners = 1;
};

const grpc_arg_pointer_vtable kCountedVtable = {
    [](void* pointer) -> void* {
      ++static_cast<Counted*>(pointer)->owners;
      return pointer;
    },
    [](void* pointer) { --static_cast<Counted*>(pointer)->owners; },
    [](void* a, void* b) { return a == b  ? 0
                                  : a < b ? -1
                                          : 1; }};

// With a service config that has to be rewritten.
grpc::ChannelArguments WithRetries() {
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(kRetries);
  return arguments;
}

TEST(ChannelArgumentsTest, RetriesAreTakenOutAndTheRestOfTheConfigStays) {
  grpc::ChannelArguments arguments = WithRetries();

  ASSERT_TRUE(DisableConfiguredRetries(&arguments).ok());

  const auto configs = Strings(arguments, GRPC_ARG_SERVICE_CONFIG);
  ASSERT_EQ(configs.size(), 1u);
  for (const char* gone : {"retryPolicy", "hedgingPolicy", "retryThrottling"}) {
    EXPECT_THAT(configs[0], Not(HasSubstr(gone)));
  }
  for (const char* stays : {"round_robin", "timeout", "1s", "\"S\""}) {
    EXPECT_THAT(configs[0], HasSubstr(stays));
  }
}

TEST(ChannelArgumentsTest, ArgumentsWithoutRetriesAreLeftAlone) {
  const char config[] = R"({"methodConfig": [{"name": [{}]}]})";
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(config);

  ASSERT_TRUE(DisableConfiguredRetries(&arguments).ok());

  EXPECT_THAT(Strings(arguments, GRPC_ARG_SERVICE_CONFIG), ElementsAre(config));
}

TEST(ChannelArgumentsTest, ArgumentsWithoutAServiceConfigGetNone) {
  grpc::ChannelArguments arguments;

  ASSERT_TRUE(DisableConfiguredRetries(&arguments).ok());

  EXPECT_THAT(Strings(arguments, GRPC_ARG_SERVICE_CONFIG), IsEmpty());
}

TEST(ChannelArgumentsTest, IntegersAndStringsAreCarriedOver) {
  grpc::ChannelArguments arguments = WithRetries();
  arguments.SetInt("test.integer", 7);
  arguments.SetInt("test.integer", 8);
  arguments.SetString("test.string", "text");
  arguments.SetLoadBalancingPolicyName("round_robin");
  arguments.SetMaxReceiveMessageSize(1000);

  ASSERT_TRUE(DisableConfiguredRetries(&arguments).ok());

  // Of several under one name the core takes the first, so order matters.
  EXPECT_THAT(Integers(arguments, "test.integer"), ElementsAre(7, 8));
  EXPECT_THAT(Strings(arguments, "test.string"), ElementsAre("text"));
  EXPECT_THAT(Strings(arguments, GRPC_ARG_LB_POLICY_NAME),
              ElementsAre("round_robin"));
  EXPECT_THAT(Integers(arguments, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH),
              ElementsAre(1000));
}

TEST(ChannelArgumentsTest, PointersAreCarriedOverWithTheirOwnership) {
  Counted pointer;
  {
    grpc::ChannelArguments arguments = WithRetries();
    arguments.SetPointerWithVtable("test.pointer", &pointer, &kCountedVtable);
    ASSERT_EQ(pointer.owners, 2);

    ASSERT_TRUE(DisableConfiguredRetries(&arguments).ok());

    const auto found = Find(arguments, "test.pointer");
    ASSERT_EQ(found.size(), 1u);
    ASSERT_EQ(found[0]->type, GRPC_ARG_POINTER);
    EXPECT_EQ(found[0]->value.pointer.p, &pointer);
    EXPECT_EQ(found[0]->value.pointer.vtable, &kCountedVtable);
    EXPECT_EQ(pointer.owners, 2);
  }
  EXPECT_EQ(pointer.owners, 1);
}

TEST(ChannelArgumentsTest, UserAgentPrefixStaysAndGrpcNamesItselfOnce) {
  grpc::ChannelArguments arguments = WithRetries();
  arguments.SetUserAgentPrefix("prefix/1.0");
  const auto before = Strings(arguments, GRPC_ARG_PRIMARY_USER_AGENT_STRING);

  ASSERT_TRUE(DisableConfiguredRetries(&arguments).ok());

  EXPECT_EQ(Strings(arguments, GRPC_ARG_PRIMARY_USER_AGENT_STRING), before);
  EXPECT_THAT(before, ElementsAre(StartsWith("prefix/1.0 grpc-c++/")));
}

TEST(ChannelArgumentsTest, UserAgentWithoutAPrefixStaysAsWell) {
  grpc::ChannelArguments arguments = WithRetries();
  const auto before = Strings(arguments, GRPC_ARG_PRIMARY_USER_AGENT_STRING);

  ASSERT_TRUE(DisableConfiguredRetries(&arguments).ok());

  EXPECT_EQ(Strings(arguments, GRPC_ARG_PRIMARY_USER_AGENT_STRING), before);
}

TEST(ChannelArgumentsTest, FirstOfTwoServiceConfigsIsTheOneThatCounts) {
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(
      R"({"methodConfig": [{"name": [{}], "timeout": "1s",
                            "retryPolicy": {"maxAttempts": 4}}]})");
  arguments.SetServiceConfigJSON(
      R"({"methodConfig": [{"name": [{}], "timeout": "2s"}]})");

  ASSERT_TRUE(DisableConfiguredRetries(&arguments).ok());

  const auto configs = Strings(arguments, GRPC_ARG_SERVICE_CONFIG);
  ASSERT_EQ(configs.size(), 1u);
  EXPECT_THAT(configs[0], HasSubstr("1s"));
  EXPECT_THAT(configs[0], Not(HasSubstr("retryPolicy")));
}

TEST(ChannelArgumentsTest, ServiceConfigThatIsNoObjectIsNamedInTheError) {
  for (const char* config : {"{not json", "[1]", "", "null"}) {
    grpc::ChannelArguments arguments;
    arguments.SetServiceConfigJSON(config);

    const absl::Status status = DisableConfiguredRetries(&arguments);

    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << config;
    EXPECT_THAT(std::string(status.message()), HasSubstr("service config"));
  }
}

TEST(ChannelArgumentsTest, ServiceConfigOfAnOddShapeDoesNotCrash) {
  for (const char* config :
       {R"({"methodConfig": 1})", R"({"methodConfig": {"a": 1}})",
        R"({"methodConfig": [1, "two", [3], null]})",
        R"({"methodConfig": null, "retryThrottling": []})", "{}"}) {
    grpc::ChannelArguments arguments;
    arguments.SetServiceConfigJSON(config);

    EXPECT_TRUE(DisableConfiguredRetries(&arguments).ok()) << config;
  }
}

}  // namespace
}  // namespace grpc_breaker
