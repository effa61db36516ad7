// Scripts by chance. What a fuzzer has found has a test of its own elsewhere.

#include <cstdint>
#include <cstdlib>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/script.h"

namespace grpc_breaker::e2e {
namespace {

// GRPC_BREAKER_SCRIPTS_SEED plays that one alone.
void PlayMany(int scripts, void (*play)(Script)) {
  const char* const only = std::getenv("GRPC_BREAKER_SCRIPTS_SEED");
  const unsigned first = only != nullptr ? std::strtoul(only, nullptr, 10)
                                         : std::random_device()();
  if (only != nullptr) scripts = 1;
  for (int i = 0; i < scripts; ++i) {
    const unsigned seed = first + i;
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::minstd_rand random(seed);
    std::vector<uint8_t> bytes(random() % 100);
    for (uint8_t& byte : bytes) byte = random() >> 8;
    play(Script(bytes.data(), bytes.size()));
    if (::testing::Test::HasFailure()) return;
  }
}

ATTEMPTS_TEST(ScriptsTest, StreamsLookAsOnABareChannelWhateverIsRetried) {
  PlayMany(400, PlayStream);
}

ATTEMPTS_TEST(ScriptsTest, EveryBatchGoesOnOnceInWhateverOrderItComes) {
  PlayMany(400, PlayHooks);
}

}  // namespace
}  // namespace grpc_breaker::e2e
