#ifndef GRPC_BREAKER_BREAKER_CAUSE_H_
#define GRPC_BREAKER_BREAKER_CAUSE_H_

// Why a breaker changed its state, in a few bytes; as a text when it is asked
// for.
//
// Thread-compatible: plain values.

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "grpc_breaker/breaker/trip_rules.h"
#include "grpc_breaker/breaker_events.h"
#include "grpc_breaker/export.h"

namespace grpc_breaker::internal {

struct Cause {
  enum class Kind : uint8_t {
    kRule,  // `rule`, whose number is `number`.
    kOpenDurationOver,
    kProbedEarly,
    kProbesSucceeded,  // `number` of them.
    kProbesFailed,     // `number` of them.
    kNoDecision,       // HALF_OPEN took too long.
    kManual,           // `text` says by whom and why.
    kManualOver,       // Its time is over.
    kReset,            // `text` as for kManual.
    kReconfigured,
    kNote,  // `text`.
  };

  Kind kind = Kind::kManual;
  TripRule rule = TripRule::kConsecutiveFailures;
  uint32_t number = 0;
  std::shared_ptr<const std::string> text;

  static Cause Of(Kind kind, uint32_t number = 0);
  static Cause OfRule(const Trip& trip);
  // kManual or kReset.
  static Cause ByHand(Kind kind, const std::string& reason,
                      const std::string& actor);

  static Cause OfNote(std::string note);

  bool by_hand() const { return kind == Kind::kManual || kind == Kind::kReset; }

  std::string ToString(const WindowCounts& counts) const;
};

// " by ACTOR: REASON", without what is empty: what is behind what was done by
// hand.
GRPC_BREAKER_EXPORT std::string ByWhomAndWhy(absl::string_view actor,
                                             absl::string_view reason);

}  // namespace grpc_breaker::internal

#endif  // GRPC_BREAKER_BREAKER_CAUSE_H_
