#include "grpc_breaker/registry/server_name.h"

#include <map>
#include <string>

#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

TEST(ServerNameTest, IsThePathOfTheTargetWithoutItsFirstSlash) {
  const std::map<std::string, std::string> names = {
      {"dns:///shop:443", "shop:443"},
      {"dns:shop:443", "shop:443"},
      {"dns://8.8.8.8/shop:443", "shop:443"},
      {"dns://[2001::1]:53/shop", "shop"},
      {"xds:///shop", "shop"},
      {"xds://authority/shop", "shop"},
      {"ipv4:127.0.0.1:80,127.0.0.1:81", "127.0.0.1:80,127.0.0.1:81"},
      {"ipv6:[::1]:80", "[::1]:80"},
      {"unix:/run/shop.sock", "run/shop.sock"},
      {"unix:///run/shop.sock", "run/shop.sock"},
      {"unix:shop.sock", "shop.sock"},
      {"unix-abstract:shop", "shop"},
      {"google-c2p:///shop", "shop"},
      {"own-scheme://authority/shop", "shop"},
      {"dns:////shop", "/shop"},
  };
  for (const auto& [target, name] : names) {
    EXPECT_EQ(ServerNameOf(target), name) << target;
  }
}

TEST(ServerNameTest, IsTheTargetWhereGrpcTakesThatForADnsName) {
  for (const char* target : {"shop", "shop:443", "127.0.0.1:80", "[::1]:80",
                             "localhost:0", "shop.example:https", "/odd", "",
                             ":", "://", "1://x/y", "http://shop"}) {
    EXPECT_EQ(ServerNameOf(target), target);
  }
}

TEST(ServerNameTest, LeavesOutQueryAndFragmentAndDecodes) {
  EXPECT_EQ(ServerNameOf("dns:///shop?a=b"), "shop");
  EXPECT_EQ(ServerNameOf("dns:///shop#a"), "shop");
  EXPECT_EQ(ServerNameOf("dns:///sh%6Fp%3a443"), "shop:443");
  EXPECT_EQ(ServerNameOf("dns:///100%"), "100%");
  EXPECT_EQ(ServerNameOf("dns:///100%zz"), "100%zz");
}

}  // namespace
}  // namespace grpc_breaker::internal
