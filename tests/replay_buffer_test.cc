#include "grpc_breaker/rpc/replay_buffer.h"

#include <string>
#include <vector>

#include "grpc/byte_buffer.h"
#include "grpc/compression.h"
#include "grpc/slice.h"
#include "grpc_breaker/registry/grpc_compat.h"
#include "grpc_breaker/retry/replay_bytes.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/slice.h"
#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

// Long enough not to lie in the slice itself.
const std::string kLong(100, 'x');

grpc::ByteBuffer BufferOf(const std::vector<std::string>& parts) {
  std::vector<grpc::Slice> slices;
  for (const std::string& part : parts) slices.emplace_back(part);
  return grpc::ByteBuffer(slices.data(), slices.size());
}

std::vector<std::string> PartsOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(buffer.Dump(&slices).ok());
  std::vector<std::string> parts;
  for (const grpc::Slice& slice : slices) {
    parts.emplace_back(reinterpret_cast<const char*>(slice.begin()),
                       slice.size());
  }
  return parts;
}

class ReplayBufferTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!kHasPrivateAccess) GTEST_SKIP() << "keeps nothing then";
  }

  ReplayBuffer buffer_{10000};
};

TEST_F(ReplayBufferTest, GivesBackMessagesInOrderAndInTheirParts) {
  const std::vector<std::vector<std::string>> messages = {
      {"one"}, {kLong, "two", kLong + "y"}, {}, {"last"}};
  for (const auto& parts : messages) {
    const grpc::ByteBuffer message = BufferOf(parts);
    ASSERT_TRUE(buffer_.Add(&message, grpc::WriteOptions(), /*last=*/false));
  }

  ASSERT_EQ(buffer_.size(), messages.size());
  for (int times = 0; times < 2; ++times) {
    for (size_t i = 0; i < messages.size(); ++i) {
      const ReplayBuffer::Entry entry = buffer_.at(i);
      ASSERT_TRUE(entry.message.Valid()) << i;
      EXPECT_EQ(PartsOf(entry.message), messages[i]) << i;
      EXPECT_FALSE(entry.last);
    }
  }
}

TEST_F(ReplayBufferTest, KeepsMoreThanItHasPlacesForAtFirst) {
  ReplayBuffer buffer(1 << 20);
  for (int i = 0; i < 1000; ++i) {
    const grpc::ByteBuffer message = BufferOf({std::to_string(i), kLong});
    ASSERT_TRUE(buffer.Add(&message, grpc::WriteOptions(), /*last=*/false));
  }
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(PartsOf(buffer.at(i).message),
              (std::vector<std::string>{std::to_string(i), kLong}));
  }
}

TEST_F(ReplayBufferTest, TellsAnEmptyMessageFromNone) {
  const grpc::ByteBuffer empty = BufferOf({""});
  ASSERT_TRUE(buffer_.Add(&empty, grpc::WriteOptions(), /*last=*/false));
  ASSERT_TRUE(buffer_.Add(nullptr, grpc::WriteOptions(), /*last=*/true));

  EXPECT_TRUE(buffer_.at(0).message.Valid());
  EXPECT_EQ(buffer_.at(0).message.Length(), 0u);
  EXPECT_FALSE(buffer_.at(1).message.Valid());
}

TEST_F(ReplayBufferTest, KeepsOptionsAndTheHalfClose) {
  const grpc::ByteBuffer message = BufferOf({"one"});
  ASSERT_TRUE(buffer_.Add(&message, grpc::WriteOptions().set_no_compression(),
                          /*last=*/false));
  ASSERT_TRUE(buffer_.Add(&message, grpc::WriteOptions(), /*last=*/true));

  EXPECT_TRUE(buffer_.at(0).options.get_no_compression());
  EXPECT_FALSE(buffer_.at(1).options.get_no_compression());
  EXPECT_FALSE(buffer_.at(0).last);
  EXPECT_TRUE(buffer_.at(1).last);
}

#if GRPC_BREAKER_HAS_PRIVATE_ACCESS

grpc_compression_algorithm CompressionOf(const grpc::ByteBuffer& buffer) {
  return (buffer.*Get(Buffer()))->data.raw.compression;
}

// One that a proxy has received so, and passes on.
TEST_F(ReplayBufferTest, TellsMessagesThatAreCompressedAlready) {
  grpc_slice slice = grpc_slice_from_static_string("packed");
  grpc::ByteBuffer packed;
  packed.*Get(Buffer()) =
      grpc_raw_compressed_byte_buffer_create(&slice, 1, GRPC_COMPRESS_GZIP);
  const grpc::ByteBuffer plain = BufferOf({"plain"});
  ASSERT_TRUE(buffer_.Add(&packed, grpc::WriteOptions(), /*last=*/false));
  ASSERT_TRUE(buffer_.Add(&plain, grpc::WriteOptions(), /*last=*/false));

  EXPECT_EQ(CompressionOf(buffer_.at(0).message), GRPC_COMPRESS_GZIP);
  EXPECT_EQ(CompressionOf(buffer_.at(1).message), GRPC_COMPRESS_NONE);
}

#endif

TEST_F(ReplayBufferTest, SharesTheBytes) {
  const grpc::ByteBuffer message = BufferOf({kLong});
  ASSERT_TRUE(buffer_.Add(&message, grpc::WriteOptions(), /*last=*/false));

  std::vector<grpc::Slice> sent;
  std::vector<grpc::Slice> kept;
  ASSERT_TRUE(message.Dump(&sent).ok());
  ASSERT_TRUE(buffer_.at(0).message.Dump(&kept).ok());
  EXPECT_EQ(kept.front().begin(), sent.front().begin());
}

TEST_F(ReplayBufferTest, OutlivesWhatItWasGiven) {
  {
    const grpc::ByteBuffer message = BufferOf({kLong});
    ASSERT_TRUE(buffer_.Add(&message, grpc::WriteOptions(), /*last=*/false));
  }
  grpc::ByteBuffer given;
  {
    ReplayBuffer other(1000);
    const grpc::ByteBuffer message = buffer_.at(0).message;
    buffer_.Clear();
    ASSERT_TRUE(other.Add(&message, grpc::WriteOptions(), /*last=*/false));
    given = other.at(0).message;
  }

  EXPECT_EQ(PartsOf(given), std::vector<std::string>{kLong});
}

TEST_F(ReplayBufferTest, WhatHasNoRoomIsNotKept) {
  ReplayBuffer buffer(1000);
  const grpc::ByteBuffer small = BufferOf({"one"});
  const grpc::ByteBuffer large = BufferOf({std::string(1000, 'x')});
  ASSERT_TRUE(buffer.Add(&small, grpc::WriteOptions(), /*last=*/false));
  const int64_t bytes = buffer.bytes();

  EXPECT_FALSE(buffer.Add(&large, grpc::WriteOptions(), /*last=*/false));
  EXPECT_EQ(buffer.bytes(), bytes);
  EXPECT_TRUE(buffer.Add(&small, grpc::WriteOptions(), /*last=*/true));
  ASSERT_EQ(buffer.size(), 2u);
  EXPECT_EQ(PartsOf(buffer.at(1).message), std::vector<std::string>{"one"});
}

TEST_F(ReplayBufferTest, MessagesAndTheirPartsTakeRoomWithoutBytesAsWell) {
  const grpc::ByteBuffer nothing = BufferOf({});
  const grpc::ByteBuffer parts = BufferOf({"", ""});
  ASSERT_TRUE(buffer_.Add(&nothing, grpc::WriteOptions(), /*last=*/false));
  const int64_t one = buffer_.bytes();
  EXPECT_GT(one, 0);
  ASSERT_TRUE(buffer_.Add(&parts, grpc::WriteOptions(), /*last=*/false));
  EXPECT_GT(buffer_.bytes(), 2 * one);

  ReplayBuffer small(1000);
  int kept = 0;
  while (small.Add(&nothing, grpc::WriteOptions(), /*last=*/false)) ++kept;
  EXPECT_GT(kept, 0);
  EXPECT_LT(kept, 1000);
}

TEST_F(ReplayBufferTest, ClearGivesBackAll) {
  const grpc::ByteBuffer message = BufferOf({kLong});
  ASSERT_TRUE(buffer_.Add(&message, grpc::WriteOptions(), /*last=*/false));
  EXPECT_GE(ReplayBytes::OfProcess(), 100);

  buffer_.Clear();

  EXPECT_EQ(buffer_.size(), 0u);
  EXPECT_EQ(buffer_.bytes(), 0);
  EXPECT_EQ(ReplayBytes::OfProcess(), 0);
  ASSERT_TRUE(buffer_.Add(&message, grpc::WriteOptions(), /*last=*/false));
  EXPECT_EQ(PartsOf(buffer_.at(0).message), std::vector<std::string>{kLong});
}

}  // namespace
}  // namespace grpc_breaker::internal
