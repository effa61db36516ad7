#include "grpc_breaker/registry/method_name.h"

#include <string>

#include "gtest/gtest.h"

namespace grpc_breaker::internal {
namespace {

TEST(MethodNameTest, AcceptsNamesWithAndWithoutPackage) {
  EXPECT_EQ(FormOf("/pkg.Service/Method"), NameForm::kMethod);
  EXPECT_EQ(FormOf("/a.b2.c_3.Service/Method4"), NameForm::kMethod);
  EXPECT_EQ(FormOf("/Service/Method"), NameForm::kMethod);
}

TEST(MethodNameTest, TellsServicesFromMethods) {
  EXPECT_EQ(FormOf("/pkg.Service/"), NameForm::kService);
  EXPECT_EQ(FormOf("/Service/"), NameForm::kService);
}

TEST(MethodNameTest, KnowsBeginningsOfNames) {
  EXPECT_EQ(FormOf("/"), NameForm::kPrefix);
  EXPECT_EQ(FormOf("/pkg"), NameForm::kPrefix);
  EXPECT_EQ(FormOf("/pkg."), NameForm::kPrefix);
  EXPECT_EQ(FormOf("/pkg.Ser"), NameForm::kPrefix);
}

TEST(MethodNameTest, RefusesEverythingElse) {
  for (const char* name :
       {"", "pkg.Service/Method", "//", "/pkg..Service/Method", "/.Service/M",
        "/pkg.Service//Method", "/pkg.Service/Method/", "/pkg.Service/Me.thod",
        "/pkg.Service/Me thod", "/pkg./Method", "/1pkg.Service/Method",
        "/pkg.Service/1Method", "/pkg.Service/M\n", "/pkg.S\xc3\xa9rvice/M",
        "_other"}) {
    EXPECT_EQ(FormOf(name), NameForm::kMalformed) << name;
  }
}

TEST(MethodNameTest, RefusesAnEmbeddedNul) {
  EXPECT_EQ(FormOf(absl::string_view("/pkg.S/M\0", 9)), NameForm::kMalformed);
}

TEST(MethodNameTest, BoundsTheLength) {
  const std::string service = "/pkg.Service/";
  const std::string longest =
      service + std::string(kMaxNameLength - service.size(), 'M');
  EXPECT_EQ(FormOf(longest), NameForm::kMethod);
  EXPECT_EQ(FormOf(longest + "M"), NameForm::kMalformed);
}

}  // namespace
}  // namespace grpc_breaker::internal
