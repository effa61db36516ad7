// What the admin service says of channels and of where their policies come
// from.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "grpc_breaker/policy_source.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/admin_fixture.h"

namespace grpc_breaker {
namespace {

using admin::v1::Channel;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Has one retry for methods by default, and says what the test wants.
class FakeSource : public PolicySource {
 public:
  absl::StatusOr<int64_t> ApplyTo(Options* options) override {
    options->default_policy.retry.max_retries = 1;
    return 0;
  }
  void Follow(std::weak_ptr<Registry> /*registry*/,
              int64_t /*version*/) override {}
  PolicySourceStatus status() const override { return said; }

  PolicySourceStatus said;
};

class AdminChannelsTest : public AdminFixture {
 protected:
  AdminChannelsTest() { Serve(); }

  // The names on a page.
  std::vector<std::string> List(admin::v1::ListChannelsRequest request,
                                std::string* next_page_token = nullptr) {
    grpc::ClientContext context;
    GiveUpLater(&context);
    admin::v1::ListChannelsResponse response;
    const grpc::Status status =
        stub_->ListChannels(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::vector<std::string> names;
    for (const Channel& channel : response.channels()) {
      names.push_back(channel.channel());
    }
    if (next_page_token != nullptr) {
      *next_page_token = response.next_page_token();
    }
    return names;
  }

  grpc::Status Get(const std::string& name, Channel* channel) {
    grpc::ClientContext context;
    GiveUpLater(&context);
    admin::v1::GetChannelRequest request;
    request.set_channel(name);
    return stub_->GetChannel(&context, request, channel);
  }
};

TEST_F(AdminChannelsTest, ChannelsAreListedByNameOnPages) {
  EXPECT_THAT(List({}), IsEmpty());
  const auto c = MakeChannel("c");
  const auto a = MakeChannel("a");
  auto b = MakeChannel("b");
  EXPECT_THAT(List({}), ElementsAre("a", "b", "c"));
  admin::v1::ListChannelsRequest request;
  request.set_page_size(2);
  std::string token;
  EXPECT_THAT(List(request, &token), ElementsAre("a", "b"));
  request.set_page_token(token);
  b.reset();
  const auto ab = MakeChannel("ab");
  EXPECT_THAT(List(request, &token), ElementsAre("c"));
  EXPECT_EQ(token, "");
}

TEST_F(AdminChannelsTest, ABadPageIsRefusedByItsField) {
  admin::v1::ListChannelsRequest request;
  request.set_page_size(-1);
  request.set_page_token("?");
  grpc::ClientContext context;
  GiveUpLater(&context);
  admin::v1::ListChannelsResponse response;
  const grpc::Status status = stub_->ListChannels(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(),
              HasSubstr("page_size: must be at least 0"));
  EXPECT_THAT(status.error_message(),
              HasSubstr("page_token: must be one that ListChannels gave out"));
}

TEST_F(AdminChannelsTest, AChannelIsShownWithItsPolicies) {
  Options options;
  options.max_methods = 50;
  options.default_policy.retry.max_retries = 4;
  options.methods["/pkg.S/M"] = options.default_policy;
  options.methods["/pkg.S/M"].timeout = absl::Seconds(2);
  const auto registry = MakeChannel("a", options);
  registry->FindOrCreate("/pkg.S/N");
  Channel channel;
  ASSERT_TRUE(Get("a", &channel).ok());
  EXPECT_EQ(channel.channel(), "a");
  EXPECT_EQ(channel.methods(), 2);
  EXPECT_EQ(channel.max_methods(), 50);
  EXPECT_EQ(channel.config().default_policy().retry().max_retries(), 4);
  const auto& of_method = channel.config().methods().at("/pkg.S/M");
  EXPECT_EQ(of_method.timeout().seconds(), 2);
  EXPECT_FALSE(of_method.has_retry());
  EXPECT_FALSE(channel.has_policy_source());
  EXPECT_FALSE(channel.has_given_config());
}

TEST_F(AdminChannelsTest, PoliciesAreThoseOfNow) {
  const auto registry = MakeChannel("a");
  Policies policies;
  policies.default_policy.retry.max_retries = 9;
  ASSERT_TRUE(registry->ReplacePolicies(policies).ok());
  Channel channel;
  ASSERT_TRUE(Get("a", &channel).ok());
  EXPECT_EQ(channel.config().default_policy().retry().max_retries(), 9);
}

TEST_F(AdminChannelsTest, ASourceIsShownWithWhatItSetsOver) {
  const auto source = std::make_shared<FakeSource>();
  source->said.name = "/etc/shop.yaml";
  source->said.hash = "0123456789abcdef";
  source->said.loaded = environment_.WallNow();
  source->said.loaded_at = environment_.Now();
  source->said.reloads = 2;
  Options options;
  options.policy_source = source;
  options.default_policy.retry.max_retries = 5;
  const auto registry = MakeChannel("a", options);
  environment_.Advance(absl::Seconds(3));
  Channel channel;
  ASSERT_TRUE(Get("a", &channel).ok());
  EXPECT_EQ(channel.config().default_policy().retry().max_retries(), 1);
  EXPECT_EQ(channel.given_config().default_policy().retry().max_retries(), 5);
  EXPECT_EQ(channel.policy_source().name(), "/etc/shop.yaml");
  EXPECT_EQ(channel.policy_source().hash(), "0123456789abcdef");
  EXPECT_EQ(channel.policy_source().loaded().seconds(),
            absl::ToUnixSeconds(source->said.loaded));
  EXPECT_EQ(channel.policy_source().loaded_age().seconds(), 3);
  EXPECT_EQ(channel.policy_source().reloads(), 2u);
  EXPECT_FALSE(channel.policy_source().has_failed());

  source->said.error = "shop.yaml:3: \xFF";
  source->said.failures = 1;
  source->said.failed = environment_.WallNow();
  source->said.failed_at = environment_.Now();
  environment_.Advance(absl::Seconds(1));
  ASSERT_TRUE(Get("a", &channel).ok());
  EXPECT_EQ(channel.policy_source().error(), "shop.yaml:3: \xEF\xBF\xBD");
  EXPECT_EQ(channel.policy_source().failures(), 1u);
  EXPECT_EQ(channel.policy_source().failed_age().seconds(), 1);
  EXPECT_EQ(channel.policy_source().failed().seconds(),
            absl::ToUnixSeconds(source->said.failed));
}

TEST_F(AdminChannelsTest, TheOnlyChannelNeedsNoName) {
  Channel channel;
  grpc::Status status = Get("", &channel);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "channel: there is none");
  const auto a = MakeChannel("a");
  ASSERT_TRUE(Get("", &channel).ok());
  EXPECT_EQ(channel.channel(), "a");
  status = Get("b", &channel);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "channel: there is none called \"b\"");
  const auto b = MakeChannel("b");
  status = Get("", &channel);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(status.error_message(),
            "channel: must be set, because there are several: \"a\", \"b\"");
}

TEST_F(AdminChannelsTest, ReadingChannelsIsGuardedAsAllReadingIs) {
  AdminServiceOptions options;
  std::vector<std::string> asked;
  options.authorize_reads = true;
  options.authorizer = [&asked](const AdminRequest& request) {
    asked.push_back(absl::StrCat(request.rpc, " ", request.channel));
    return AdminDecision();
  };
  Serve(std::move(options));
  const auto a = MakeChannel("a");
  Channel channel;
  EXPECT_EQ(Get("a", &channel).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  grpc::ClientContext context;
  GiveUpLater(&context);
  admin::v1::ListChannelsResponse response;
  EXPECT_EQ(stub_->ListChannels(&context, {}, &response).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(asked, ElementsAre("GetChannel a", "ListChannels "));
}

}  // namespace
}  // namespace grpc_breaker
