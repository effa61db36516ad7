"""What gRPC brings along, from the installed packages."""

load("%{system.bzl}", "grpc_breaker_system_deps")

grpc_deps = grpc_breaker_system_deps
