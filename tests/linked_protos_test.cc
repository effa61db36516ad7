#include "grpc_breaker/registry/linked_protos.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

TEST(NearestNameTest, CountsInsertionsDeletionsAndReplacements) {
  EXPECT_EQ(NearestName("GetStok", {"GotStuk", "GetStock"}), "GetStock");
  EXPECT_EQ(NearestName("GetStoock", {"GotStuckk", "GetStock"}), "GetStock");
  EXPECT_EQ(NearestName("GetStack", {"GetStockpile", "GetStock"}), "GetStock");
  EXPECT_EQ(NearestName("Get", {"GetIt", "Got"}), "Got");
  EXPECT_EQ(NearestName("Refund", {"Charge", "Refunds", "Found"}), "Refunds");
}

TEST(NearestNameTest, TakesTheFirstOfSeveralThatAreAsNear) {
  EXPECT_EQ(NearestName("a", {"b", "c"}), "b");
}

TEST(NearestNameTest, ThereIsNoneAmongNone) {
  EXPECT_EQ(NearestName("a", {}), "");
}

TEST(LinkedProtosTest, NothingIsKnownOfAServiceThatIsNotLinkedIn) {
  EXPECT_EQ(MethodsOf("not.linked.Service"), std::nullopt);
  EXPECT_EQ(MethodsOf(""), std::nullopt);
  EXPECT_FALSE(IsDeclaredIdempotent("/not.linked.Service/Method"));
}

// What is looked up may be anything.
TEST(LinkedProtosTest, NamesOfOtherThingsAndMalformedOnesAreNoMethods) {
  for (const char* name :
       {"", "/", "_other", "no slash", "/grpc_breaker.v1.RpcStatus/code",
        "/grpc_breaker.v1/RpcStatus"}) {
    EXPECT_FALSE(IsDeclaredIdempotent(name)) << name;
  }
  EXPECT_EQ(MethodsOf("grpc_breaker.v1.RpcStatus"), std::nullopt);
}

}  // namespace
}  // namespace grpc_breaker::internal
