#ifndef GRPC_BREAKER_EXAMPLES_DEMO_TEMPORARY_DIRECTORY_H_
#define GRPC_BREAKER_EXAMPLES_DEMO_TEMPORARY_DIRECTORY_H_

// A directory that goes when this does.
//
// Thread-compatible.

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <system_error>

namespace demo {

class TemporaryDirectory {
 public:
  TemporaryDirectory()
      : path_((std::filesystem::temp_directory_path() / "breaker-demo-XXXXXX")
                  .string()) {
    if (mkdtemp(path_.data()) == nullptr) path_.clear();
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }  // Empty: there is none.

 private:
  std::string path_;
};

}  // namespace demo

#endif  // GRPC_BREAKER_EXAMPLES_DEMO_TEMPORARY_DIRECTORY_H_
