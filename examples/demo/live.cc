// The live demo: three servers, each of which is well, fails, is down and is
// late by turns, and three processes that call them. Runs until it is
// interrupted, for people to look at: on the page of breakerctl, in a
// Prometheus, in a terminal.
//
//   demo_live SERVER BREAKERCTL [PROMETHEUS RULES...]
//
// The arguments are the paths of the other programs, and of Prometheus' rules.
// It starts itself as `demo_live --client ADDRESS TARGET...`: one of the
// processes, with its admin service at ADDRESS; and as `demo_live --run
// PARENT PROGRAM...`: a program that ends with the process that has started it,
// whose number is PARENT.

#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iostream>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "examples/demo/demo.grpc.pb.h"
#include "examples/demo/load.h"
#include "examples/demo/process.h"
#include "examples/demo/temporary_directory.h"
#include "grpc_breaker/admin_authorizer.h"
#include "grpc_breaker/admin_server.h"
#include "grpc_breaker/channel.h"
#include "grpcpp/create_channel.h"
#ifdef DEMO_PROMETHEUS
#include "grpc_breaker/prometheus_collector.h"
#include "prometheus/exposer.h"
#endif

namespace demo {
namespace {

volatile sig_atomic_t interrupted = 0;

constexpr absl::string_view kRegions[] = {"north", "middle", "south"};

// How a server fares.
struct Weather {
  absl::string_view name;
  absl::Duration duration;
  double failure_rate;
  double delay_rate;
};

// All that a server goes through, over and over again; each begins elsewhere.
std::vector<Weather> Weathers() {
  return {
      {"is well", absl::Seconds(30), 0, 0},
      {"fails every fifth call", absl::Seconds(20), 0.2, 0},
      {"is well again", absl::Seconds(15), 0, 0},
      {"fails every call", absl::Seconds(20), 1, 0},
      {"is well again", absl::Seconds(20), 0, 0},
      {"is late with every tenth answer", absl::Seconds(15), 0, 0.1},
  };
}

// --- One of the processes that call

grpc_breaker::Options MakeOptions(absl::string_view region) {
  grpc_breaker::Options options;
  options.channel_name = std::string(region);
  grpc_breaker::Policy& policy = options.Method<Prices>("GetPrice");
  policy.timeout = absl::Seconds(1);
  policy.retry.max_retries = 3;
  policy.retry.base_delay = absl::Milliseconds(10);
  policy.breaker.consecutive_failures = 20;
  policy.breaker.open_duration = absl::Seconds(5);
  return options;
}

// Prints the port of its metrics, or 0 where there are none.
int Client(const std::string& address,
           const std::vector<std::string>& targets) {
  std::vector<std::unique_ptr<Load>> loads;
  for (size_t i = 0; i < targets.size(); ++i) {
    const auto channel = grpc_breaker::CreateChannel(
        targets[i], grpc::InsecureChannelCredentials(),
        MakeOptions(kRegions[i]));
    if (!channel.ok()) {
      std::cerr << channel.status() << std::endl;
      return EXIT_FAILURE;
    }
    // The north has the most customers.
    const absl::Duration period = absl::Milliseconds(50) * (i + 1);
    loads.push_back(std::make_unique<Load>(*channel, /*threads=*/4, period));
  }
  grpc_breaker::AdminServerOptions options;
  options.authorizer = grpc_breaker::AllowUnixSockets();
  const auto admin = grpc_breaker::AdminServer::Start(address, options);
  if (!admin.ok()) {
    std::cerr << admin.status() << std::endl;
    return EXIT_FAILURE;
  }
  int port = 0;
#ifdef DEMO_PROMETHEUS
  const auto metrics = grpc_breaker::MakePrometheusCollector();
  if (!metrics.ok()) {
    std::cerr << metrics.status() << std::endl;
    return EXIT_FAILURE;
  }
  prometheus::Exposer exposer("127.0.0.1:0");
  exposer.RegisterCollectable(*metrics);
  port = exposer.GetListeningPorts().at(0);
#endif
  std::cout << port << std::endl;
  std::cin.ignore(std::numeric_limits<std::streamsize>::max());
  return EXIT_SUCCESS;
}

// --- A program of others, which would outlive a demo that was killed

int Run(absl::string_view parent, const std::vector<std::string>& command) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (absl::StrCat(getppid()) != parent) return EXIT_FAILURE;  // Killed before.
  std::vector<std::string> words = command;
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  std::cerr << absl::ErrnoToStatus(errno, argv[0]) << std::endl;
  return EXIT_FAILURE;
}

// --- The process that has started them

// The next one that a process writes, without its end.
std::string Line(Process& process) {
  return std::string(absl::StripSuffix(process.ReadLine(), "\n"));
}

// Nobody listens there, as far as can be known.
absl::StatusOr<int> FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return absl::ErrnoToStatus(errno, "socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  const bool found =
      bind(fd, generic, size) == 0 && getsockname(fd, generic, &size) == 0;
  const int error = errno;
  close(fd);
  if (!found) return absl::ErrnoToStatus(error, "no port of 127.0.0.1");
  return ntohs(address.sin_port);
}

class Live {
 public:
  struct Programs {
    std::string self;
    std::string server;
    std::string breakerctl;
    std::string prometheus;  // Empty: there is none.
    std::vector<std::string> rules;
  };

  explicit Live(Programs programs) : programs_(std::move(programs)) {}

  // Starts all and prints where it is to be seen.
  absl::Status Start();

  // Until it is interrupted, or an error.
  absl::Status Run();

 private:
  struct Server {
    std::unique_ptr<Process> process;
    std::string target;
    std::unique_ptr<Control::Stub> control;
    size_t weather;
    absl::Time until;
  };

  absl::Status StartServers();
  absl::Status StartClients();
  absl::Status StartPage();
  absl::Status StartPrometheus();
  absl::Status SetWeather(size_t server);

  const Programs programs_;
  const TemporaryDirectory directory_;
  const std::vector<Weather> weathers_ = Weathers();
  std::vector<Server> servers_;
  std::vector<std::unique_ptr<Process>> clients_;
  std::vector<std::string> addresses_;
  std::vector<std::string> metrics_;
  std::unique_ptr<Process> page_;
  std::unique_ptr<Process> prometheus_;
};

absl::Status Live::Start() {
  if (directory_.path().empty()) {
    return absl::UnavailableError("cannot make a temporary directory");
  }
  std::cout << "Three servers sell hammers; three processes ask each of them "
               "for the price.\n"
            << std::endl;
  if (absl::Status status = StartServers(); !status.ok()) return status;
  if (absl::Status status = StartClients(); !status.ok()) return status;
  if (absl::Status status = StartPage(); !status.ok()) return status;
  if (absl::Status status = StartPrometheus(); !status.ok()) return status;
  std::cout << "\nIn another terminal:\n  " << programs_.breakerctl
            << " --address " << absl::StrJoin(addresses_, ",")
            << " top --allow-changes\n\nCtrl-C ends it all.\n"
            << std::endl;
  return absl::OkStatus();
}

absl::Status Live::StartServers() {
  for (size_t i = 0; i < std::size(kRegions); ++i) {
    auto process = Process::Start({programs_.server});
    if (!process.ok()) return process.status();
    Server server;
    server.process = *std::move(process);
    server.target = Line(*server.process);
    server.control = Control::NewStub(
        grpc::CreateChannel(server.target, grpc::InsecureChannelCredentials()));
    // So that not all fail at a time.
    server.weather = 2 * i;
    servers_.push_back(std::move(server));
    if (absl::Status status = SetWeather(i); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Live::StartClients() {
  for (size_t i = 0; i < std::size(kRegions); ++i) {
    addresses_.push_back(
        absl::StrCat("unix:", directory_.path(), "/client", i + 1));
    std::vector<std::string> command = {programs_.self, "--client",
                                        addresses_.back()};
    for (const Server& server : servers_) command.push_back(server.target);
    auto process = Process::Start(command);
    if (!process.ok()) return process.status();
    const std::string port = Line(**process);
    if (port.empty()) return absl::UnavailableError("a client has ended");
    if (port != "0") metrics_.push_back(absl::StrCat("127.0.0.1:", port));
    clients_.push_back(*std::move(process));
  }
  return absl::OkStatus();
}

absl::Status Live::StartPage() {
  auto process = Process::Start(
      {programs_.self, "--run", absl::StrCat(getpid()), programs_.breakerctl,
       "dashboard", "--allow-changes",
       absl::StrCat("--address=", absl::StrJoin(addresses_, ","))});
  if (!process.ok()) return process.status();
  page_ = *std::move(process);
  // Where there is none, it has said why.
  const std::string url = Line(*page_);
  std::cout << "  the page     " << (url.empty() ? "none" : url) << std::endl;
  return absl::OkStatus();
}

absl::Status Live::StartPrometheus() {
  std::cout << "  metrics      "
            << (metrics_.empty() ? "none: built without prometheus-cpp" : "");
  for (const std::string& address : metrics_) {
    std::cout << "http://" << address << "/metrics ";
  }
  std::cout << std::endl;
  if (programs_.prometheus.empty() || metrics_.empty()) return absl::OkStatus();
  const absl::StatusOr<int> port = FreePort();
  if (!port.ok()) return port.status();
  const std::string file = directory_.path() + "/prometheus.yml";
  std::ofstream(file) << "global: {scrape_interval: 1s, evaluation_interval: "
                         "1s}\nrule_files: ['"
                      << absl::StrJoin(programs_.rules, "', '")
                      << "']\nscrape_configs:\n- job_name: demo\n"
                         "  static_configs: [{targets: ['"
                      << absl::StrJoin(metrics_, "', '") << "']}]\n";
  auto process = Process::Start(
      {programs_.self, "--run", absl::StrCat(getpid()), programs_.prometheus,
       "--config.file=" + file,
       absl::StrCat("--storage.tsdb.path=", directory_.path(), "/prometheus"),
       absl::StrCat("--web.listen-address=127.0.0.1:", *port),
       "--log.level=error"});
  if (!process.ok()) return process.status();
  prometheus_ = *std::move(process);
  std::cout << "  Prometheus   http://127.0.0.1:" << *port
            << "/graph?g0.tab=0&g0.range_input=10m&g0.expr="
               "grpc_breaker_state%7Bstate%3D%22open%22%7D"
            << std::endl;
  return absl::OkStatus();
}

absl::Status Live::SetWeather(size_t index) {
  Server& server = servers_[index];
  const Weather& weather = weathers_[server.weather];
  server.until = absl::Now() + weather.duration;
  SetFailureRateRequest failures;
  failures.set_failure_rate(weather.failure_rate);
  SetFailureRateResponse failures_set;
  SetDelayRateRequest delays;
  delays.set_delay_rate(weather.delay_rate);
  SetDelayRateResponse delays_set;
  grpc::ClientContext for_failures;
  grpc::ClientContext for_delays;
  grpc::Status status =
      server.control->SetFailureRate(&for_failures, failures, &failures_set);
  if (status.ok()) {
    status = server.control->SetDelayRate(&for_delays, delays, &delays_set);
  }
  if (!status.ok()) {
    return absl::UnavailableError(
        absl::StrCat("a server is lost: ", status.error_message()));
  }
  std::cout << absl::FormatTime("%H:%M:%S", absl::Now(), absl::LocalTimeZone())
            << "  The server of the " << kRegions[index] << " " << weather.name
            << "." << std::endl;
  return absl::OkStatus();
}

absl::Status Live::Run() {
  while (!interrupted) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    for (size_t i = 0; i < servers_.size(); ++i) {
      if (absl::Now() < servers_[i].until) continue;
      servers_[i].weather = (servers_[i].weather + 1) % weathers_.size();
      if (absl::Status status = SetWeather(i); !status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

int Main(std::vector<std::string> arguments) {
  if (arguments.size() > 2 && arguments[0] == "--client") {
    return Client(arguments[1], {arguments.begin() + 2, arguments.end()});
  }
  if (arguments.size() > 2 && arguments[0] == "--run") {
    return Run(arguments[1], {arguments.begin() + 2, arguments.end()});
  }
  if (arguments.size() < 2) {
    std::cerr << "usage: demo_live SERVER BREAKERCTL [PROMETHEUS RULES...]"
              << std::endl;
    return 2;
  }
  // So that a user's Ctrl-C cleans up as well.
  signal(SIGINT, [](int) { interrupted = 1; });
  signal(SIGTERM, [](int) { interrupted = 1; });
  Live::Programs programs = {std::filesystem::read_symlink("/proc/self/exe"),
                             arguments[0],
                             arguments[1],
                             "",
                             {}};
  if (arguments.size() > 2) {
    programs.prometheus = arguments[2];
    programs.rules = {arguments.begin() + 3, arguments.end()};
  }
  Live live(std::move(programs));
  absl::Status status = live.Start();
  if (status.ok()) status = live.Run();
  if (status.ok()) return EXIT_SUCCESS;
  std::cerr << "demo: " << status << std::endl;
  return EXIT_FAILURE;
}

}  // namespace
}  // namespace demo

int main(int argc, char** argv) {
  return demo::Main(std::vector<std::string>(argv + 1, argv + argc));
}
