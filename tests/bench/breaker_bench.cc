// How fast a breaker is, how it scales, and whether this run can tell.
//
// The benchmarks take turns, many rounds of samples of about a millisecond, so
// that a change of the machine's mood meets all of them. Threads are pinned. A
// sample counts only if its threads had their CPUs from the first's begin to
// the last's end; the numbers are medians of those. One benchmark puts all
// threads on one shard of the counters: if that does not collapse when a second
// thread joins, then this machine does not show contention now, and the run is
// void.
//
// Times are wall-clock time over all operations of all threads, so that a
// second thread at best halves them; "CPU" is the CPU time of one operation.

#include <benchmark/benchmark.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "grpc_breaker/breaker/thread_slot.h"
#include "grpc_breaker/circuit_breaker.h"

namespace grpc_breaker {
namespace {

int Cpus() { return static_cast<int>(std::thread::hardware_concurrency()); }

void PinTo(int thread) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(thread % Cpus(), &cpus);
  pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
}

MonotonicTime SteadyNow() { return std::chrono::steady_clock::now(); }

MonotonicTime CoarseNow() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return MonotonicTime(std::chrono::seconds(now.tv_sec) +
                       std::chrono::nanoseconds(now.tv_nsec));
}

// A clock in the caller's hands: it moves by itself and costs nothing.
class SuppliedClock {
 public:
  MonotonicTime Now() { return now_ += std::chrono::nanoseconds(100); }

 private:
  MonotonicTime now_ = SteadyNow();
};

std::unique_ptr<CircuitBreaker> MakeBreaker(const BreakerOptions& options) {
  return *CircuitBreaker::Create("/pkg.Service/Method", options);
}

// One for all threads of a benchmark, and for all its rounds.
CircuitBreaker& Closed() {
  static CircuitBreaker& breaker = *MakeBreaker({}).release();
  return breaker;
}

CircuitBreaker& ClosedWithSlowCalls() {
  static CircuitBreaker& breaker = *[] {
    BreakerOptions options;
    options.slow_rate = 0.5;
    options.slow_call = absl::Seconds(10);
    return MakeBreaker(options).release();
  }();
  return breaker;
}

CircuitBreaker& WithBulkhead() {
  static CircuitBreaker& breaker = *[] {
    BreakerOptions options;
    options.max_concurrent_calls = 1000;
    return MakeBreaker(options).release();
  }();
  return breaker;
}

CircuitBreaker& WithLastCalls() {
  static CircuitBreaker& breaker = *[] {
    BreakerOptions options;
    options.last_calls = 100;
    options.last_calls_failures = 50;
    return MakeBreaker(options).release();
  }();
  return breaker;
}

CircuitBreaker& Open() {
  static CircuitBreaker& breaker = *[] {
    BreakerOptions options;
    options.open_duration = absl::Hours(24);
    options.open_on_critical = true;
    std::unique_ptr<CircuitBreaker> breaker = MakeBreaker(options);
    breaker->TryAcquire(SteadyNow())
        .Record(Outcome::kFailure, SteadyNow(), {ErrorSeverity::kCritical, {}});
    return breaker.release();
  }();
  return breaker;
}

// Every tenth call fails, below the thresholds.
CircuitBreaker& Flaky() {
  static CircuitBreaker& breaker = *MakeBreaker({}).release();
  return breaker;
}

// In a sample, per thread: about a millisecond's worth.
constexpr int kFastOperations = 100000;
constexpr int kOperations = 20000;
constexpr int kMaxThreads = 8;

// When the threads of the last sample began and ended.
struct {
  MonotonicTime begin[kMaxThreads];
  MonotonicTime end[kMaxThreads];
} spans;

template <typename Operation>
void Measure(benchmark::State& state, Operation operation) {
  const int thread = state.thread_index();
  PinTo(thread);
  const auto operations = state.max_iterations;
  while (state.KeepRunningBatch(operations)) {
    spans.begin[thread] = SteadyNow();
    for (auto left = operations; left > 0; --left) operation();
    spans.end[thread] = SteadyNow();
  }
}

void AdmitAndSucceed(CircuitBreaker& breaker, MonotonicTime now) {
  CircuitBreaker::Permit permit = breaker.TryAcquire(now);
  benchmark::DoNotOptimize(permit.admitted());
  permit.Record(Outcome::kSuccess, now);
}

void BM_SteadyRead(benchmark::State& state) {
  Measure(state, [] { benchmark::DoNotOptimize(SteadyNow()); });
}

void BM_FetchAdd(benchmark::State& state) {
  static std::atomic<uint64_t> word{0};
  Measure(state, [] { word.fetch_add(1, std::memory_order_relaxed); });
}

void MeasureSupplied(benchmark::State& state, CircuitBreaker& breaker) {
  SuppliedClock clock;
  Measure(state, [&] { AdmitAndSucceed(breaker, clock.Now()); });
}

void BM_Supplied(benchmark::State& state) { MeasureSupplied(state, Closed()); }

void BM_Bulkhead(benchmark::State& state) {
  MeasureSupplied(state, WithBulkhead());
}

void BM_LastCalls(benchmark::State& state) {
  MeasureSupplied(state, WithLastCalls());
}

void BM_Coarse(benchmark::State& state) {
  CircuitBreaker& breaker = Closed();
  Measure(state, [&] { AdmitAndSucceed(breaker, CoarseNow()); });
}

void BM_TwoSteadyReads(benchmark::State& state) {
  CircuitBreaker& breaker = ClosedWithSlowCalls();
  Measure(state, [&] {
    CircuitBreaker::Permit permit = breaker.TryAcquire(SteadyNow());
    benchmark::DoNotOptimize(permit.admitted());
    permit.Record(Outcome::kSuccess, SteadyNow());
  });
}

void BM_Rejected(benchmark::State& state) {
  CircuitBreaker& breaker = Open();
  SuppliedClock clock;
  Measure(state, [&] {
    CircuitBreaker::Permit permit = breaker.TryAcquire(clock.Now());
    benchmark::DoNotOptimize(permit.admitted());
  });
}

void BM_OneInTenFails(benchmark::State& state) {
  CircuitBreaker& breaker = Flaky();
  SuppliedClock clock;
  int call = 0;
  Measure(state, [&] {
    const MonotonicTime now = clock.Now();
    breaker.TryAcquire(now).Record(
        ++call % 10 == 0 ? Outcome::kFailure : Outcome::kSuccess, now);
  });
}

void BM_OneShard(benchmark::State& state) {
  internal::ScopedSharedSlotForTesting one_shard;
  MeasureSupplied(state, Closed());
}

// Calls that go round so many methods.
void MeasureMethods(benchmark::State& state, size_t count) {
  static auto& all =
      *new std::map<size_t, std::vector<std::unique_ptr<CircuitBreaker>>>;
  std::vector<std::unique_ptr<CircuitBreaker>>& methods = all[count];
  while (methods.size() < count) methods.push_back(MakeBreaker({}));
  SuppliedClock clock;
  size_t next = 0;
  Measure(state, [&] {
    AdmitAndSucceed(*methods[next], clock.Now());
    if (++next == methods.size()) next = 0;
  });
}

void BM_10Methods(benchmark::State& state) { MeasureMethods(state, 10); }
void BM_10000Methods(benchmark::State& state) { MeasureMethods(state, 10000); }

void UpTo2(benchmark::internal::Benchmark* benchmark) {
  benchmark->Iterations(kOperations)->Threads(1)->Threads(2);
}
void UpTo8(benchmark::internal::Benchmark* benchmark) {
  UpTo2(benchmark);
  benchmark->Threads(8);
}
void FastUpTo8(benchmark::internal::Benchmark* benchmark) {
  UpTo8(benchmark);
  benchmark->Iterations(kFastOperations);
}

BENCHMARK(BM_SteadyRead)->Apply(UpTo2);
BENCHMARK(BM_FetchAdd)->Apply(UpTo2);
BENCHMARK(BM_Supplied)->Apply(FastUpTo8);
BENCHMARK(BM_Coarse)->Apply(FastUpTo8);
BENCHMARK(BM_TwoSteadyReads)->Apply(UpTo8);
BENCHMARK(BM_Rejected)->Apply(FastUpTo8);
BENCHMARK(BM_OneInTenFails)->Apply(UpTo2);
BENCHMARK(BM_Bulkhead)->Apply(UpTo2);
BENCHMARK(BM_LastCalls)->Apply(UpTo2);
BENCHMARK(BM_10Methods)->Iterations(kFastOperations);
BENCHMARK(BM_10000Methods)->Iterations(kFastOperations);
BENCHMARK(BM_OneShard)->Apply(UpTo2);

// --- What the run says ---

struct Samples {
  std::vector<double> wall_ns;  // Per operation, over all threads.
  std::vector<double> cpu_ns;   // Per operation.
};

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Collects the quiet samples by benchmark and number of threads.
class Collector final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }

  // Called after each benchmark.
  void ReportRuns(const std::vector<Run>& runs) override {
    const int threads = static_cast<int>(runs[0].threads);
    const auto span = *std::max_element(spans.end, spans.end + threads) -
                      *std::min_element(spans.begin, spans.begin + threads);
    // Over all threads.
    const double wall = static_cast<double>(span.count()) /
                        static_cast<double>(runs[0].iterations);
    const double cpu = runs[0].GetAdjustedCPUTime();
    Samples& samples = samples_[Key(runs[0].run_name.function_name, threads)];
    if (cpu < 0.95 * wall * std::min(threads, Cpus())) return;
    samples.wall_ns.push_back(wall);
    samples.cpu_ns.push_back(cpu);
  }

  const Samples& Get(const std::string& benchmark, int threads) const {
    return samples_.at(Key("BM_" + benchmark, threads));
  }

 private:
  static std::string Key(const std::string& name, int threads) {
    return absl::StrCat(name, "/", threads);
  }

  std::map<std::string, Samples> samples_;
};

struct Line {
  const char* benchmark;
  const char* text;
  std::vector<int> threads;
  double target_1;  // ns with one thread; 0: none.
  double target_2;
};

class Report {
 public:
  explicit Report(const Collector& collector) : collector_(collector) {}

  // Returns the exit code: 0, 1 if a target was missed, 3 if the run is void.
  int Print() {
    std::printf("%-44s %8s %8s %8s   %s\n", "ns per operation", "1 thread", "2",
                "8", "target 1 / 2");
    for (const Line& line : lines_) PrintLine(line);
    PrintScaling();
    const double collapse = Cpu("OneShard", 2) / Cpu("OneShard", 1);
    std::printf("Control: one shard, CPU per operation, 2 threads / 1: %.1fx\n",
                collapse);
    if (!enough_ || !(collapse >= 3)) {
      std::printf("VOID: %s\n",
                  enough_ ? "the control did not collapse (3x)"
                          : "too few quiet samples, the machine is too busy");
      return 3;
    }
    std::printf(missed_ == 0 ? "All targets met.\n" : "%d targets missed.\n",
                missed_);
    return missed_ == 0 ? 0 : 1;
  }

 private:
  double Wall(const std::string& benchmark, int threads) const {
    return Median(collector_.Get(benchmark, threads).wall_ns);
  }
  double Cpu(const std::string& benchmark, int threads) const {
    return Median(collector_.Get(benchmark, threads).cpu_ns);
  }

  void PrintLine(const Line& line) {
    std::printf("%-44s", line.text);
    std::string targets;
    for (int threads : {1, 2, 8}) {
      if (std::find(line.threads.begin(), line.threads.end(), threads) ==
          line.threads.end()) {
        std::printf(" %8s", "");
        continue;
      }
      const Samples& samples = collector_.Get(line.benchmark, threads);
      enough_ = enough_ && samples.wall_ns.size() >= 5;
      const double wall = Median(samples.wall_ns);
      if (samples.wall_ns.empty()) {
        std::printf(" %8s", "-");
        continue;
      }
      std::printf(" %8.2f", wall);
      const double target = threads == 1   ? line.target_1
                            : threads == 2 ? line.target_2
                                           : 0;
      if (target > 0) {
        absl::StrAppend(&targets, targets.empty() ? "" : " / ", target,
                        wall <= target ? " met" : " MISSED");
        missed_ += wall <= target ? 0 : 1;
      }
    }
    std::printf("   %s\n", targets.c_str());
  }

  void PrintScaling() {
    for (const char* benchmark :
         {"Supplied", "Coarse", "TwoSteadyReads", "Rejected"}) {
      const double ratio = Cpu(benchmark, 2) / Cpu(benchmark, 1);
      const bool met = ratio > 0 && ratio <= 1.1;
      std::printf("CPU per operation, 2 threads / 1, %-15s %.2f (<= 1.10 %s)\n",
                  benchmark, ratio, met ? "met" : "MISSED");
      missed_ += met ? 0 : 1;
    }
  }

  const std::vector<Line> lines_ = {
      {"Supplied", "closed: admit + success, caller's clock", {1, 2, 8}, 12, 6},
      {"Coarse", "closed: the same, coarse clock", {1, 2, 8}, 12, 6},
      {"TwoSteadyReads",
       "closed: slow calls timed, 2 steady reads",
       {1, 2, 8},
       46,
       24},
      {"Rejected", "open: rejected", {1, 2, 8}, 6, 3},
      {"OneInTenFails", "closed: one call in ten fails", {1, 2}, 0, 0},
      {"Bulkhead", "closed, with a bulkhead", {1, 2}, 0, 0},
      {"LastCalls",
       "closed, with the rule of the last 100 calls",
       {1, 2},
       0,
       0},
      {"10Methods", "closed: 10 methods in turn", {1}, 0, 0},
      {"10000Methods", "closed: 10,000 methods in turn", {1}, 0, 0},
      {"SteadyRead", "this machine: a read of the steady clock", {1, 2}, 0, 0},
      {"FetchAdd", "this machine: fetch_add on one shared word", {1, 2}, 0, 0},
      {"OneShard", "control: all threads on one shard", {1, 2}, 0, 0},
  };
  const Collector& collector_;
  int missed_ = 0;
  bool enough_ = true;
};

int Run(int argc, char** argv) {
  int rounds = 200;
  if (argc > 1 && (argc > 2 || !absl::SimpleAtoi(argv[1], &rounds) ||
                   rounds < 5 || rounds > 10000)) {
    std::fprintf(stderr, "Usage: %s [ROUNDS, 5 to 10000; 200]\n", argv[0]);
    return 2;
  }
  int count = 1;
  benchmark::Initialize(&count, argv);
  Collector collector;
  for (int round = 0; round < rounds; ++round) {
    benchmark::RunSpecifiedBenchmarks(&collector);
  }
  return Report(collector).Print();
}

}  // namespace
}  // namespace grpc_breaker

int main(int argc, char** argv) { return grpc_breaker::Run(argc, argv); }
