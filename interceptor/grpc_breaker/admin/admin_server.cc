#include "grpc_breaker/admin_server.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "grpc_breaker/admin/reach.h"
#include "grpc_breaker/admin_service.h"
#include "grpc_breaker/environment.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/grpcpp.h"

namespace grpc_breaker {
namespace {

constexpr absl::string_view kUnixScheme = "unix:";
// The socket is made in a directory beside its place; see MoveIntoPlace.
constexpr absl::string_view kDirectorySuffix = ".XXXXXX";
constexpr absl::string_view kSocketInDirectory = "/s";
constexpr size_t kLongestPath = sizeof(sockaddr_un::sun_path) - 1 -
                                kDirectorySuffix.size() -
                                kSocketInDirectory.size();

absl::Status Invalid(const std::string& address) {
  return absl::InvalidArgumentError(absl::StrCat(
      "address: must be unix:PATH or a numeric loopback address with a port, "
      "such as 127.0.0.1:0 or [::1]:8089; with "
      "AdminServerOptions::credentials it may be any numeric one; got \"",
      absl::CHexEscape(address), "\""));
}

absl::Status Unavailable(absl::string_view what, int error) {
  return absl::UnavailableError(
      absl::StrCat("address: ", what, ": ", std::strerror(error)));
}

// Whether a server listens on the socket; if not, what connect() says.
int TryConnect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  const int error = connect(fd, reinterpret_cast<const sockaddr*>(&address),
                            sizeof(address)) == 0
                        ? 0
                        : errno;
  close(fd);
  return error;
}

// The path of "unix:PATH" or "unix:///PATH". gRPC reads these as URIs, in which
// some characters mean something else: it would listen on another path.
absl::StatusOr<std::string> SocketPath(const std::string& address) {
  absl::string_view path = absl::StripPrefix(address, kUnixScheme);
  if (absl::ConsumePrefix(&path, "//") &&
      (path.empty() || path[0] != '/' || absl::StartsWith(path, "//"))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "address: unix:// must be followed by an absolute path, as in "
        "unix:///run/app/admin.sock, got \"",
        absl::CHexEscape(address), "\""));
  }
  const size_t special = path.find_first_of("#?%");
  if (special != absl::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        "address: the path of a socket must not have the character ",
        path.substr(special, 1), ", which has a meaning of its own in gRPC's ",
        "addresses, got \"", absl::CHexEscape(address), "\""));
  }
  if (path.empty() || path.size() > kLongestPath ||
      path.find('\0') != absl::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        "address: the path of a socket must have from 1 to ", kLongestPath,
        " bytes, none of them 0, got ", path.size()));
  }
  return std::string(path);
}

// Of those who start or stop servers on sockets in one directory, one at a time
// holds its lock. The system lets go of it when the holder dies.
class DirectoryLock {
 public:
  explicit DirectoryLock(const std::string& socket_path) {
    const size_t slash = socket_path.rfind('/');
    const std::string directory = slash == std::string::npos ? "."
                                  : slash == 0               ? "/"
                                               : socket_path.substr(0, slash);
    fd_ = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd_ < 0) {
      status_ = Unavailable(absl::StrCat("opening ", directory), errno);
      return;
    }
    // What is done under the lock takes milliseconds; a holder that was stopped
    // must not stop us as well.
    for (int tries = 0; flock(fd_, LOCK_EX | LOCK_NB) != 0; ++tries) {
      if ((errno != EWOULDBLOCK && errno != EINTR) || tries == kMostTries) {
        status_ = Unavailable(absl::StrCat("locking ", directory), errno);
        return;
      }
      Environment::Default().Sleep(kBetweenTries);
    }
  }
  ~DirectoryLock() {
    if (fd_ < 0) return;
    flock(fd_, LOCK_UN);  // Closing leaves it to a child that was forked.
    close(fd_);
  }
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

  const absl::Status& status() const { return status_; }

 private:
  static constexpr int kMostTries = 500;
  static constexpr absl::Duration kBetweenTries = absl::Milliseconds(10);

  int fd_ = -1;
  absl::Status status_;
};

// Removes the socket of a server that has died. Under the lock, so that it is
// not that of one that has just been started in its place.
absl::Status RemoveStaleSocket(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? absl::OkStatus() : Unavailable(path, errno);
  }
  if (!S_ISSOCK(info.st_mode)) {
    return absl::AlreadyExistsError(
        absl::StrCat("address: ", path, " exists and is not a socket"));
  }
  if (TryConnect(path) != ECONNREFUSED) {
    return absl::AlreadyExistsError(
        absl::StrCat("address: another server listens on ", path));
  }
  return unlink(path.c_str()) == 0 || errno == ENOENT
             ? absl::OkStatus()
             : Unavailable(absl::StrCat("removing ", path), errno);
}

// A directory beside `path` that only this user can enter; removed at the end.
class PrivateDirectory {
 public:
  explicit PrivateDirectory(const std::string& path)
      : name_(absl::StrCat(path, kDirectorySuffix)),
        error_(mkdtemp(&name_[0]) != nullptr ? 0 : errno) {}
  ~PrivateDirectory() {
    if (error_ != 0) return;
    unlink(socket().c_str());
    rmdir(name_.c_str());
  }
  PrivateDirectory(const PrivateDirectory&) = delete;
  PrivateDirectory& operator=(const PrivateDirectory&) = delete;

  int error() const { return error_; }
  std::string socket() const { return absl::StrCat(name_, kSocketInDirectory); }

 private:
  std::string name_;
  const int error_;
};

// Gives the socket its mode and its name. There is no moment in which others
// could open it, whatever the umask, and none in which it could replace another
// server's: link() does not.
absl::Status MoveIntoPlace(const std::string& socket, const std::string& path) {
  if (chmod(socket.c_str(), 0600) != 0) {
    return Unavailable("setting the mode of the socket", errno);
  }
  if (link(socket.c_str(), path.c_str()) == 0) return absl::OkStatus();
  return errno == EEXIST ? absl::AlreadyExistsError(absl::StrCat(
                               "address: another server listens on ", path))
                         : Unavailable(absl::StrCat("making ", path), errno);
}

struct File {
  dev_t device;
  ino_t inode;
};

std::optional<File> FileAt(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) return std::nullopt;
  return File{info.st_dev, info.st_ino};
}

class Server : public AdminServer {
 public:
  explicit Server(AdminServerOptions options)
      : credentials_(options.credentials != nullptr
                         ? options.credentials
                         : grpc::InsecureServerCredentials()),
        service_(MakeAdminService(std::move(options))) {}

  ~Server() override {
    if (!path_.empty()) RemoveSocket();
    if (server_ != nullptr) {
      server_->Shutdown(std::chrono::system_clock::now());
      server_->Wait();
    }
  }

  absl::Status ListenOnPort(const std::string& address) {
    int port = 0;
    if (!Listen(address, &port)) {
      return absl::UnavailableError(
          absl::StrCat("address: cannot listen on ", address));
    }
    address_ = absl::StrCat(address.substr(0, address.rfind(':') + 1), port);
    return absl::OkStatus();
  }

  absl::Status ListenOnSocket(const std::string& path) {
    const DirectoryLock lock(path);
    if (!lock.status().ok()) return lock.status();
    // Before anything is made, so that the usual mistakes leave no trace.
    absl::Status status = RemoveStaleSocket(path);
    if (!status.ok()) return status;
    const PrivateDirectory directory(path);
    if (directory.error() != 0) {
      return Unavailable(absl::StrCat("making a directory beside ", path),
                         directory.error());
    }
    int port = 0;
    if (!Listen(absl::StrCat(kUnixScheme, directory.socket()), &port)) {
      return absl::UnavailableError(
          absl::StrCat("address: cannot listen on ", path));
    }
    status = MoveIntoPlace(directory.socket(), path);
    if (!status.ok()) return status;
    if (const auto file = FileAt(directory.socket())) {
      socket_ = *file;
      path_ = path;
    }
    address_ = absl::StrCat(kUnixScheme, path);
    return absl::OkStatus();
  }

  const std::string& address() const override { return address_; }

 private:
  // Its own only: another server may have taken the name meanwhile.
  void RemoveSocket() {
    const DirectoryLock lock(path_);
    const auto file = FileAt(path_);
    if (file && file->device == socket_.device &&
        file->inode == socket_.inode) {
      unlink(path_.c_str());
    }
  }

  bool Listen(const std::string& address, int* port) {
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    // Else a second process could listen on the port as well and get half of
    // the calls.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddListeningPort(address, credentials_, port);
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    return server_ != nullptr;
  }

  const std::shared_ptr<grpc::ServerCredentials> credentials_;
  const std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  std::string path_;  // Of the socket; empty: none.
  File socket_{};
};

}  // namespace

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(
    const std::string& address, AdminServerOptions options) {
  const bool has_credentials = options.credentials != nullptr;
  auto server = std::make_unique<Server>(std::move(options));
  absl::Status status;
  if (absl::StartsWith(address, kUnixScheme)) {
    const absl::StatusOr<std::string> path = SocketPath(address);
    status = path.ok() ? server->ListenOnSocket(*path) : path.status();
  } else {
    const std::optional<internal::Reach> reach = internal::ReachOf(address);
    status = reach == internal::Reach::kLoopback ||
                     (reach == internal::Reach::kNetwork && has_credentials)
                 ? server->ListenOnPort(address)
                 : Invalid(address);
  }
  if (!status.ok()) return status;
  return server;
}

}  // namespace grpc_breaker
