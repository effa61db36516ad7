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
// How many attempts went on the wire, if more than one.
inline constexpr char kAttemptsKey[] = "breaker-attempts";

}  // namespace grpc_breaker

#endif  // GRPC_BREAKER_TRAILING_METADATA_H_
