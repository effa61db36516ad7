// breakerctl: shows the circuit breakers of a process that serves
// grpc_breaker.admin.v1.CircuitBreakerAdmin.

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "google/protobuf/util/json_util.h"
#include "grpc_breaker/admin/v1/admin.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "tools/breakerctl/address.h"
#include "tools/breakerctl/format.h"

ABSL_FLAG(std::string, address, "", "Where the process serves.");
ABSL_FLAG(std::string, channel, "", "Only this channel.");
ABSL_FLAG(std::string, prefix, "", "Only methods that begin so.");
// Those of all --state flags so far; a flag by itself keeps the last one only.
static std::vector<std::string>& GivenStates();
ABSL_FLAG(std::vector<std::string>, state, {}, "Only these states.")
    .OnUpdate([] {
      const std::vector<std::string> states = absl::GetFlag(FLAGS_state);
      GivenStates().insert(GivenStates().end(), states.begin(), states.end());
    });
ABSL_FLAG(absl::Duration, timeout, absl::Seconds(5), "How long to wait.");
ABSL_FLAG(bool, json, false, "JSON instead of text.");
ABSL_FLAG(bool, wide, false, "Long names in full.");

static std::vector<std::string>& GivenStates() {
  static auto& states = *new std::vector<std::string>;
  return states;
}

namespace grpc_breaker {
namespace breakerctl {
namespace {

using admin::v1::CircuitBreakerAdmin;

constexpr char kUsage[] =
    R"(Usage: breakerctl [FLAG...] list | get METHOD | watch

Shows the circuit breakers of a process that has the grpc_breaker admin service.

  list         a line per breaker
  get METHOD   all of one breaker; METHOD is /package.Service/Method
  watch        a line per breaker, and then one per change, until interrupted

Flags:
  --address=ADDRESS    where the process serves: unix:/path/to/socket or
                       HOST:PORT; or else $BREAKERCTL_ADDRESS
  --channel=CHANNEL    only breakers of this client channel
  --prefix=PREFIX      list, watch: only methods that begin with it, such as
                       /package.Service/
  --state=STATE,...    list, watch: only breakers in these states: CLOSED, OPEN,
                       HALF_OPEN, FORCED_OPEN, FORCED_CLOSED, METRICS_ONLY; may
                       be given more than once
  --timeout=DURATION   how long to wait for an answer, such as 500ms; for watch,
                       for the connection (default 5s)
  --json               JSON: list and get write one object, watch one per line;
                       counts are numbers, durations strings such as "1.5s"
  --wide               long names in full, also where they do not fit into the
                       terminal
  --version            the version of this program

Exit status:
  0  done
  1  the process could not be reached, or failed
  2  the command line is wrong
  3  there is no such breaker
  4  several channels have METHOD: choose one by --channel
)";

enum ExitCode {
  kDone = 0,
  kFailed = 1,
  kUsageError = 2,
  kNotFound = 3,
  kAmbiguous = 4,
};

int Fail(ExitCode code, absl::string_view message) {
  std::fflush(stdout);
  std::fprintf(stderr, "breakerctl: %s\n", Printable(message).c_str());
  return code;
}

int FailUsage(absl::string_view message) {
  return Fail(kUsageError, absl::StrCat(message, "; see breakerctl --help"));
}

int Fail(const grpc::Status& status, const std::string& address) {
  switch (status.error_code()) {
    case grpc::StatusCode::INVALID_ARGUMENT:
      return Fail(kUsageError, status.error_message());
    case grpc::StatusCode::NOT_FOUND:
      return Fail(kNotFound, status.error_message());
    case grpc::StatusCode::FAILED_PRECONDITION:
      return Fail(kAmbiguous, status.error_message());
    case grpc::StatusCode::UNIMPLEMENTED:
      return Fail(kFailed,
                  absl::StrCat(address, " does not have the admin service"));
    default:
      return Fail(
          kFailed,
          absl::StrCat(address, ": ",
                       absl::StatusCodeToString(
                           static_cast<absl::StatusCode>(status.error_code())),
                       ": ", status.error_message()));
  }
}

// Writes at once, for who reads a watch through a pipe.
int Print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() ||
      std::fflush(stdout) != 0) {
    return Fail(kFailed, "cannot write to standard output");
  }
  return kDone;
}

// Prints zeros, too. The option has this name since Protobuf 26, and the one
// below before.
template <typename Options>
auto PrintZeros(Options* options, int /*preferred*/)
    -> decltype(options->always_print_fields_with_no_presence, void()) {
  options->always_print_fields_with_no_presence = true;
}
template <typename Options>
void PrintZeros(Options* options, long /*otherwise*/) {
  options->always_print_primitive_fields = true;
}

int PrintJson(const google::protobuf::Message& message, bool on_one_line) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = !on_one_line;
  PrintZeros(&options, 0);
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(message, &json, options)
           .ok()) {
    return Fail(kFailed, "the answer cannot be written as JSON");
  }
  json = WithNumbers(json, *message.GetDescriptor());
  if (on_one_line) json += '\n';
  return Print(json);
}

absl::StatusOr<admin::v1::BreakerFilter> FilterFromFlags() {
  admin::v1::BreakerFilter filter;
  filter.set_channel(absl::GetFlag(FLAGS_channel));
  filter.set_method_prefix(absl::GetFlag(FLAGS_prefix));
  for (const std::string& name : GivenStates()) {
    admin::v1::State state;
    if (!admin::v1::State_Parse(
            absl::StrCat(
                "STATE_",
                absl::StrReplaceAll(absl::AsciiStrToUpper(name), {{"-", "_"}})),
            &state) ||
        state == admin::v1::STATE_UNSPECIFIED) {
      return absl::InvalidArgumentError(
          absl::StrCat("--state: there is no state \"", name, "\""));
    }
    filter.add_states(state);
  }
  return filter;
}

// How many columns there are to fit into; 0: any number.
int OutputWidth() {
  if (absl::GetFlag(FLAGS_wide) || !isatty(STDOUT_FILENO)) return 0;
  int width = 0;
  const char* columns = std::getenv("COLUMNS");
  if (columns != nullptr && absl::SimpleAtoi(columns, &width) && width > 0) {
    return width;
  }
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

class Client {
 public:
  Client(const std::string& address, absl::Duration timeout)
      : address_(address),
        timeout_(timeout),
        channel_(grpc::CreateCustomChannel(address,
                                           grpc::InsecureChannelCredentials(),
                                           ArgumentsFor(address))),
        stub_(CircuitBreakerAdmin::NewStub(channel_)) {}

  int List(const admin::v1::BreakerFilter& filter) {
    admin::v1::ListBreakersResponse all;
    admin::v1::ListBreakersRequest request;
    *request.mutable_filter() = filter;
    request.set_page_size(kPageSize);
    do {
      grpc::ClientContext context;
      context.set_deadline(Deadline());
      admin::v1::ListBreakersResponse page;
      const grpc::Status status = stub_->ListBreakers(&context, request, &page);
      if (!status.ok()) return Fail(status, address_);
      request.set_page_token(page.next_page_token());
      page.clear_next_page_token();
      all.MergeFrom(page);
    } while (!request.page_token().empty());
    if (absl::GetFlag(FLAGS_json)) return PrintJson(all, false);
    return Print(FormatTable(all.breakers(), OutputWidth()));
  }

  int Get(const std::string& method) {
    grpc::ClientContext context;
    context.set_deadline(Deadline());
    admin::v1::GetBreakerRequest request;
    request.set_method(method);
    request.set_channel(absl::GetFlag(FLAGS_channel));
    admin::v1::Breaker breaker;
    const grpc::Status status = stub_->GetBreaker(&context, request, &breaker);
    if (!status.ok()) return Fail(status, address_);
    if (absl::GetFlag(FLAGS_json)) return PrintJson(breaker, false);
    return Print(FormatBreaker(breaker, OutputWidth()));
  }

  int Watch(const admin::v1::BreakerFilter& filter) {
    if (!channel_->WaitForConnected(Deadline())) {
      return Fail(kFailed, absl::StrCat("cannot connect to ", address_));
    }
    grpc::ClientContext context;
    admin::v1::WatchBreakersRequest request;
    *request.mutable_filter() = filter;
    const auto reader = stub_->WatchBreakers(&context, request);
    admin::v1::WatchBreakersResponse event;
    while (reader->Read(&event)) {
      const int code = absl::GetFlag(FLAGS_json)
                           ? PrintJson(event, true)
                           : Print(FormatEvent(event, absl::Now()));
      if (code != kDone) return code;
    }
    const grpc::Status status = reader->Finish();
    return status.ok() ? kDone : Fail(status, address_);
  }

 private:
  static constexpr int kPageSize = 1000;

  static grpc::ChannelArguments ArgumentsFor(const std::string& address) {
    grpc::ChannelArguments arguments;
    // A proxy has nothing to do with what is on this machine.
    if (IsLocalAddress(address)) {
      arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    }
    // A page has a known number of breakers, but messages of errors are long.
    arguments.SetMaxReceiveMessageSize(-1);
    return arguments;
  }

  std::chrono::system_clock::time_point Deadline() const {
    return absl::ToChronoTime(absl::Now() + timeout_);
  }

  const std::string address_;
  const absl::Duration timeout_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<CircuitBreakerAdmin::Stub> stub_;
};

int Run(const std::vector<std::string>& words) {
  if (words.empty()) return FailUsage("a command is missing");
  const std::string& command = words[0];
  const size_t expected = command == "get" ? 2 : 1;
  if (command != "list" && command != "get" && command != "watch") {
    return FailUsage(absl::StrCat("there is no command \"", command, "\""));
  }
  if (words.size() < expected) return FailUsage("get: METHOD is missing");
  if (words.size() > expected) {
    return FailUsage(absl::StrCat(
        command, ": too much: \"",
        absl::StrJoin(words.begin() + expected, words.end(), " "), "\""));
  }
  if (command == "get" &&
      (!absl::GetFlag(FLAGS_prefix).empty() || !GivenStates().empty())) {
    return FailUsage("get: --prefix and --state are for list and watch");
  }
  const absl::Duration timeout = absl::GetFlag(FLAGS_timeout);
  // The bound keeps the deadline within what the clock can hold.
  if (timeout <= absl::ZeroDuration() || timeout > absl::Hours(24)) {
    return FailUsage(
        absl::StrCat("--timeout: must be greater than 0 and at most 24h, got ",
                     absl::FormatDuration(timeout)));
  }
  std::string address = absl::GetFlag(FLAGS_address);
  if (address.empty()) {
    const char* from_environment = std::getenv("BREAKERCTL_ADDRESS");
    if (from_environment != nullptr) address = from_environment;
  }
  if (address.empty()) {
    return FailUsage("neither --address nor $BREAKERCTL_ADDRESS is set");
  }
  const absl::StatusOr<admin::v1::BreakerFilter> filter = FilterFromFlags();
  if (!filter.ok()) return FailUsage(filter.status().message());

  Client client(address, timeout);
  if (command == "get") return client.Get(words[1]);
  return command == "list" ? client.List(*filter) : client.Watch(*filter);
}

// absl::ParseCommandLine exits with 1 where the command line is wrong, and
// after --help as well; here 1 means something else.
bool parsing = false;
void ExitFromParsing() {
  if (!parsing) return;
  std::fflush(nullptr);
  _exit(kUsageError);
}

}  // namespace

int Main(int argc, char** argv) {
  const auto is_help = [](absl::string_view word) {
    return word == "--help" || word == "-h" || word == "help";
  };
  if (std::any_of(argv + 1, argv + argc, is_help)) return Print(kUsage);
  const auto is_version = [](absl::string_view word) {
    return word == "--version" || word == "-version";
  };
  if (std::any_of(argv + 1, argv + argc, is_version)) {
    return Print("breakerctl " BREAKERCTL_VERSION "\n");
  }
  // Today's gRPC tells the terminal of connections that end as well; what there
  // is to say of them is said here.
  setenv("GRPC_VERBOSITY", "ERROR", /*overwrite=*/0);
  std::atexit(ExitFromParsing);
  parsing = true;
  const std::vector<char*> words = absl::ParseCommandLine(argc, argv);
  parsing = false;
  return Run(std::vector<std::string>(words.begin() + 1, words.end()));
}

}  // namespace breakerctl
}  // namespace grpc_breaker

int main(int argc, char** argv) {
  return grpc_breaker::breakerctl::Main(argc, argv);
}
