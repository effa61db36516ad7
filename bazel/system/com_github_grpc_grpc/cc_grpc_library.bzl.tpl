"""cc_grpc_library on the installed protoc and grpc_cpp_plugin."""

load("@rules_cc//cc:defs.bzl", "cc_library")

def _import_path(proto, proto_info):
    root = proto_info.proto_source_root
    return proto.path[len(root) + 1:] if root != "." else proto.path

def _grpc_code_impl(ctx):
    proto_info = ctx.attr.proto[ProtoInfo]
    headers = []
    sources = []
    directory = None
    for proto in proto_info.direct_sources:
        stem = _import_path(proto, proto_info)[:-len(".proto")]
        header = ctx.actions.declare_file("{}/{}.grpc.pb.h".format(ctx.label.name, stem))
        headers.append(header)
        sources.append(ctx.actions.declare_file("{}/{}.grpc.pb.cc".format(ctx.label.name, stem)))
        directory = header.path[:-len(stem + ".grpc.pb.h") - 1]

    arguments = ctx.actions.args()
    arguments.add("--plugin=protoc-gen-grpc=" + ctx.file._plugin.path)
    arguments.add("--grpc_out=" + directory)
    arguments.add_all(proto_info.transitive_proto_path, format_each = "--proto_path=%s")
    arguments.add_all([_import_path(proto, proto_info) for proto in proto_info.direct_sources])
    ctx.actions.run(
        mnemonic = "GrpcCode",
        executable = ctx.file._protoc,
        tools = [ctx.file._plugin],
        inputs = proto_info.transitive_sources,
        outputs = headers + sources,
        arguments = [arguments],
    )
    return [
        DefaultInfo(files = depset(headers + sources)),
        OutputGroupInfo(headers = depset(headers), sources = depset(sources)),
    ]

_grpc_code = rule(
    implementation = _grpc_code_impl,
    attrs = {
        "proto": attr.label(providers = [ProtoInfo]),
        "_plugin": attr.label(
            allow_single_file = True,
            default = "//src/compiler:grpc_cpp_plugin",
        ),
        "_protoc": attr.label(
            allow_single_file = True,
            default = "@com_google_protobuf//:protoc",
        ),
    },
)

def cc_grpc_library(name, srcs, deps, grpc_only = False, visibility = None, **kwargs):
    """The services of one proto_library.

    Args:
      name: of the cc_library.
      srcs: one proto_library.
      deps: the cc_proto_library of the same.
      grpc_only: must be True; the messages are in deps.
      visibility: as usual.
      **kwargs: for the cc_library.
    """
    if len(srcs) != 1 or not grpc_only:
        fail("cc_grpc_library {}: takes one source, and grpc_only = True".format(name))
    code = name + "_code"
    _grpc_code(name = code, proto = srcs[0])
    for group in ["headers", "sources"]:
        native.filegroup(
            name = "{}_{}".format(code, group),
            srcs = [code],
            output_group = group,
        )
    cc_library(
        name = name,
        srcs = [code + "_sources"],
        hdrs = [code + "_headers"],
        includes = [code],
        visibility = visibility,
        deps = deps + [Label("//:grpc++")],
        **kwargs
    )
