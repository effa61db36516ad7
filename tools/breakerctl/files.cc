#include "tools/breakerctl/files.h"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace grpc_breaker::breakerctl {
namespace {

struct Close {
  void operator()(FILE* file) const { fclose(file); }
};

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const auto failure = [&path] {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  };
  const std::unique_ptr<FILE, Close> file(fopen(path.c_str(), "rbe"));
  if (file == nullptr) return failure();
  std::string text;
  std::array<char, 16384> buffer;
  size_t size;
  while ((size = fread(buffer.data(), 1, buffer.size(), file.get())) > 0) {
    text.append(buffer.data(), size);
  }
  if (ferror(file.get()) != 0) return failure();
  return text;
}

}  // namespace grpc_breaker::breakerctl
