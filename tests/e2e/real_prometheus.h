#ifndef GRPC_BREAKER_TESTS_E2E_REAL_PROMETHEUS_H_
#define GRPC_BREAKER_TESTS_E2E_REAL_PROMETHEUS_H_

// Debian's Prometheus, where it is installed.
//
// Thread-compatible.

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/e2e/child.h"
#include "tests/e2e/http.h"
#include "tests/e2e/wait.h"

namespace grpc_breaker::e2e {

// Waits until a query to the one at `port` has an answer with this in it.
inline void ExpectOfPrometheus(int port, const std::string& query,
                               const std::string& expected) {
  WaitUntil(
      [&] {
        return absl::StrContains(
            HttpGet(port,
                    absl::StrCat("/api/v1/query?query=", UrlEncoded(query))),
            expected);
      },
      absl::StrCat(query, " to be ", expected));
}

// A running Prometheus, on a free port of 127.0.0.1. It looks four times a
// second where its configuration says nothing else.
class RealPrometheus {
 public:
  // `configuration` follows the global one, of which `labels` are the
  // external_labels, as YAML.
  explicit RealPrometheus(const std::string& configuration,
                          const std::string& labels = "{}") {
    folder_ = ::testing::TempDir() + "/prometheus.XXXXXX";
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    std::ofstream(folder_ + "/prometheus.yml")
        << "global: {scrape_interval: 250ms, scrape_timeout: 250ms, "
           "evaluation_interval: 250ms, external_labels: "
        << labels << "}\n"
        << configuration;
    program_ = std::make_unique<ChildProgram>(
        std::vector<std::string>{
            "prometheus",
            absl::StrCat("--config.file=", folder_, "/prometheus.yml"),
            absl::StrCat("--storage.tsdb.path=", folder_, "/data"),
            "--web.listen-address=127.0.0.1:0"},
        true);
    // Its log is short enough to stay in the pipe from here on. What is between
    // the two differs from version to version.
    const std::string address = " address=127.0.0.1:";
    std::string line;
    do {
      line = program_->ReadLine();
      if (line.empty()) {
        ADD_FAILURE() << "Prometheus has ended";
        return;
      }
    } while (!absl::StrContains(line, "\"Listening on\"") ||
             !absl::StrContains(line, address));
    EXPECT_TRUE(absl::SimpleAtoi(
        line.substr(line.find(address) + address.size()), &port_));
  }
  ~RealPrometheus() {
    program_.reset();
    std::filesystem::remove_all(folder_);
  }
  RealPrometheus(const RealPrometheus&) = delete;
  RealPrometheus& operator=(const RealPrometheus&) = delete;

  int port() const { return port_; }

  void Expect(const std::string& query, const std::string& expected) const {
    ExpectOfPrometheus(port_, query, expected);
  }

 private:
  std::string folder_;
  std::unique_ptr<ChildProgram> program_;
  int port_ = 0;
};

}  // namespace grpc_breaker::e2e

#endif  // GRPC_BREAKER_TESTS_E2E_REAL_PROMETHEUS_H_
