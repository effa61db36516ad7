#include "grpc_breaker/mutex_lock.h"

#include <thread>

#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

template <typename Lockable>
class MutexLockTest : public ::testing::Test {};

using Mutexes = ::testing::Types<absl::Mutex, Mutex>;
TYPED_TEST_SUITE(MutexLockTest, Mutexes);

TYPED_TEST(MutexLockTest, CountsOfTwoThreadsAreNotLost) {
  TypeParam mutex;
  int count = 0;
  const auto count_up = [&] {
    for (int i = 0; i < 100000; ++i) {
      MutexLock lock(mutex);
      ++count;
    }
  };
  std::thread other(count_up);
  count_up();
  other.join();

  EXPECT_EQ(count, 200000);
}

}  // namespace
}  // namespace grpc_breaker::internal
