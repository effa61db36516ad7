"""Where gRPC, what it brings along, and a few small libraries come from, for
WORKSPACE users."""

load("//bazel:system.bzl", "write_system_grpc", "write_system_module")

# By the names of their repositories.
_ARCHIVES = {
    "cli11": struct(
        url = "https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.5.0.tar.gz",
        integrity = "sha256-F+ArTN3C+jSOXb27WCxZo0hvorJDPnCgw7rLhxM0/VU=",
        prefix = "CLI11-2.5.0",
    ),
    "com_github_grpc_grpc": struct(
        url = "https://github.com/grpc/grpc/archive/v1.71.0.tar.gz",
        integrity = "sha256-DWMUGeVOxbKd73mGI+479VINrHer6rMoTvcCfsI2P5E=",
        prefix = "grpc-1.71.0",
    ),
    "cpp-httplib": struct(
        url = "https://github.com/yhirose/cpp-httplib/archive/refs/tags/v0.41.0.tar.gz",
        integrity = "sha256-bTimt06jOsMTO4NS8rVbVXwdQvNuHtDAH4UuMhgynTk=",
        prefix = "cpp-httplib-0.41.0",
        build_file = """
load("@rules_cc//cc:defs.bzl", "cc_library")

cc_library(
    name = "cpp-httplib",
    hdrs = ["httplib.h"],
    includes = ["."],
    visibility = ["//visibility:public"],
)
""",
    ),
    "nlohmann_json": struct(
        url = "https://github.com/nlohmann/json/archive/refs/tags/v3.11.3.tar.gz",
        integrity = "sha256-DY71r3+XlOMmNIAZPEkVSbK6bMdLsBiQYgKtpJinlAY=",
        prefix = "json-3.11.3",
    ),
    "prometheus-cpp": struct(
        url = "https://github.com/jupp0r/prometheus-cpp/releases/download/v1.3.0/prometheus-cpp-with-submodules.tar.gz",
        integrity = "sha256-YrwsyXctsjFNuq5QauKnXI7ol9qwU9hynoamN7AY/bY=",
        prefix = "prometheus-cpp-with-submodules",
    ),
    "yaml-cpp": struct(
        url = "https://github.com/jbeder/yaml-cpp/archive/refs/tags/0.8.0.tar.gz",
        integrity = "sha256-++dLvc7iHWVnFWiHBto8i+z9lG2SzURwXMYJi7I7OhY=",
        prefix = "yaml-cpp-0.8.0",
    ),
}

def _repository_impl(repository_ctx):
    module = repository_ctx.attr.module
    if repository_ctx.os.environ.get("GRPC_BREAKER_DEPS", "archive") != "system":
        archive = _ARCHIVES[module]
        repository_ctx.download_and_extract(
            url = archive.url,
            integrity = archive.integrity,
            stripPrefix = archive.prefix,
        )
        if hasattr(archive, "build_file"):
            repository_ctx.file("BUILD.bazel", archive.build_file)
    elif module == "com_github_grpc_grpc":
        write_system_grpc(repository_ctx)
    else:
        write_system_module(repository_ctx, module)

_repository = repository_rule(
    implementation = _repository_impl,
    # The name that repository_ctx has may be another one.
    attrs = {"module": attr.string()},
    environ = ["GRPC_BREAKER_DEPS"],
)

def grpc_breaker_deps():
    """Declares @com_github_grpc_grpc and what else is needed unless it is there.

    They are archives, or with --repo_env=GRPC_BREAKER_DEPS=system the installed
    packages. Call grpc_deps() and grpc_extra_deps() from the former afterwards,
    as with any gRPC. @cli11 is for breakerctl alone, @nlohmann_json and
    @yaml-cpp for //interceptor:config_file, @cpp-httplib for
    //interceptor:dashboard, and @prometheus-cpp for //interceptor:prometheus: who builds that from the archive calls its
    prometheus_cpp_repositories() as well.
    """
    for name in _ARCHIVES:
        if not native.existing_rule(name):
            _repository(name = name, module = name)
