// Includes go downward only: the build shows a layer no header of one above.

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/layers/layers.h"
#include "tests/markdown_table.h"

namespace {

using ::testing::Contains;

// Floor, folder, libraries and contents, as in ARCHITECTURE.md.
std::vector<std::vector<std::string>> LayersDrawn() {
  std::ifstream file(GRPC_BREAKER_SOURCE_DIR "/ARCHITECTURE.md");
  std::stringstream text;
  text << file.rdbuf();
  return grpc_breaker::MarkdownTable(
      absl::StrReplaceAll(text.str(), {{"`", ""}}), "layers");
}

// A layer may include those on floors below its own.
const std::map<std::string, int>& Floors() {
  static const auto* const floors = [] {
    auto* result = new std::map<std::string, int>;
    for (const auto& row : LayersDrawn()) (*result)[row[1]] = row[0][0] - '0';
    return result;
  }();
  return *floors;
}

bool MayInclude(const std::string& folder, const std::string& other) {
  return folder == other || Floors().at(other) < Floors().at(folder);
}

TEST(LayersTest, AreThoseThatArchitectureMdDraws) {
  std::map<std::string, std::set<std::string>> built;
  for (const Layer& layer : Layers()) built[layer.folder].insert(layer.name);
  std::map<std::string, std::set<std::string>> drawn;
  for (const auto& row : LayersDrawn()) {
    drawn[row[1]] = absl::StrSplit(row[2], ", ");
  }
  if (!GRPC_BREAKER_PROMETHEUS) drawn.erase("prometheus");
  if (!GRPC_BREAKER_DASHBOARD) drawn.erase("dashboard");
  EXPECT_EQ(drawn, built);
}

TEST(LayersTest, NoLayerCanIncludeAHeaderOfItsFloorOrAbove) {
  for (const Layer& layer : Layers()) {
    for (const std::string& header : *layer.seen) {
      EXPECT_TRUE(MayInclude(layer.folder, FoldersOfHeaders().at(header)))
          << layer.name << " can include " << header;
    }
  }
}

TEST(LayersTest, EachLayerSeesItsOwnPrivateHeadersAndThoseOfTheBase) {
  for (const Layer& layer : Layers()) {
    EXPECT_THAT(*layer.seen, Contains("grpc_breaker/base/timer_queue.h"))
        << layer.name;
    for (const auto& [header, folder] : FoldersOfHeaders()) {
      if (folder == layer.folder &&
          header.rfind("grpc_breaker/" + folder + "/", 0) == 0) {
        EXPECT_THAT(*layer.seen, Contains(header)) << layer.name;
      }
    }
  }
}

// By the name of a neighbour, or over "..", anything could be included.
TEST(LayersTest, SourcesNameHeadersByTheirWholePaths) {
  int includes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(
           GRPC_BREAKER_SOURCE_DIR "/interceptor/grpc_breaker")) {
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      if (line.rfind("#include \"", 0) != 0) continue;
      ++includes;
      const std::string path = line.substr(10);
      const std::string root = path.substr(0, path.find('/'));
      EXPECT_TRUE(root == "absl" || root == "google" || root == "grpc" ||
                  root == "grpcpp" || root == "grpc_breaker" ||
                  root == "prometheus" || root == "yaml-cpp")
          << entry.path() << ": " << line;
      EXPECT_EQ(path.find(".."), std::string::npos)
          << entry.path() << ": " << line;
    }
  }
  EXPECT_GT(includes, 300);
}

TEST(LayersTest, PublicHeadersIncludeNoPrivateOnes) {
  for (const auto& [header, folder] : FoldersOfHeaders()) {
    if (header.rfind("grpc_breaker/" + folder + "/", 0) == 0) continue;
    std::ifstream file(GRPC_BREAKER_SOURCE_DIR "/interceptor/" + header);
    ASSERT_TRUE(file.is_open()) << header;
    for (std::string line; std::getline(file, line);) {
      if (line.rfind("#include \"grpc_breaker/", 0) != 0) continue;
      const std::string included = line.substr(10, line.size() - 11);
      // Messages are public.
      if (included.rfind(".pb.h") != std::string::npos) continue;
      EXPECT_EQ(included.find('/', 13), std::string::npos)
          << header << ": " << line;
    }
  }
}

}  // namespace
