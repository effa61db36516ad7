package(default_visibility = ["//visibility:public"])
%{libraries}
filegroup(
    name = "protoc",
    srcs = ["installed_protoc"],
)

# The library has these already, so no code is generated for them.
proto_lang_toolchain(
    name = "cc_toolchain",
    blacklisted_protos = %{well_known},
    command_line = "--cpp_out=$(OUT)",
    runtime = ":protobuf",
)
