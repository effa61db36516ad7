"""Where gRPC and what it brings along come from, for WORKSPACE users."""

load("//bazel:system.bzl", "write_system_grpc")

_GRPC_VERSION = "1.71.0"
_GRPC_INTEGRITY = "sha256-DWMUGeVOxbKd73mGI+479VINrHer6rMoTvcCfsI2P5E="

def _grpc_repository_impl(repository_ctx):
    if repository_ctx.os.environ.get("GRPC_BREAKER_DEPS", "archive") == "system":
        write_system_grpc(repository_ctx)
        return
    repository_ctx.download_and_extract(
        url = "https://github.com/grpc/grpc/archive/v{}.tar.gz".format(_GRPC_VERSION),
        integrity = _GRPC_INTEGRITY,
        stripPrefix = "grpc-" + _GRPC_VERSION,
    )

_grpc_repository = repository_rule(
    implementation = _grpc_repository_impl,
    environ = ["GRPC_BREAKER_DEPS"],
)

def grpc_breaker_deps():
    """Declares @com_github_grpc_grpc unless the workspace has one already.

    It is an archive, or with --repo_env=GRPC_BREAKER_DEPS=system the installed
    packages. Call grpc_deps() and grpc_extra_deps() from it afterwards, as with
    any gRPC.
    """
    if not native.existing_rule("com_github_grpc_grpc"):
        _grpc_repository(name = "com_github_grpc_grpc")
