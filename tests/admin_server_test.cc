#include "grpc_breaker/admin_server.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"

// Told of a file that is about to be removed; by default nothing is.
static std::function<void(const std::string&)> before_unlink;

// In the place of the system's, for the library as well.
extern "C" __attribute__((visibility("default"))) int unlink(
    const char* path) noexcept {
  if (before_unlink) before_unlink(path);
  return static_cast<int>(syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}

namespace grpc_breaker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class AdminServerTest : public ::testing::Test {
 protected:
  AdminServerTest() {
    std::string name = "/tmp/admin_server_test.XXXXXX";
    if (mkdtemp(&name[0]) != nullptr) path_ = name;
    options_.directory = &directory_;
  }
  ~AdminServerTest() override { std::filesystem::remove_all(path_); }

  std::string SocketPath() const { return path_ + "/admin.sock"; }
  std::string SocketAddress() const { return "unix:" + SocketPath(); }

  // As a server leaves it that dies.
  void LeaveSocket() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    SocketPath().copy(address.sun_path, sizeof(address.sun_path) - 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
              0);
    close(fd);
  }

  std::vector<std::string> FilesLeft() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      names.push_back(entry.path().filename());
    }
    return names;
  }

  static grpc::Status List(const std::string& address) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::seconds(60));
    admin::v1::ListBreakersResponse response;
    return admin::v1::CircuitBreakerAdmin::NewStub(
               grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))
        ->ListBreakers(&context, {}, &response);
  }

  std::string path_;
  Directory directory_;
  AdminServerOptions options_;
};

TEST_F(AdminServerTest, ServesOnASocketThatOnlyThisUserMayOpen) {
  const mode_t old_mask = umask(0);
  auto server = AdminServer::Start(SocketAddress(), options_);
  umask(old_mask);
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ((*server)->address(), SocketAddress());
  struct stat info;
  ASSERT_EQ(lstat(SocketPath().c_str(), &info), 0);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  EXPECT_TRUE(List((*server)->address()).ok());
  EXPECT_THAT(FilesLeft(), ElementsAre("admin.sock"));
}

TEST_F(AdminServerTest, RemovesItsSocketAtTheEnd) {
  ASSERT_TRUE(AdminServer::Start(SocketAddress(), options_).ok());
  EXPECT_THAT(FilesLeft(), IsEmpty());
}

TEST_F(AdminServerTest, ReplacesTheSocketOfAServerThatHasDied) {
  LeaveSocket();
  auto server = AdminServer::Start(SocketAddress(), options_);
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_TRUE(List(SocketAddress()).ok());
}

// The second one comes when the first one has found out that nobody listens.
TEST_F(AdminServerTest, OfTwoThatReplaceASocketOneServes) {
  LeaveSocket();
  absl::Status second;
  absl::Notification second_is_done;
  std::thread thread;
  before_unlink = [&](const std::string& path) {
    if (path != SocketPath() || thread.joinable()) return;
    thread = std::thread([&] {
      const auto server = AdminServer::Start(SocketAddress(), options_);
      second = server.status();
      second_is_done.Notify();
      // If it believed to serve, it would have served on.
    });
    // Goes as far as it can.
    second_is_done.WaitForNotificationWithTimeout(absl::Milliseconds(300));
  };
  const auto first = AdminServer::Start(SocketAddress(), options_);
  thread.join();
  before_unlink = nullptr;
  EXPECT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(second.code(), absl::StatusCode::kAlreadyExists) << second;
  EXPECT_TRUE(List(SocketAddress()).ok());
  EXPECT_THAT(FilesLeft(), ElementsAre("admin.sock"));
}

TEST_F(AdminServerTest, OfManyThatReplaceASocketAtOnceOneServes) {
  for (int round = 0; round < 10; ++round) {
    LeaveSocket();
    std::vector<absl::StatusOr<std::unique_ptr<AdminServer>>> servers(4);
    std::vector<std::thread> threads;
    for (auto& server : servers) {
      threads.emplace_back([this, &server] {
        server = AdminServer::Start(SocketAddress(), options_);
      });
    }
    for (std::thread& thread : threads) thread.join();
    int serving = 0;
    for (const auto& server : servers) {
      if (server.ok()) ++serving;
      EXPECT_TRUE(server.ok() || absl::IsAlreadyExists(server.status()))
          << server.status();
    }
    EXPECT_EQ(serving, 1);
    EXPECT_TRUE(List(SocketAddress()).ok());
  }
}

TEST_F(AdminServerTest, RefusesPathsThatGrpcWouldReadAsOthers) {
  auto living = AdminServer::Start(SocketAddress(), options_);
  ASSERT_TRUE(living.ok()) << living.status();
  for (const char* suffix : {"#2", "?x", "%", "%41"}) {
    const absl::Status status =
        AdminServer::Start(SocketAddress() + suffix, options_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(std::string(status.message()),
              absl::StrCat("address: the path of a socket must not have the "
                           "character ",
                           std::string(1, suffix[0]),
                           ", which has a meaning of its own in gRPC's "
                           "addresses, got \"",
                           SocketAddress(), suffix, "\""));
  }
  EXPECT_TRUE(List(SocketAddress()).ok());
  EXPECT_THAT(FilesLeft(), ElementsAre("admin.sock"));
}

TEST_F(AdminServerTest, ServesOnPathsWithAllOtherCharacters) {
  for (const char* name :
       {"a b", "caf\xC3\xA9", "a:b[1]@c&d=e;f+g", "\"<>^`{|}\\"}) {
    auto server =
        AdminServer::Start(absl::StrCat("unix:", path_, "/", name), options_);
    ASSERT_TRUE(server.ok()) << server.status();
    EXPECT_TRUE(List((*server)->address()).ok()) << name;
    EXPECT_THAT(FilesLeft(), ElementsAre(name));
  }
}

TEST_F(AdminServerTest, ServesOnAnAbsolutePathInTheLongForm) {
  auto server = AdminServer::Start("unix://" + SocketPath(), options_);
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ((*server)->address(), SocketAddress());
  EXPECT_TRUE(List("unix://" + SocketPath()).ok());
  for (const std::string address :
       {"unix://", "unix://relative", "unix:////two"}) {
    const absl::Status status = AdminServer::Start(address, options_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(std::string(status.message()),
              "address: unix:// must be followed by an absolute path, as in "
              "unix:///run/app/admin.sock, got \"" +
                  address + "\"");
  }
}

TEST_F(AdminServerTest, LeavesTheSocketOfALivingServerAlone) {
  auto first = AdminServer::Start(SocketAddress(), options_);
  ASSERT_TRUE(first.ok()) << first.status();
  auto second = AdminServer::Start(SocketAddress(), options_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(std::string(second.status().message()),
            "address: another server listens on " + SocketPath());
  EXPECT_TRUE(List(SocketAddress()).ok());
  EXPECT_THAT(FilesLeft(), ElementsAre("admin.sock"));
}

TEST_F(AdminServerTest, LeavesAFileThatIsNoSocketAlone) {
  std::ofstream(SocketPath()) << "precious";
  EXPECT_EQ(
      std::string(
          AdminServer::Start(SocketAddress(), options_).status().message()),
      "address: " + SocketPath() + " exists and is not a socket");
  std::string content;
  std::ifstream(SocketPath()) >> content;
  EXPECT_EQ(content, "precious");
}

TEST_F(AdminServerTest, DoesNotFollowALink) {
  std::filesystem::create_symlink(path_ + "/elsewhere", SocketPath());
  EXPECT_EQ(AdminServer::Start(SocketAddress(), options_).status().code(),
            absl::StatusCode::kAlreadyExists);
}

TEST_F(AdminServerTest, SaysWhyThereCannotBeASocket) {
  const absl::Status status =
      AdminServer::Start("unix:" + path_ + "/missing/admin.sock", options_)
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("No such file or directory"));
}

TEST_F(AdminServerTest, LeavesTheSocketOfItsSuccessorAlone) {
  auto first = AdminServer::Start(SocketAddress(), options_);
  ASSERT_TRUE(first.ok()) << first.status();
  std::filesystem::remove(SocketPath());
  auto second = AdminServer::Start(SocketAddress(), options_);
  ASSERT_TRUE(second.ok()) << second.status();
  first->reset();
  EXPECT_TRUE(List(SocketAddress()).ok());
}

TEST_F(AdminServerTest, ServesOnALoopbackPort) {
  auto server = AdminServer::Start("127.0.0.1:0", options_);
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_THAT((*server)->address(), StartsWith("127.0.0.1:"));
  EXPECT_NE((*server)->address(), "127.0.0.1:0");
  EXPECT_TRUE(List((*server)->address()).ok());
}

TEST_F(AdminServerTest, DoesNotShareItsPort) {
  auto first = AdminServer::Start("127.0.0.1:0", options_);
  ASSERT_TRUE(first.ok()) << first.status();
  const absl::Status status =
      AdminServer::Start((*first)->address(), options_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(std::string(status.message()),
            "address: cannot listen on " + (*first)->address());
}

TEST_F(AdminServerTest, RefusesEveryOtherAddress) {
  for (const std::string address :
       {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
        "127.0.0.1:http", "0.0.0.0:0", "[::]:0", "[::1:0", "192.0.2.1:8089",
        "localhost:0", "example.com:80", ":8089", "dns:///127.0.0.1:0",
        "unix-abstract:admin", "/run/admin.sock", "127.0.0.1:0,0.0.0.0:0"}) {
    const absl::Status status = AdminServer::Start(address, options_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << address;
    EXPECT_THAT(std::string(status.message()),
                ::testing::EndsWith(absl::StrCat("got \"", address, "\"")));
  }
}

TEST_F(AdminServerTest, RefusesPathsThatDoNotFitIntoASocketAddress) {
  for (const std::string& path :
       {std::string(), std::string(200, 'x'), std::string("a\0b", 3)}) {
    const absl::Status status =
        AdminServer::Start("unix:" + path, options_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                ::testing::EndsWith(absl::StrCat("got ", path.size())));
  }
}

TEST_F(AdminServerTest, EndsOpenWatches) {
  auto server = AdminServer::Start(SocketAddress(), options_);
  ASSERT_TRUE(server.ok()) << server.status();
  auto stub = admin::v1::CircuitBreakerAdmin::NewStub(
      grpc::CreateChannel(SocketAddress(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::seconds(60));
  auto reader = stub->WatchBreakers(&context, {});
  admin::v1::WatchBreakersResponse response;
  ASSERT_TRUE(reader->Read(&response));
  server->reset();
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_NE(reader->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
}

// What a generic client such as grpcurl asks first. The reflection protocol has
// no stub in the system's packages; "\x3A\x00" is field 7, list_services, of
// its request, and the answer has the names of the services in plain text.
TEST_F(AdminServerTest, AnswersServerReflection) {
  auto server = AdminServer::Start(SocketAddress(), options_);
  ASSERT_TRUE(server.ok()) << server.status();
  grpc::GenericStub stub(
      grpc::CreateChannel(SocketAddress(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::seconds(60));
  grpc::CompletionQueue queue;
  auto call = stub.PrepareCall(
      &context,
      "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  const auto wait = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  call->StartCall(nullptr);
  ASSERT_TRUE(wait());
  const grpc::Slice slice(std::string("\x3A\x00", 2));
  call->Write(grpc::ByteBuffer(&slice, 1), nullptr);
  ASSERT_TRUE(wait());
  grpc::ByteBuffer buffer;
  call->Read(&buffer, nullptr);
  ASSERT_TRUE(wait());
  grpc::Slice answer;
  ASSERT_TRUE(buffer.DumpToSingleSlice(&answer).ok());
  EXPECT_THAT(std::string(answer.begin(), answer.end()),
              HasSubstr("grpc_breaker.admin.v1.CircuitBreakerAdmin"));
  context.TryCancel();
  grpc::Status status;
  call->Finish(&status, nullptr);
  wait();
}

}  // namespace
}  // namespace grpc_breaker
