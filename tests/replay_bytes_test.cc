#include "grpc_breaker/retry/replay_bytes.h"

#include "grpc_breaker/retry_options.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

TEST(ReplayBytesTest, KeepsNoMoreThanACallMay) {
  ReplayBytes bytes(10);
  EXPECT_TRUE(bytes.Add(4));
  EXPECT_FALSE(bytes.Add(7));
  EXPECT_TRUE(bytes.Add(6));
  EXPECT_FALSE(bytes.Add(1));
  EXPECT_EQ(bytes.bytes(), 10);
}

TEST(ReplayBytesTest, CallsShareWhatTheProcessMayKeep) {
  SetReplayBytesOfProcess(10);
  ReplayBytes one(100);
  {
    ReplayBytes other(100);
    EXPECT_TRUE(other.Add(6));
    EXPECT_FALSE(one.Add(5));
    EXPECT_EQ(ReplayBytes::OfProcess(), 6);
  }
  EXPECT_TRUE(one.Add(5));
  one.Release();
  EXPECT_EQ(one.bytes(), 0);
  EXPECT_EQ(ReplayBytes::OfProcess(), 0);
  EXPECT_TRUE(one.Add(10));
  SetReplayBytesOfProcess(64 << 20);
}

}  // namespace
}  // namespace grpc_breaker::internal
