// Makes so many synchronous calls of one kind, for a tool that counts
// instructions to look at: see paths.h.

#include <memory>
#include <string>

#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "tests/bench/bench_util.h"
#include "tests/bench/echo_service.h"
#include "tests/bench/paths.h"

namespace grpc_breaker::bench {
namespace {

using admin::v1::Breaker;
using admin::v1::CircuitBreakerAdmin;
using admin::v1::GetBreakerRequest;

// `channel` makes one to an address.
template <typename Function>
Path CallsOn(const char* name, Function channel) {
  return {name, [channel](const std::string& address, int times) {
            const auto stub = CircuitBreakerAdmin::NewStub(channel(address));
            GetBreakerRequest request;
            request.set_method("hello");
            grpc::Status status;
            for (int i = 0; i < times && status.ok(); ++i) {
              grpc::ClientContext context;
              Breaker reply;
              status = stub->GetBreaker(&context, request, &reply);
            }
            return status;
          }};
}

Path CallsUnder(const char* name, const Policy& policy) {
  return CallsOn(name, [policy](const std::string& address) {
    return ChannelUnder(policy, address);
  });
}

}  // namespace
}  // namespace grpc_breaker::bench

int main(int argc, char** argv) {
  using namespace grpc_breaker::bench;
  return WalkPath<EchoService>(
      argc, argv,
      {
          CallsOn("bare",
                  [](const std::string& address) {
                    return BareChannel(address, OwnConnection());
                  }),
          CallsOn("idle_interceptor",
                  [](const std::string& address) {
                    return ChannelWith<IdleInterceptor>(address,
                                                        OwnConnection());
                  }),
          CallsUnder("breaker_only", BreakerOnlyPolicy()),
          CallsUnder("breaker_and_retry", grpc_breaker::Policy()),
          CallsUnder("hijacked", HijackingPolicy()),
      });
}
