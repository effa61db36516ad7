#ifndef GRPC_BREAKER_EXPORT_H_
#define GRPC_BREAKER_EXPORT_H_

// GRPC_BREAKER_EXPORT stands before each class and function that the shared
// libraries offer to others, or to one another; everything else in them is
// hidden. Types that are wholly inline, such as plain structs of values, do
// without.
//
//   class GRPC_BREAKER_EXPORT CircuitBreaker { ... };
//   GRPC_BREAKER_EXPORT absl::string_view ToString(BreakerState state);

#define GRPC_BREAKER_EXPORT __attribute__((visibility("default")))

#endif  // GRPC_BREAKER_EXPORT_H_
