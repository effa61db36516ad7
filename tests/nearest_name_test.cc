#include "grpc_breaker/base/nearest_name.h"

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

}  // namespace
}  // namespace grpc_breaker::internal
