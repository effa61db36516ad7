#include "tests/e2e/test_server.h"

#include <chrono>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "grpc_breaker/mutex_lock.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "tests/e2e/wait.h"

namespace grpc_breaker::e2e {

void Gate::Open() {
  internal::MutexLock lock(mutex_);
  open_ = true;
}

void Gate::WaitForArrivals(int arrivals) {
  WaitUntil(
      [&] {
        internal::MutexLock lock(mutex_);
        return arrivals_ >= arrivals;
      },
      "calls to arrive at the server's gate");
}

void Gate::WaitForCancellations(int cancellations) {
  WaitUntil(
      [&] {
        internal::MutexLock lock(mutex_);
        return cancellations_ >= cancellations;
      },
      "cancellations to reach the server");
}

void Gate::Pass(const grpc::ServerContext& context) {
  internal::MutexLock lock(mutex_);
  ++arrivals_;
  // A synchronous handler is not told of a cancellation; it has to ask.
  while (!mutex_.AwaitWithTimeout(absl::Condition(&open_),
                                  absl::Milliseconds(1))) {
    if (context.IsCancelled()) {
      ++cancellations_;
      return;
    }
  }
}

Answer Answer::Error(grpc::StatusCode code, std::string message) {
  Answer answer;
  answer.status = grpc::Status(code, std::move(message));
  return answer;
}

Answer Answer::Blocked(std::shared_ptr<Gate> gate) {
  Answer answer;
  answer.gate = std::move(gate);
  return answer;
}

Answer Answer::ErrorAtOnce(grpc::StatusCode code) {
  Answer answer = Error(code);
  answer.messages = 0;
  return answer;
}

Answer Answer::ErrorAtTheEnd(grpc::StatusCode code) {
  Answer answer = Error(code);
  answer.silent = true;
  return answer;
}

class TestServer::Service final : public TestService::Service {
 public:
  explicit Service(TestServer* server) : server_(*server) {}

  grpc::Status Unary(grpc::ServerContext* context, const Request* request,
                     Reply* reply) override {
    return AnswerUnary("Unary", context, *request, reply);
  }

  grpc::Status UnaryReadOnly(grpc::ServerContext* context,
                             const Request* request, Reply* reply) override {
    return AnswerUnary("UnaryReadOnly", context, *request, reply);
  }

  grpc::Status UnaryIdempotent(grpc::ServerContext* context,
                               const Request* request, Reply* reply) override {
    return AnswerUnary("UnaryIdempotent", context, *request, reply);
  }

  grpc::Status ClientStream(grpc::ServerContext* context,
                            grpc::ServerReader<Request>* reader,
                            Reply* reply) override {
    Handling handling(&server_, "ClientStream", context);
    Request request;
    if (handling.answer().headers_first) reader->SendInitialMetadata();
    for (int i = 0; handling.Expects(i) && reader->Read(&request); ++i) {
      handling.AddText(request.text());
    }
    reply->set_text(handling.ReplyText());
    return handling.Status();
  }

  grpc::Status ServerStream(grpc::ServerContext* context,
                            const Request* request,
                            grpc::ServerWriter<Reply>* writer) override {
    Handling handling(&server_, "ServerStream", context);
    handling.AddText(request->text());
    Reply reply;
    reply.set_text(handling.ReplyText());
    if (handling.answer().headers_first) writer->SendInitialMetadata();
    if (handling.answer().silent) return handling.Status();
    for (int i = 0; i < 3 && handling.Expects(i); ++i) writer->Write(reply);
    return handling.Status();
  }

  grpc::Status Bidi(grpc::ServerContext* context,
                    grpc::ServerReaderWriter<Reply, Request>* stream) override {
    Handling handling(&server_, "Bidi", context);
    Request request;
    if (handling.answer().headers_first) stream->SendInitialMetadata();
    for (int i = 0; handling.Expects(i) && stream->Read(&request); ++i) {
      handling.AddText(request.text());
      if (handling.answer().silent) continue;
      Reply reply;
      reply.set_text(handling.answer().text.value_or(request.text()));
      stream->Write(reply);
    }
    return handling.Status();
  }

 private:
  // One call, from its start to its status.
  class Handling {
   public:
    Handling(TestServer* server, const char* method,
             grpc::ServerContext* context)
        : server_(*server), context_(*context), answer_(server->Next()) {
      call_.method = method;
      for (const auto& [key, value] : context->client_metadata()) {
        call_.metadata.emplace(std::string(key.data(), key.size()),
                               std::string(value.data(), value.size()));
      }
      const grpc::string_ref authority = context->ExperimentalGetAuthority();
      call_.authority = std::string(authority.data(), authority.size());
      call_.deadline = context->deadline();
      if (answer_.gate != nullptr) answer_.gate->Pass(context_);
      if (answer_.handler) answer_.status = answer_.handler(context_);
      for (const auto& [key, value] : answer_.initial_metadata) {
        context->AddInitialMetadata(key, value);
      }
      for (const auto& [key, value] : answer_.trailing_metadata) {
        context->AddTrailingMetadata(key, value);
      }
    }
    ~Handling() { server_.Record(std::move(call_)); }

    void AddText(const std::string& text) { call_.text += text; }
    std::string ReplyText() const { return answer_.text.value_or(call_.text); }
    const Answer& answer() const { return answer_; }
    bool Expects(int message) const {
      return !answer_.messages.has_value() || message < *answer_.messages;
    }
    grpc::Status Status() const {
      if (answer_.last_gate != nullptr) answer_.last_gate->Pass(context_);
      return answer_.status;
    }

   private:
    TestServer& server_;
    grpc::ServerContext& context_;
    Answer answer_;
    ReceivedCall call_;
  };

  grpc::Status AnswerUnary(const char* method, grpc::ServerContext* context,
                           const Request& request, Reply* reply) {
    Handling handling(&server_, method, context);
    handling.AddText(request.text());
    reply->set_text(handling.ReplyText());
    return handling.Status();
  }

  TestServer& server_;
};

TestServer::TestServer(int port) : service_(std::make_unique<Service>(this)) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(absl::StrCat("127.0.0.1:", port),
                           grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(service_.get());
  builder.SetMaxReceiveMessageSize(-1);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) std::abort();
}

TestServer::~TestServer() {
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
}

std::string TestServer::target() const {
  return absl::StrCat("127.0.0.1:", port_);
}

void TestServer::Push(Answer answer) {
  internal::MutexLock lock(mutex_);
  answers_.push_back(std::move(answer));
}

void TestServer::Push(int times, const Answer& answer) {
  for (int i = 0; i < times; ++i) Push(answer);
}

void TestServer::SetDefault(Answer answer) {
  SetDefault([answer = std::move(answer)] { return answer; });
}

void TestServer::SetDefault(std::function<Answer()> answer) {
  internal::MutexLock lock(mutex_);
  default_answer_ = std::move(answer);
}

int TestServer::calls() const {
  internal::MutexLock lock(mutex_);
  return calls_;
}

void TestServer::WaitForCalls(int calls) const {
  WaitUntil([&] { return this->calls() >= calls; },
            "calls to reach the server");
}

std::vector<ReceivedCall> TestServer::received() const {
  internal::MutexLock lock(mutex_);
  return received_;
}

Answer TestServer::Next() {
  internal::MutexLock lock(mutex_);
  ++calls_;
  if (answers_.empty()) return default_answer_();
  Answer answer = std::move(answers_.front());
  answers_.pop_front();
  return answer;
}

void TestServer::Record(ReceivedCall call) {
  internal::MutexLock lock(mutex_);
  received_.push_back(std::move(call));
}

}  // namespace grpc_breaker::e2e
