"""gRPC, Protobuf, Abseil, GoogleTest, CLI11, cpp-httplib, nlohmann-json,
prometheus-cpp and yaml-cpp as installed by Debian, under the labels that they
have upstream, so that BUILD files need not tell them apart.
"""

def write_system_module(repository_ctx, module):
    """Fills a repository with what stands for a module of bazel/system/write.sh.

    Args:
      repository_ctx: of the repository.
      module: its name.
    """

    # Named here so that a change of either is noticed.
    writer, _ = [repository_ctx.path(Label("//bazel/system:" + file)) for file in [
        "write.sh",
        "com_github_grpc_grpc/cc_grpc_library.bzl.tpl",
    ]]
    result = repository_ctx.execute(["bash", writer, module])
    if result.return_code != 0:
        fail("{}: {}".format(module, result.stderr))

def _module_impl(repository_ctx):
    write_system_module(repository_ctx, repository_ctx.attr.module)

def write_system_grpc(repository_ctx):
    """Fills a repository with what stands for gRPC.

    Args:
      repository_ctx: of the repository.
    """
    write_system_module(repository_ctx, "grpc")
    here = Label("//bazel:system.bzl")
    for name in ["grpc_deps.bzl", "grpc_extra_deps.bzl"]:
        repository_ctx.template(
            "bazel/" + name,
            Label("//bazel/system:com_github_grpc_grpc/{}.tpl".format(name)),
            {"%{system.bzl}": "@{}//{}:{}".format(here.workspace_name, here.package, here.name)},
        )

def _rules_impl(repository_ctx):
    """For the three repositories that Bazel itself would download."""
    for path in repository_ctx.attr.files:
        repository_ctx.template(path, Label("//bazel/system:{}/{}.tpl".format(repository_ctx.name, path)))

_module = repository_rule(_module_impl, attrs = {"module": attr.string()})
_grpc = repository_rule(write_system_grpc)
_rules = repository_rule(_rules_impl, attrs = {"files": attr.string_list()})

def _declare(rule, name, **kwargs):
    if not native.existing_rule(name):
        rule(name = name, **kwargs)

def grpc_breaker_system_deps():
    """All that grpc_breaker needs, from the installed packages, offline."""
    _declare(_grpc, "com_github_grpc_grpc")
    _declare(_module, "cli11", module = "cli11")
    _declare(_module, "com_google_absl", module = "abseil-cpp")
    _declare(_module, "com_google_googletest", module = "googletest")
    _declare(_module, "com_google_protobuf", module = "protobuf")
    _declare(_module, "cpp-httplib", module = "cpp-httplib")
    _declare(_module, "nlohmann_json", module = "nlohmann_json")
    _declare(_module, "prometheus-cpp", module = "prometheus-cpp")
    _declare(_module, "yaml-cpp", module = "yaml-cpp")
    _declare(_rules, "remote_coverage_tools", files = ["BUILD.bazel"])
    _declare(_rules, "rules_cc", files = ["BUILD.bazel", "cc/BUILD.bazel", "cc/defs.bzl"])
    _declare(_rules, "rules_java", files = ["BUILD.bazel", "java/BUILD.bazel", "java/defs.bzl"])
