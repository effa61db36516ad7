"""gRPC, Protobuf, Abseil and GoogleTest as installed by Debian, under the
labels that they have upstream, so that BUILD files need not tell them apart.
"""

# Debian's pkg-config modules of Abseil by label: "package:target", or "package"
# for the target named like it. The module is absl_<target> unless given.
_ABSL = {
    "absl/algorithm:container": "algorithm_container",
    "absl/base": "",
    "absl/base:config": "",
    "absl/base:core_headers": "",
    "absl/cleanup": "",
    "absl/container:btree": "",
    "absl/container:fixed_array": "",
    "absl/container:flat_hash_map": "",
    "absl/container:flat_hash_set": "",
    "absl/container:inlined_vector": "",
    "absl/container:node_hash_map": "",
    "absl/container:node_hash_set": "",
    "absl/debugging:failure_signal_handler": "",
    "absl/debugging:symbolize": "",
    "absl/flags:flag": "flags",
    "absl/flags:parse": "flags_parse",
    "absl/flags:usage": "flags_usage",
    "absl/functional:any_invocable": "",
    "absl/functional:bind_front": "",
    "absl/functional:function_ref": "",
    "absl/hash": "",
    "absl/memory": "",
    "absl/meta:type_traits": "",
    "absl/numeric:bits": "",
    "absl/numeric:int128": "",
    "absl/random": "random_random",
    "absl/random:distributions": "random_distributions",
    "absl/status": "",
    "absl/status:statusor": "",
    "absl/strings": "",
    "absl/strings:cord": "",
    "absl/strings:str_format": "",
    "absl/strings:string_view": "strings",
    "absl/synchronization": "",
    "absl/time": "",
    "absl/types:optional": "",
    "absl/types:span": "",
    "absl/types:variant": "",
    "absl/utility": "",
}

_PROTOBUF_WELL_KNOWN = ["any", "descriptor", "duration", "empty", "struct", "timestamp", "wrappers"]

_CC_LIBRARY = """
cc_library(
    name = "{name}",
    linkopts = {linkopts},
    visibility = ["//visibility:public"],
)
"""

def _linkopts(repository_ctx, module):
    result = repository_ctx.execute(["pkg-config", "--libs", module])
    if result.return_code != 0:
        fail("pkg-config does not know {}; is its -dev package installed? {}".format(module, result.stderr))
    return result.stdout.strip().split(" ")

def _cc_library(repository_ctx, name, module = None, linkopts = None):
    return _CC_LIBRARY.format(
        name = name,
        linkopts = linkopts or _linkopts(repository_ctx, module),
    )

def _template(repository_ctx, path, substitutions = {}):
    """Writes `path` from bazel/system/<repository>/<path>.tpl."""
    repository_ctx.template(
        path,
        Label("//bazel/system:{}/{}.tpl".format(repository_ctx.name, path)),
        substitutions,
    )

def _absl_impl(repository_ctx):
    packages = {}
    for label, module in _ABSL.items():
        package, _, target = label.partition(":")
        target = target or package.split("/")[-1]
        packages.setdefault(package, []).append(
            _cc_library(repository_ctx, target, "absl_" + (module or target)),
        )
    for package, targets in packages.items():
        repository_ctx.file(package + "/BUILD.bazel", "".join(targets))

def _googletest_impl(repository_ctx):
    repository_ctx.file(
        "BUILD.bazel",
        _cc_library(repository_ctx, "gtest", "gmock") +
        _cc_library(repository_ctx, "gtest_main", "gmock_main"),
    )

def _protobuf_impl(repository_ctx):
    build = [_cc_library(repository_ctx, "protobuf", "protobuf")]
    for name in _PROTOBUF_WELL_KNOWN:
        proto = "google/protobuf/{}.proto".format(name)
        repository_ctx.symlink("/usr/include/" + proto, proto)
        build.append("""
proto_library(
    name = "{name}_proto",
    srcs = ["{proto}"],
    visibility = ["//visibility:public"],
)
""".format(name = name, proto = proto))
    repository_ctx.symlink(repository_ctx.which("protoc"), "installed_protoc")
    _template(repository_ctx, "BUILD.bazel", {
        "%{libraries}": "".join(build),
        "%{well_known}": repr([":{}_proto".format(name) for name in _PROTOBUF_WELL_KNOWN]),
    })
    for rule in ["cc_proto_library", "proto_library"]:
        repository_ctx.file("bazel/{}.bzl".format(rule), "{0} = native.{0}\n".format(rule))
    repository_ctx.file("bazel/BUILD.bazel")

def write_system_grpc(repository_ctx):
    """Fills a repository with what stands for gRPC.

    Args:
      repository_ctx: of the repository.
    """
    repository_ctx.file(
        "BUILD.bazel",
        _cc_library(repository_ctx, "grpc++", "grpc++") +
        # These have no pkg-config modules.
        _cc_library(repository_ctx, "grpc++_reflection", linkopts = ["-lgrpc++_reflection"]) +
        _cc_library(repository_ctx, "grpcpp_channelz", linkopts = ["-lgrpcpp_channelz"]),
    )
    repository_ctx.symlink(repository_ctx.which("grpc_cpp_plugin"), "src/compiler/installed_grpc_cpp_plugin")
    repository_ctx.file("src/compiler/BUILD.bazel", """
filegroup(
    name = "grpc_cpp_plugin",
    srcs = ["installed_grpc_cpp_plugin"],
    visibility = ["//visibility:public"],
)
""")
    repository_ctx.file("bazel/BUILD.bazel")
    here = Label("//bazel:system.bzl")
    for name in ["cc_grpc_library.bzl", "grpc_deps.bzl", "grpc_extra_deps.bzl"]:
        repository_ctx.template(
            "bazel/" + name,
            Label("//bazel/system:com_github_grpc_grpc/{}.tpl".format(name)),
            {"%{system.bzl}": "@{}//{}:{}".format(here.workspace_name, here.package, here.name)},
        )

def _rules_impl(repository_ctx):
    """For the three repositories that Bazel itself would download."""
    for path in repository_ctx.attr.files:
        _template(repository_ctx, path)

_absl = repository_rule(_absl_impl)
_googletest = repository_rule(_googletest_impl)
_protobuf = repository_rule(_protobuf_impl)
_grpc = repository_rule(write_system_grpc)
_rules = repository_rule(_rules_impl, attrs = {"files": attr.string_list()})

def _declare(rule, name, **kwargs):
    if not native.existing_rule(name):
        rule(name = name, **kwargs)

def grpc_breaker_system_deps():
    """All that grpc_breaker needs, from the installed packages, offline."""
    _declare(_grpc, "com_github_grpc_grpc")
    _declare(_absl, "com_google_absl")
    _declare(_googletest, "com_google_googletest")
    _declare(_protobuf, "com_google_protobuf")
    _declare(_rules, "remote_coverage_tools", files = ["BUILD.bazel"])
    _declare(_rules, "rules_cc", files = ["BUILD.bazel", "cc/BUILD.bazel", "cc/defs.bzl"])
    _declare(_rules, "rules_java", files = ["BUILD.bazel", "java/BUILD.bazel", "java/defs.bzl"])
