"""Where gRPC, what it brings along, and CLI11 come from, for WORKSPACE users."""

load("//bazel:system.bzl", "write_system_grpc", "write_system_module")

_GRPC_VERSION = "1.71.0"
_GRPC_INTEGRITY = "sha256-DWMUGeVOxbKd73mGI+479VINrHer6rMoTvcCfsI2P5E="
_CLI11_VERSION = "2.5.0"
_CLI11_INTEGRITY = "sha256-F+ArTN3C+jSOXb27WCxZo0hvorJDPnCgw7rLhxM0/VU="

def _is_system(repository_ctx):
    return repository_ctx.os.environ.get("GRPC_BREAKER_DEPS", "archive") == "system"

def _grpc_repository_impl(repository_ctx):
    if _is_system(repository_ctx):
        write_system_grpc(repository_ctx)
        return
    repository_ctx.download_and_extract(
        url = "https://github.com/grpc/grpc/archive/v{}.tar.gz".format(_GRPC_VERSION),
        integrity = _GRPC_INTEGRITY,
        stripPrefix = "grpc-" + _GRPC_VERSION,
    )

def _cli11_repository_impl(repository_ctx):
    if _is_system(repository_ctx):
        write_system_module(repository_ctx, "cli11")
        return
    repository_ctx.download_and_extract(
        url = "https://github.com/CLIUtils/CLI11/archive/refs/tags/v{}.tar.gz".format(_CLI11_VERSION),
        integrity = _CLI11_INTEGRITY,
        stripPrefix = "CLI11-" + _CLI11_VERSION,
    )

_grpc_repository = repository_rule(
    implementation = _grpc_repository_impl,
    environ = ["GRPC_BREAKER_DEPS"],
)

_cli11_repository = repository_rule(
    implementation = _cli11_repository_impl,
    environ = ["GRPC_BREAKER_DEPS"],
)

def grpc_breaker_deps():
    """Declares @com_github_grpc_grpc and @cli11 unless the workspace has them.

    They are archives, or with --repo_env=GRPC_BREAKER_DEPS=system the installed
    packages. Call grpc_deps() and grpc_extra_deps() from the former afterwards,
    as with any gRPC. The latter is for breakerctl alone.
    """
    if not native.existing_rule("com_github_grpc_grpc"):
        _grpc_repository(name = "com_github_grpc_grpc")
    if not native.existing_rule("cli11"):
        _cli11_repository(name = "cli11")
