#include "tests/e2e/stream_flavours.h"

#include <thread>
#include <type_traits>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/support/client_callback.h"
#include "tests/e2e/queue.h"
#include "tests/e2e/wait.h"

namespace grpc_breaker::e2e {
namespace {

using Channel = std::shared_ptr<grpc::Channel>;

Request RequestOf(const std::string& text) {
  Request request;
  request.set_text(text);
  return request;
}

grpc::WriteOptions OptionsFor(bool last) {
  return last ? grpc::WriteOptions().set_last_message() : grpc::WriteOptions();
}

// What all flavours share. `kKind` tells which operations there are.
template <StreamKind kKind>
class StreamBase : public Stream {
 protected:
  static constexpr bool kWrites = kKind != StreamKind::kServer;
  static constexpr bool kReads = kKind != StreamKind::kClient;

  StreamBase(bool corked, const Configure& configure)
      : request_(RequestOf("hello")) {
    if (corked) context_.set_initial_metadata_corked(true);
    if (configure) configure(&context_);
  }

  const Request request_;  // Of server-streaming.
  Request message_;        // Being written.
  Reply reply_;            // Being read, or the one of client-streaming.
};

// Blocks, but not for ever.
template <typename Function>
auto Watched(absl::string_view what, Function function) {
  Slot<decltype(function())> result;
  std::thread thread([&] { result.Put(function()); });
  auto value = result.Take(what);
  thread.join();
  return value;
}

template <StreamKind kKind>
class SyncStream final : public StreamBase<kKind> {
  using Base = StreamBase<kKind>;
  using Base::context_;
  using Base::kReads;
  using Base::kWrites;
  using Base::reply_;

 public:
  SyncStream(const Channel& channel, bool corked, const Configure& configure)
      : Base(corked, configure) {
    Watched("the start of a sync stream", [&] {
      const auto stub = TestService::NewStub(channel);
      if constexpr (kKind == StreamKind::kClient) {
        stream_ = stub->ClientStream(&context_, &reply_);
      } else if constexpr (kKind == StreamKind::kServer) {
        stream_ = stub->ServerStream(&context_, this->request_);
      } else {
        stream_ = stub->Bidi(&context_);
      }
      return true;
    });
  }

  bool Write(const std::string& text, bool last) override {
    if constexpr (kWrites) {
      return Watched("a sync Write", [&] {
        return stream_->Write(RequestOf(text), OptionsFor(last));
      });
    }
    return false;
  }

  bool WritesDone() override {
    if constexpr (kWrites) {
      return Watched("a sync WritesDone",
                     [&] { return stream_->WritesDone(); });
    }
    return false;
  }

  std::optional<std::string> Read() override {
    if constexpr (kReads) {
      if (Watched("a sync Read", [&] { return stream_->Read(&reply_); })) {
        return reply_.text();
      }
    }
    return std::nullopt;
  }

  CallResult Finish() override {
    const grpc::Status status =
        Watched("a sync Finish", [&] { return stream_->Finish(); });
    return this->ResultOf(status, reply_.text());
  }

 private:
  std::conditional_t<
      kKind == StreamKind::kClient,
      std::unique_ptr<grpc::ClientWriter<Request>>,
      std::conditional_t<
          kKind == StreamKind::kServer,
          std::unique_ptr<grpc::ClientReader<Reply>>,
          std::unique_ptr<grpc::ClientReaderWriter<Request, Reply>>>>
      stream_;
};

template <StreamKind kKind>
class QueueStream final : public StreamBase<kKind> {
  using Base = StreamBase<kKind>;
  using Base::context_;
  using Base::kReads;
  using Base::kWrites;
  using Base::message_;
  using Base::reply_;

 public:
  QueueStream(const Channel& channel, bool corked, const Configure& configure)
      : Base(corked, configure) {
    const auto stub = TestService::NewStub(channel);
    if constexpr (kKind == StreamKind::kClient) {
      stream_ = stub->AsyncClientStream(&context_, &reply_, queue_.get(), this);
    } else if constexpr (kKind == StreamKind::kServer) {
      stream_ = stub->AsyncServerStream(&context_, this->request_, queue_.get(),
                                        this);
    } else {
      stream_ = stub->AsyncBidi(&context_, queue_.get(), this);
    }
    if (!corked) queue_.Next(this, "the start of a CQ stream");
  }

  bool Write(const std::string& text, bool last) override {
    if constexpr (kWrites) {
      stream_->Write(RequestOf(text), OptionsFor(last), this);
      return queue_.Next(this, "a CQ Write");
    }
    return false;
  }

  bool WritesDone() override {
    if constexpr (kWrites) {
      stream_->WritesDone(this);
      return queue_.Next(this, "a CQ WritesDone");
    }
    return false;
  }

  std::optional<std::string> Read() override {
    if constexpr (kReads) {
      stream_->Read(&reply_, this);
      if (queue_.Next(this, "a CQ Read")) return reply_.text();
    }
    return std::nullopt;
  }

  CallResult Finish() override {
    grpc::Status status;
    stream_->Finish(&status, this);
    const bool ok = queue_.Next(this, "a CQ Finish");
    CallResult result = this->ResultOf(status, reply_.text());
    result.finished_ok = ok;
    return result;
  }

 private:
  Queue queue_;
  std::conditional_t<
      kKind == StreamKind::kClient,
      std::unique_ptr<grpc::ClientAsyncWriter<Request>>,
      std::conditional_t<
          kKind == StreamKind::kServer,
          std::unique_ptr<grpc::ClientAsyncReader<Reply>>,
          std::unique_ptr<grpc::ClientAsyncReaderWriter<Request, Reply>>>>
      stream_;
};

// Held until Finish, so that operations can be started from outside of its
// reactions.
template <StreamKind kKind>
class ReactorStream final : public StreamBase<kKind> {
  using Base = StreamBase<kKind>;
  using Base::context_;
  using Base::kReads;
  using Base::kWrites;
  using Base::message_;
  using Base::reply_;

 public:
  ReactorStream(const Channel& channel, bool corked, const Configure& configure)
      : Base(corked, configure) {
    const auto stub = TestService::NewStub(channel);
    if constexpr (kKind == StreamKind::kClient) {
      stub->async()->ClientStream(&context_, &reply_, &reactor_);
    } else if constexpr (kKind == StreamKind::kServer) {
      stub->async()->ServerStream(&context_, &this->request_, &reactor_);
    } else {
      stub->async()->Bidi(&context_, &reactor_);
    }
    reactor_.AddHold();
    reactor_.StartCall();
  }

  // A reactor cannot be abandoned, only cancelled.
  ~ReactorStream() override {
    if (finished_) return;
    context_.TryCancel();
    Finish();
  }

  bool Write(const std::string& text, bool last) override {
    if constexpr (kWrites) {
      message_ = RequestOf(text);
      reactor_.StartWrite(&message_, OptionsFor(last));
      return reactor_.written.Take("a reactor's Write");
    }
    return false;
  }

  bool WritesDone() override {
    if constexpr (kWrites) {
      reactor_.StartWritesDone();
      return reactor_.writes_done.Take("a reactor's WritesDone");
    }
    return false;
  }

  std::optional<std::string> Read() override {
    if constexpr (kReads) {
      reactor_.StartRead(&reply_);
      if (reactor_.read.Take("a reactor's Read")) return reply_.text();
    }
    return std::nullopt;
  }

  CallResult Finish() override {
    finished_ = true;
    reactor_.RemoveHold();
    const grpc::Status status = reactor_.done.Take("a reactor's OnDone");
    return this->ResultOf(status, reply_.text());
  }

 private:
  using GrpcReactor = std::conditional_t<
      kKind == StreamKind::kClient, grpc::ClientWriteReactor<Request>,
      std::conditional_t<kKind == StreamKind::kServer,
                         grpc::ClientReadReactor<Reply>,
                         grpc::ClientBidiReactor<Request, Reply>>>;

  // Overrides those reactions that its kind has.
  class Reactor final : public GrpcReactor {
   public:
    using GrpcReactor::AddHold;
    using GrpcReactor::RemoveHold;

    void OnDone(const grpc::Status& status) override { done.Put(status); }
    // Not every base has them.
    // NOLINTBEGIN(modernize-use-override)
#pragma GCC diagnostic push
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winconsistent-missing-override"
#endif
    virtual void OnWriteDone(bool ok) { written.Put(ok); }
    virtual void OnWritesDoneDone(bool ok) { writes_done.Put(ok); }
    virtual void OnReadDone(bool ok) { read.Put(ok); }
#pragma GCC diagnostic pop
    // NOLINTEND(modernize-use-override)

    Slot<bool> written;
    Slot<bool> writes_done;
    Slot<bool> read;
    Slot<grpc::Status> done;
  };

  Reactor reactor_;
  bool finished_ = false;
};

template <template <StreamKind> class StreamOf>
std::unique_ptr<Stream> Make(const StreamFlavour& flavour,
                             const Channel& channel,
                             const Configure& configure) {
  switch (flavour.kind) {
    case StreamKind::kClient:
      return std::make_unique<StreamOf<StreamKind::kClient>>(
          channel, flavour.corked, configure);
    case StreamKind::kServer:
      return std::make_unique<StreamOf<StreamKind::kServer>>(
          channel, flavour.corked, configure);
    case StreamKind::kBidi:
      return std::make_unique<StreamOf<StreamKind::kBidi>>(
          channel, flavour.corked, configure);
  }
  return nullptr;
}

}  // namespace

std::vector<StreamFlavour> AllStreamFlavours() {
  std::vector<StreamFlavour> flavours;
  for (StreamKind kind :
       {StreamKind::kClient, StreamKind::kServer, StreamKind::kBidi}) {
    for (StreamApi api :
         {StreamApi::kSync, StreamApi::kQueue, StreamApi::kReactor}) {
      flavours.push_back({kind, api});
      if (kind != StreamKind::kServer) {
        flavours.push_back({kind, api, /*corked=*/true});
      }
    }
  }
  return flavours;
}

std::string ToString(const StreamFlavour& flavour) {
  static const char* const kKinds[] = {"Client", "Server", "Bidi"};
  static const char* const kApis[] = {"Sync", "Queue", "Reactor"};
  return absl::StrCat(kKinds[static_cast<int>(flavour.kind)],
                      kApis[static_cast<int>(flavour.api)],
                      flavour.corked ? "Corked" : "");
}

std::string MethodOf(StreamKind kind) {
  static const char* const kNames[] = {"ClientStream", "ServerStream", "Bidi"};
  return absl::StrCat("/grpc_breaker.e2e.TestService/",
                      kNames[static_cast<int>(kind)]);
}

CallResult Stream::ResultOf(const grpc::Status& status,
                            const std::string& text) {
  CallResult result = e2e::ResultOf(context_, status);
  if (status.ok()) result.text = text;
  return result;
}

std::unique_ptr<Stream> StartStream(const StreamFlavour& flavour,
                                    const Channel& channel,
                                    const Configure& configure) {
  switch (flavour.api) {
    case StreamApi::kSync:
      return Make<SyncStream>(flavour, channel, configure);
    case StreamApi::kQueue:
      return Make<QueueStream>(flavour, channel, configure);
    case StreamApi::kReactor:
      return Make<ReactorStream>(flavour, channel, configure);
  }
  return nullptr;
}

StreamResult RunStream(Stream& stream, StreamKind kind,
                       const std::vector<std::string>& texts) {
  StreamResult result;
  if (kind != StreamKind::kServer) {
    for (const std::string& text : texts) {
      result.all_written = stream.Write(text) && result.all_written;
    }
    result.all_written = stream.WritesDone() && result.all_written;
  }
  if (kind != StreamKind::kClient) {
    while (std::optional<std::string> reply = stream.Read()) {
      result.replies.push_back(*std::move(reply));
    }
  }
  result.call = stream.Finish();
  return result;
}

}  // namespace grpc_breaker::e2e
