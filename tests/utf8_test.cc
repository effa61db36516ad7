#include "grpc_breaker/base/utf8.h"

#include <string>

#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

TEST(Utf8Test, LeavesWellFormedTextAlone) {
  for (const std::string text :
       {"", "plain", "caf\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
        "\xEF\xBF\xBF", "\xF4\x8F\xBF\xBF", "\xED\x9F\xBF"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
    EXPECT_EQ(ToUtf8(text), text);
  }
  EXPECT_TRUE(IsUtf8(absl::string_view("\0", 1)));
}

TEST(Utf8Test, ReplacesEachByteThatIsNotPartOfACharacter) {
  EXPECT_EQ(ToUtf8("a\xFFz"), "a\xEF\xBF\xBDz");
  EXPECT_EQ(ToUtf8("\x80"), "\xEF\xBF\xBD");
  // Cut short, also at the end.
  EXPECT_EQ(ToUtf8("\xC3"), "\xEF\xBF\xBD");
  EXPECT_EQ(ToUtf8("\xE2\x82z"), "\xEF\xBF\xBD\xEF\xBF\xBDz");
}

TEST(Utf8Test, RefusesOverlongFormsSurrogatesAndWhatIsBeyondUnicode) {
  for (const char* bytes :
       {"\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xF0\x8F\xBF\xBF",
        "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80"}) {
    EXPECT_FALSE(IsUtf8(bytes));
    EXPECT_TRUE(IsUtf8(ToUtf8(bytes)));
  }
}

}  // namespace
}  // namespace grpc_breaker::internal
