#include "grpc_breaker/rpc/shared_bytes.h"

#include <string>
#include <utility>
#include <vector>

#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/slice.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

SharedBytes BytesOf(const std::string& text) {
  const grpc::Slice slice(text);
  return SharedBytes(grpc::ByteBuffer(&slice, 1));
}

std::string TextOf(const SharedBytes& bytes) {
  std::vector<grpc::Slice> slices;
  if (!bytes.buffer().Dump(&slices).ok()) return "none";
  std::string text;
  for (const grpc::Slice& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return text;
}

TEST(SharedBytesTest, ACopyLeavesTheOriginal) {
  const SharedBytes original = BytesOf("hello");
  SharedBytes copy = original;
  EXPECT_EQ(TextOf(copy), "hello");
  copy = BytesOf("other");
  copy = original;

  EXPECT_EQ(TextOf(original), "hello");
  EXPECT_EQ(TextOf(copy), "hello");
}

TEST(SharedBytesTest, MovesLeaveNoCopyBehind) {
  SharedBytes original = BytesOf("hello");
  SharedBytes moved = std::move(original);
  SharedBytes assigned;
  assigned = std::move(moved);

  EXPECT_EQ(TextOf(assigned), "hello");
  EXPECT_FALSE(original.buffer().Valid());  // NOLINT(bugprone-use-after-move)
  EXPECT_FALSE(moved.buffer().Valid());     // NOLINT(bugprone-use-after-move)
}

}  // namespace
}  // namespace grpc_breaker::internal
