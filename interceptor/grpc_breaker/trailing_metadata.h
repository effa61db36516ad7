#ifndef GRPC_BREAKER_TRAILING_METADATA_H_
#define GRPC_BREAKER_TRAILING_METADATA_H_

// What the library adds to the trailing metadata that the application sees, in
// ClientContext::GetServerTrailingMetadata(). None of it travels on the wire.

namespace grpc_breaker {

// The breaker refused the call: ToString(RejectionReason).
inline constexpr char kRejectedKey[] = "breaker-rejected";
// With it: when it makes sense to call again, in whole milliseconds, rounded
// up.
inline constexpr char kRetryAfterKey[] = "breaker-retry-after-ms";

// Of each call that did not succeed at once; CallHistoryOf(context) reads
// these.
//
// How many attempts went on the wire.
inline constexpr char kAttemptsKey[] = "breaker-attempts";
// Their codes, and before each the delay in whole milliseconds:
// "UNAVAILABLE;0,OK;1000".
inline constexpr char kAttemptHistoryKey[] = "breaker-attempt-history";
// Why there were no more: ToString(StopReason).
inline constexpr char kStoppedKey[] = "breaker-stopped";

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_TRAILING_METADATA_H_
