#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "grpc_breaker/channel.h"
#include "grpc_breaker/registry.h"
#include "grpc_breaker/testing/manual_environment.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/async_stream.h"
#include "gtest/gtest.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/script.h"
#include "tests/e2e/stream_flavours.h"
#include "tests/e2e/test_server.h"
#include "tests/e2e/wait.h"

namespace grpc_breaker::e2e {
namespace {

using ::grpc::StatusCode;

constexpr int kMaxRetries = 3;

// What is decided before the call: its answers, and what the application is
// going to see of them.
struct Scene {
  StreamKind kind = StreamKind::kBidi;
  bool corked = false;
  bool buffer_is_small = false;
  std::vector<Answer> answers;
  Answer visible;             // Unless too much was sent for the buffer.
  int most_read_in_vain = 0;  // By an attempt that is retried.
};

Answer ChooseAnswer(Script& script, StreamKind kind, bool* committed) {
  *committed = true;
  Answer answer;
  answer.initial_metadata = {{"first", absl::StrCat(script.Choose(9))}};
  answer.trailing_metadata = {{"last", absl::StrCat(script.Choose(9))}};
  switch (script.Choose(5)) {
    case 0:
      return answer;
    case 1:  // Headers, and then the failure.
      answer.status = grpc::Status(StatusCode::UNAVAILABLE, "after headers");
      answer.headers_first = true;
      answer.messages = 0;
      return answer;
    case 2:  // Messages, and then the failure.
      if (kind == StreamKind::kClient) return answer;
      answer.status = grpc::Status(StatusCode::UNAVAILABLE, "after messages");
      answer.headers_first = true;
      answer.messages = script.Choose(3);
      return answer;
    case 3:
      answer.status = grpc::Status(StatusCode::NOT_FOUND, "for good");
      answer.messages = 0;
      return answer;
    default:  // Having read some, and sent nothing.
      *committed = false;
      answer.status = grpc::Status(StatusCode::UNAVAILABLE, "at once");
      answer.initial_metadata.clear();
      answer.silent = true;
      answer.messages = script.Choose(4);
      return answer;
  }
}

Scene ChooseScene(Script& script) {
  Scene scene;
  scene.kind = static_cast<StreamKind>(script.Choose(3));
  scene.corked = scene.kind != StreamKind::kServer && script.Flip();
  scene.buffer_is_small = script.Choose(8) == 7;
  bool committed = false;
  for (int i = 0; i <= kMaxRetries && !committed; ++i) {
    scene.answers.push_back(ChooseAnswer(script, scene.kind, &committed));
  }
  for (const Answer& answer : scene.answers) {
    scene.most_read_in_vain =
        std::max(scene.most_read_in_vain, answer.messages.value_or(0));
  }
  scene.visible = scene.answers.back();
  return scene;
}

// What an application did and saw.
struct Seen {
  std::map<std::string, std::string> oks;  // By operation, in order: "++-".
  std::vector<std::string> replies;
  CallResult result;
  bool cancelled = false;
};

// The operations that the kinds of streams have in common; null functions where
// a kind has none.
struct Operations {
  std::function<void(void*)> read_metadata;
  std::function<void(const Request&, grpc::WriteOptions, void*)> write;
  std::function<void(void*)> writes_done;
  std::function<void(Reply*, void*)> read;
  std::function<void(grpc::Status*, void*)> finish;
};

// One call, which does what the script says as far as the API allows it, and
// then what is left to do. One operation of each sort is pending at a time.
class Player {
 public:
  Player(const Scene& scene, const std::shared_ptr<grpc::Channel>& channel,
         ManualEnvironment* environment)
      : scene_(scene), environment_(environment) {
    context_.set_initial_metadata_corked(scene.corked);
    const auto stub = TestService::NewStub(channel);
    switch (scene.kind) {
      case StreamKind::kClient: {
        std::shared_ptr<grpc::ClientAsyncWriter<Request>> stream =
            stub->AsyncClientStream(&context_, &reply_, &queue_, &start_);
        SetWrites(stream);
        break;
      }
      case StreamKind::kServer: {
        request_.set_text("hello");
        std::shared_ptr<grpc::ClientAsyncReader<Reply>> stream =
            stub->AsyncServerStream(&context_, request_, &queue_, &start_);
        SetReads(stream);
        half_closed_ = true;
        break;
      }
      case StreamKind::kBidi: {
        std::shared_ptr<grpc::ClientAsyncReaderWriter<Request, Reply>> stream =
            stub->AsyncBidi(&context_, &queue_, &start_);
        SetWrites(stream);
        SetReads(stream);
        break;
      }
    }
    if (!scene.corked) Begin(start_);
    echoes_ = scene.kind == StreamKind::kBidi && scene.visible.status.ok();
  }
  ~Player() {
    queue_.Shutdown();
    void* tag;
    bool ok;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  Seen Play(Script script) {
    while (!script.over()) Act(script);
    Await(write_);
    if (!half_closed_) HalfClose();
    for (Operation* it : {&start_, &write_, &metadata_}) Await(*it);
    while (operations_.read != nullptr && !read_all_) {
      if (CanRead()) Read();
      Await(read_);
    }
    // Not earlier: messages that nobody reads hold back a status.
    Begin(finish_);
    operations_.finish(&status_, &finish_);
    Await(finish_);
    seen_.result = ResultOf(context_, status_);
    if (status_.ok() && scene_.kind == StreamKind::kClient) {
      seen_.replies.push_back(reply_.text());
    }
    return std::move(seen_);
  }

 private:
  // Started, come, and taken note of: the last is up to the script, so that
  // what it does goes by nothing else.
  struct Operation {
    const char* name;
    bool was_started = false;
    bool pending = false;
    bool came = false;
    bool ok = false;
  };

  template <typename Stream>
  void SetCommon(const std::shared_ptr<Stream>& stream) {
    operations_.read_metadata = [stream](void* tag) {
      stream->ReadInitialMetadata(tag);
    };
    operations_.finish = [stream](grpc::Status* status, void* tag) {
      stream->Finish(status, tag);
    };
  }
  template <typename Stream>
  void SetWrites(const std::shared_ptr<Stream>& stream) {
    SetCommon(stream);
    operations_.write = [stream](const Request& request,
                                 grpc::WriteOptions options, void* tag) {
      stream->Write(request, options, tag);
    };
    operations_.writes_done = [stream](void* tag) { stream->WritesDone(tag); };
  }
  template <typename Stream>
  void SetReads(const std::shared_ptr<Stream>& stream) {
    SetCommon(stream);
    operations_.read = [stream](Reply* reply, void* tag) {
      stream->Read(reply, tag);
    };
  }

  bool CanWrite() const { return !half_closed_ && !write_.pending; }
  // A corked stream begins with what it sends.
  bool HasBegun() const { return !scene_.corked || write_.was_started; }
  bool CanRead() const {
    // Both would receive the initial metadata.
    return operations_.read != nullptr && HasBegun() && !metadata_.pending &&
           !read_.pending && !read_all_;
  }

  // That the server sends something, whatever is not done yet.
  bool ServerAnswers() const {
    return half_closed_ || (echoes_ && writes_seen_ > reads_seen_ &&
                            writes_seen_ >= scene_.most_read_in_vain);
  }

  void Act(Script& script) {
    switch (script.Choose(9)) {
      case 0:
      case 1:
        if (CanWrite()) Write(script);
        return;
      case 2:
        if (CanWrite() && write_.was_started && script.Flip()) HalfClose();
        return;
      case 3:
      case 4:
        if (CanRead()) Read();
        return;
      case 5:
        // Before any other operation receives.
        if (HasBegun() && !metadata_.was_started && !read_.was_started) {
          Begin(metadata_);
          operations_.read_metadata(&metadata_);
        }
        return;
      case 6:
        return Await(write_);
      case 7:
        if (ServerAnswers()) Await(script.Flip() ? read_ : metadata_);
        return;
      default:
        if (script.Choose(16) != 15) return;
        seen_.cancelled = true;
        context_.TryCancel();
        return;
    }
  }

  static void Begin(Operation& operation) {
    operation.pending = true;
    operation.was_started = true;
  }

  void Write(Script& script) {
    Await(start_);
    Begin(write_);
    request_.set_text(std::string(1 + script.Choose(40), 'a' + writes_++ % 26));
    grpc::WriteOptions options;
    if (script.Choose(8) == 7) {
      options.set_last_message();
      half_closed_ = true;
    }
    if (script.Choose(4) == 3) {
      options.set_buffer_hint();
      echoes_ = false;
    }
    operations_.write(request_, options, &write_);
  }
  void HalfClose() {
    Await(start_);
    Begin(write_);
    half_closed_ = true;
    operations_.writes_done(&write_);
  }
  void Read() {
    Begin(read_);
    operations_.read(&reply_, &read_);
  }

  // Until it has come, if it was started; meanwhile backoffs end.
  void Await(Operation& operation) {
    if (!operation.pending) return;
    const Watchdog watchdog;
    while (!operation.came) {
      Poll();
      if (watchdog.barks()) Hangs(absl::StrCat("a script's ", operation.name));
    }
    operation.pending = false;
    operation.came = false;
    if (&operation == &read_) {
      read_all_ = !operation.ok;
      if (operation.ok) seen_.replies.push_back(reply_.text());
      ++reads_seen_;
    } else if (&operation == &write_) {
      ++writes_seen_;
    }
    // Whether something could be sent to a server that fails is luck.
    const bool sends = &operation == &write_ || &operation == &start_;
    if (!sends || scene_.visible.status.ok()) {
      seen_.oks[operation.name] += operation.ok ? '+' : '-';
    }
  }
  void Poll() {
    void* tag = nullptr;
    bool ok = false;
    const auto soon =
        std::chrono::system_clock::now() + std::chrono::milliseconds(1);
    if (queue_.AsyncNext(&tag, &ok, soon) ==
        grpc::CompletionQueue::NextStatus::GOT_EVENT) {
      auto& operation = *static_cast<Operation*>(tag);
      EXPECT_TRUE(operation.pending && !operation.came) << operation.name;
      operation.came = true;
      operation.ok = ok;
    } else if (environment_ != nullptr) {
      environment_->AdvanceToNextTimer();
    }
  }

  const Scene& scene_;
  ManualEnvironment* const environment_;
  grpc::CompletionQueue queue_;
  grpc::ClientContext context_;
  Request request_;
  Reply reply_;
  grpc::Status status_;
  Operations operations_;
  Operation start_{"start"};
  Operation metadata_{"metadata"};
  Operation write_{"write"};
  Operation read_{"read"};
  Operation finish_{"finish"};
  int writes_ = 0;
  int writes_seen_ = 0;
  int reads_seen_ = 0;
  bool half_closed_ = false;
  // Every message is on its way to a server that sends it back.
  bool echoes_ = false;
  bool read_all_ = false;
  Seen seen_;
};

class World {
 public:
  explicit World(const Scene& scene) : scene_(scene) {
    options_.environment = &environment_;
    options_.directory = &directory_;
    Policy& policy = options_.default_policy;
    policy.idempotency = Idempotency::kRepeatable;
    policy.retry.max_retries = kMaxRetries;
    policy.stream_retry.enabled = true;
    if (scene.buffer_is_small) policy.stream_retry.replay_buffer_bytes = 20;
    policy.breaker.consecutive_failures = 100;
  }

  Seen PlayBare(const Script& script) {
    server_.Push(scene_.visible);
    return Player(scene_,
                  grpc::CreateChannel(server_.target(),
                                      grpc::InsecureChannelCredentials()),
                  nullptr)
        .Play(script);
  }
  Seen Play(const Script& script) {
    for (const Answer& answer : scene_.answers) server_.Push(answer);
    const auto channel = *CreateChannel(
        server_.target(), grpc::InsecureChannelCredentials(), options_);
    Seen seen = Player(scene_, channel, &environment_).Play(script);
    ExpectAtRest(directory_, environment_);
    return seen;
  }

 private:
  const Scene& scene_;
  TestServer server_;
  ManualEnvironment environment_;
  Directory directory_;
  Options options_;
};

}  // namespace

void PlayStream(Script script) {
  const Scene scene = ChooseScene(script);
  World world(scene);
  Seen ours = world.Play(script);
  if (ours.cancelled || scene.buffer_is_small) return;
  ours.result.status = grpc::Status(ours.result.status.error_code(),
                                    ours.result.status.error_message());
  const Seen bare = world.PlayBare(script);
  EXPECT_EQ(ours.oks, bare.oks);
  EXPECT_EQ(ours.replies, bare.replies);
  ExpectSame(ours.result, bare.result);
}

}  // namespace grpc_breaker::e2e
