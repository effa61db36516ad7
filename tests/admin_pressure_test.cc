// What the admin service costs where there is much to show, or somebody who
// does not read: counted, not timed.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "grpc_breaker/admin_service.h"
#include "grpc_breaker/registry.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/admin_fixture.h"
#include "tests/counted_heap.h"

namespace grpc_breaker {
namespace {

using admin::v1::ListBreakersRequest;
using admin::v1::ListBreakersResponse;
using admin::v1::WatchBreakersResponse;

class AdminPressureTest : public AdminFixture {
 protected:
  AdminPressureTest() { Serve(); }

  std::vector<std::shared_ptr<Registry>> MakeChannels(int channels,
                                                      int methods) {
    std::vector<std::shared_ptr<Registry>> made;
    for (int i = 0; i < channels; ++i) {
      made.push_back(MakeChannel(absl::StrCat("channel ", i)));
      for (int j = 0; j < methods; ++j) {
        made.back()->FindOrCreate(absl::StrCat("/pkg.Service/Method", j));
      }
    }
    return made;
  }

  ListBreakersResponse List(const ListBreakersRequest& request) {
    grpc::ClientContext context;
    GiveUpLater(&context);
    ListBreakersResponse response;
    const grpc::Status status =
        stub_->ListBreakers(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
};

// By what is allocated, which is there for each breaker that is shown and for
// each batch that is looked at.
TEST_F(AdminPressureTest, APageOfManyBreakersCostsWhatOneOfFewDoes) {
  constexpr int kChannels = 100;
  constexpr int kMethods = 1000;
  const auto channels = MakeChannels(kChannels, kMethods);
  ListBreakersRequest request;
  request.set_page_size(1000);
  List(request);  // The connection is there.
  std::set<std::string> seen;
  int first = 0;
  int most = 0;
  int pages = 0;
  do {
    const int before = counted_heap::allocations;
    const ListBreakersResponse page = List(request);
    const int allocations = counted_heap::allocations - before;
    if (first == 0) first = allocations;
    most = std::max(most, allocations);
    ++pages;
    for (const auto& breaker : page.breakers()) {
      seen.insert(absl::StrCat(breaker.channel(), " ", breaker.method()));
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(seen.size(), size_t{kChannels} * kMethods);
  EXPECT_EQ(pages, kChannels * kMethods / 1000);
  EXPECT_LE(most, first + first / 10);

  // Where little matches, a page ends as well.
  request.mutable_filter()->add_states(admin::v1::STATE_OPEN);
  pages = 0;
  do {
    const ListBreakersResponse page = List(request);
    EXPECT_EQ(page.breakers_size(), 0);
    ++pages;
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_GE(pages, kChannels * kMethods / 10000);
  EXPECT_LE(pages, kChannels * kMethods / 10000 + 1);
}

TEST_F(AdminPressureTest, WhoDoesNotReadCostsBoundedMemory) {
  constexpr int kBreakers = 100;
  const auto channels = MakeChannels(1, kBreakers);
  const auto change_all = [&](int times) {
    for (int i = 0; i < times; ++i) {
      for (int j = 0; j < kBreakers; ++j) {
        Method& method =
            channels[0]->FindOrCreate(absl::StrCat("/pkg.Service/Method", j));
        Open(method);
        method.breaker().Reset("", "", environment_.Now());
      }
    }
  };
  grpc::ClientContext context;
  GiveUpLater(&context);
  const auto reader = stub_->WatchBreakers(&context, {});
  WatchBreakersResponse response;
  ASSERT_TRUE(reader->Read(&response));  // And no further one.

  // By then buffers on the way are full, and so is what is kept of the past.
  change_all(50);
  const ptrdiff_t before = counted_heap::in_use;
  change_all(500);
  EXPECT_LE(counted_heap::in_use - before, 100 * 1024);

  // What is left is the latest of each.
  int changes = 0;
  std::set<std::string> closed;
  while (closed.size() < kBreakers && reader->Read(&response)) {
    ++changes;
    if (response.breaker().transitions() == 2 * 550) {
      closed.insert(response.breaker().method());
    }
  }
  EXPECT_EQ(closed.size(), size_t{kBreakers});
  EXPECT_LT(changes, kBreakers * 550);
  context.TryCancel();
  reader->Finish();
}

// As AdminServiceOptions::max_watches says.
TEST_F(AdminPressureTest, AWatchCostsSoMuchPerBreaker) {
  constexpr int kBreakers = 1000;
  const auto channels = MakeChannels(1, kBreakers);
  const auto open = [this](grpc::ClientContext* context) {
    GiveUpLater(context);
    auto reader = stub_->WatchBreakers(context, {});
    WatchBreakersResponse response;
    while (reader->Read(&response) &&
           response.kind() != WatchBreakersResponse::KIND_SNAPSHOT_END) {
    }
    return reader;
  };
  grpc::ClientContext first_context;
  const auto first = open(&first_context);
  const ptrdiff_t before = counted_heap::in_use;
  grpc::ClientContext second_context;
  const auto second = open(&second_context);
  EXPECT_LE(counted_heap::in_use - before, kBreakers * 400);
  for (grpc::ClientContext* context : {&first_context, &second_context}) {
    context->TryCancel();
  }
  first->Finish();
  second->Finish();
}

}  // namespace
}  // namespace grpc_breaker
