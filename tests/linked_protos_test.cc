#include "grpc_breaker/registry/linked_protos.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

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
