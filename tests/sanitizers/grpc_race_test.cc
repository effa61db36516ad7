// Proves that the ThreadSanitizer build sees a race between a call's callback
// and others, and none where the call orders them.

#include <cstdlib>

#include "absl/synchronization/notification.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"
#include "tests/e2e/test_server.h"

namespace grpc_breaker::e2e {
namespace {

// What a call's callback and its caller count to; the latter before the call
// and after its end, or during the call as well.
int CountWithACall(bool during) {
  int counter = 0;
  TestServer server;
  const auto stub = TestService::NewStub(
      grpc::CreateChannel(server.target(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  Request request;
  Reply reply;
  absl::Notification done;
  ++counter;
  stub->async()->Unary(&context, &request, &reply, [&](grpc::Status) {
    ++counter;
    done.Notify();
  });
  if (during) ++counter;
  done.WaitForNotification();
  ++counter;
  return counter;
}

TEST(GrpcRaceTest, IsNotReportedOfWhatComesBeforeACallAndAfterItsEnd) {
  EXPECT_EQ(CountWithACall(/*during=*/false), 3);
}

TEST(GrpcRaceDeathTest, IsReportedOfWhatGoesOnDuringACall) {
  constexpr int kExitCodeOfThreadSanitizer = 66;
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        CountWithACall(/*during=*/true);
        std::exit(0);
      },
      testing::ExitedWithCode(kExitCodeOfThreadSanitizer),
      "ThreadSanitizer: data race");
}

}  // namespace
}  // namespace grpc_breaker::e2e
