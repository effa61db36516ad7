#include "tools/breakerctl/client.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tools/breakerctl/address.h"

namespace grpc_breaker::breakerctl {
namespace {

using admin::v1::CircuitBreakerAdmin;

bool HasTls(const ConnectionFlags& flags) {
  return flags.tls || !flags.authorities.empty() || !flags.certificate.empty();
}

std::shared_ptr<grpc::ChannelCredentials> CredentialsFor(
    const ConnectionFlags& flags) {
  if (!HasTls(flags)) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = flags.authorities;
  options.pem_cert_chain = flags.certificate;
  options.pem_private_key = flags.key;
  return grpc::SslCredentials(options);
}

grpc::ChannelArguments ArgumentsFor(const ConnectionFlags& flags) {
  grpc::ChannelArguments arguments;
  // A proxy has nothing to do with what is on this machine.
  if (IsLocalAddress(flags.address)) {
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  }
  if (!flags.server_name.empty()) {
    arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, flags.server_name);
  }
  // A page has a known number of breakers, but messages of errors are long.
  arguments.SetMaxReceiveMessageSize(-1);
  // Who looks on sees a process soon that comes back.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  return arguments;
}

}  // namespace

Client::Client(const ConnectionFlags& flags)
    : address_(flags.address),
      timeout_(flags.timeout),
      token_(flags.token),
      is_private_(HasTls(flags) || IsLocalAddress(flags.address)),
      channel_(grpc::CreateCustomChannel(address_, CredentialsFor(flags),
                                         ArgumentsFor(flags))),
      stub_(CircuitBreakerAdmin::NewStub(channel_)) {}

grpc::Status Client::List(const admin::v1::BreakerFilter& filter,
                          admin::v1::ListBreakersResponse* all) const {
  admin::v1::ListBreakersRequest request;
  *request.mutable_filter() = filter;
  return CallForAllPages(&CircuitBreakerAdmin::Stub::ListBreakers, request,
                         all);
}

grpc::Status Client::Get(const std::string& method, const std::string& channel,
                         admin::v1::Breaker* breaker) const {
  admin::v1::GetBreakerRequest request;
  request.set_method(method);
  request.set_channel(channel);
  return Call(&CircuitBreakerAdmin::Stub::GetBreaker, request, breaker);
}

grpc::Status Client::ListChannels(admin::v1::ListChannelsResponse* all) const {
  return CallForAllPages(&CircuitBreakerAdmin::Stub::ListChannels,
                         admin::v1::ListChannelsRequest(), all);
}

grpc::Status Client::GetChannel(const std::string& name,
                                admin::v1::Channel* channel) const {
  admin::v1::GetChannelRequest request;
  request.set_channel(name);
  return Call(&CircuitBreakerAdmin::Stub::GetChannel, request, channel);
}

grpc::Status Client::Watch(
    const admin::v1::BreakerFilter& filter,
    absl::FunctionRef<bool(const Event&)> on_event) const {
  grpc::ClientContext context;
  if (grpc::Status status = Authorize(context); !status.ok()) return status;
  if (!channel_->WaitForConnected(Deadline())) {
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "cannot connect");
  }
  admin::v1::WatchBreakersRequest request;
  *request.mutable_filter() = filter;
  const auto reader = stub_->WatchBreakers(&context, request);
  Event event;
  while (reader->Read(&event)) {
    if (on_event(event)) continue;
    context.TryCancel();
    reader->Finish();
    return grpc::Status::OK;
  }
  return reader->Finish();
}

grpc::Status Client::Authorize(grpc::ClientContext& context) const {
  if (token_.empty()) return grpc::Status::OK;
  if (!is_private_) {
    return grpc::Status(
        grpc::StatusCode::INVALID_ARGUMENT,
        absl::StrCat("--token-file: the token would travel to ", address_,
                     " in the clear: use TLS (--tls, --cacert, --cert)"));
  }
  context.AddMetadata("authorization", absl::StrCat("Bearer ", token_));
  return grpc::Status::OK;
}

std::chrono::system_clock::time_point Client::Deadline() const {
  return absl::ToChronoTime(absl::Now() + timeout_);
}

ExitCode CodeOf(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
      return ExitCode::kDone;
    case grpc::StatusCode::INVALID_ARGUMENT:
      return ExitCode::kUsageError;
    case grpc::StatusCode::NOT_FOUND:
      return ExitCode::kNotFound;
    case grpc::StatusCode::FAILED_PRECONDITION:
      return ExitCode::kAmbiguous;
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
      return ExitCode::kNotAllowed;
    default:
      return ExitCode::kFailed;
  }
}

std::string Describe(const grpc::Status& status) {
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
    return "does not have the admin service";
  }
  if (CodeOf(status) != ExitCode::kFailed) return status.error_message();
  return absl::StrCat(absl::StatusCodeToString(
                          static_cast<absl::StatusCode>(status.error_code())),
                      ": ", status.error_message());
}

ExitCode Fail(const grpc::Status& status, absl::string_view address) {
  const ExitCode code = CodeOf(status);
  // Others are about what was asked for, whomever.
  const bool is_about_process =
      code == ExitCode::kFailed || code == ExitCode::kNotAllowed;
  return Fail(code,
              absl::StrCat(is_about_process ? address : "",
                           is_about_process ? ": " : "", Describe(status)));
}

}  // namespace grpc_breaker::breakerctl
