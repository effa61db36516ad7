#!/usr/bin/env bash
# Writes what stands for a module: the packages installed by Debian, under the
# labels that they have upstream, so that BUILD files need not tell them apart.
#
# Usage: write.sh MODULE         writes abseil-cpp, cli11, cpp-httplib,
#                                googletest, grpc, nlohmann_json,
#                                prometheus-cpp, protobuf or yaml-cpp into the
#                                current folder; for ../system.bzl
#        write.sh --all FOLDER   writes each into a folder of its own in FOLDER,
#                                and FOLDER/bazelrc, by which Bazel finds them
set -euo pipefail

die() {
  echo "$*" >&2
  exit 1
}

here=$(cd "$(dirname "$0")" && pwd)

# module NAME [STATEMENT...]
module() {
  printf 'module(name = "%s")\n\n' "$1" >MODULE.bazel
  printf '%s\n' "${@:2}" 'bazel_dep(name = "rules_cc")' >>MODULE.bazel
}

# cc_library PACKAGE NAME MODULE [OPTION...]: a library with the linker options of
# the pkg-config module, or with those that follow.
cc_library() {
  local build=$1/BUILD.bazel libs=${*:4} options
  [[ $libs ]] || libs=$(pkg-config --libs "$3") ||
    die "pkg-config does not know $3; is its -dev package installed?"
  read -ra options <<<"$libs"
  mkdir -p "$1"
  [[ -e $build ]] || echo 'load("@rules_cc//cc:defs.bzl", "cc_library")' >"$build"
  cat >>"$build" <<BUILD

cc_library(
    name = "$2",
    linkopts = [$([[ ${#options[@]} == 0 ]] || printf '"%s", ' "${options[@]}")],
    visibility = ["//visibility:public"],
)
BUILD
}

# Labels, and their pkg-config modules where those are not absl_<target>.
abseil-cpp() {
  # As upstream; and so all are in the graph of any module that needs one.
  module abseil-cpp 'bazel_dep(name = "googletest")'
  local label name target
  while read -r label name; do
    target=${label##*[:/]}
    cc_library "${label%:*}" "$target" "absl_${name:-$target}"
  done <<'TABLE'
absl/algorithm:container algorithm_container
absl/base
absl/base:config
absl/base:core_headers
absl/base:log_severity
absl/cleanup
absl/container:btree
absl/container:fixed_array
absl/container:flat_hash_map
absl/container:flat_hash_set
absl/container:inlined_vector
absl/container:node_hash_map
absl/container:node_hash_set
absl/debugging:failure_signal_handler
absl/debugging:symbolize
absl/flags:flag flags
absl/flags:parse flags_parse
absl/flags:usage flags_usage
absl/functional:any_invocable
absl/functional:bind_front
absl/functional:function_ref
absl/hash
absl/memory
absl/meta:type_traits
absl/numeric:bits
absl/numeric:int128
absl/random random_random
absl/random:distributions random_distributions
absl/status
absl/status:statusor
absl/strings
absl/strings:cord
absl/strings:str_format
absl/strings:string_view strings
absl/synchronization
absl/time
absl/types:optional
absl/types:span
absl/types:variant
absl/utility
TABLE
}

cli11() {
  module cli11
  cc_library . cli11 CLI11
}

cpp-httplib() {
  module cpp-httplib
  cc_library . cpp-httplib cpp-httplib
  # The header has to be told what Debian's library was built with.
  local flag defines=''
  for flag in $(pkg-config --cflags-only-other cpp-httplib); do
    defines+="\"${flag#-D}\", "
  done
  sed -i "s|^    linkopts|    defines = [$defines],\n&|" BUILD.bazel
}

googletest() {
  module googletest
  cc_library . gtest gmock
  cc_library . gtest_main gmock_main
}

nlohmann_json() {
  module nlohmann_json
  cc_library . json nlohmann_json
}

prometheus-cpp() {
  module prometheus-cpp
  cc_library core core prometheus-cpp-core
  cc_library pull pull prometheus-cpp-pull
  mkdir bazel
  touch bazel/BUILD.bazel
  cat >bazel/repositories.bzl <<'BZL'
def prometheus_cpp_repositories():
    """All is installed."""
BZL
}

yaml-cpp() {
  module yaml-cpp
  cc_library . yaml-cpp yaml-cpp
}

protobuf() {
  module protobuf
  cc_library . protobuf protobuf
  local name well_known=''
  mkdir google bazel
  ln -s /usr/include/google/protobuf google/protobuf
  ln -s "$(command -v protoc)" installed_protoc
  for name in any descriptor duration empty field_mask struct timestamp wrappers; do
    well_known+="\":${name}_proto\", "
    cat >>BUILD.bazel <<BUILD

proto_library(
    name = "${name}_proto",
    srcs = ["google/protobuf/$name.proto"],
    visibility = ["//visibility:public"],
)
BUILD
  done
  cat >>BUILD.bazel <<BUILD

filegroup(
    name = "protoc",
    srcs = ["installed_protoc"],
    visibility = ["//visibility:public"],
)

# The library has these already, so no code is generated for them.
proto_lang_toolchain(
    name = "cc_toolchain",
    blacklisted_protos = [$well_known],
    command_line = "--cpp_out=\$(OUT)",
    runtime = ":protobuf",
    visibility = ["//visibility:public"],
)
BUILD
  touch bazel/BUILD.bazel
  for name in cc_proto_library proto_library; do
    echo "$name = native.$name" >"bazel/$name.bzl"
  done
}

grpc() {
  module grpc 'bazel_dep(name = "protobuf", repo_name = "com_google_protobuf")'
  cc_library . grpc++ grpc++
  # These have no pkg-config modules.
  cc_library . grpc++_reflection - -lgrpc++_reflection
  cc_library . grpcpp_channelz - -lgrpcpp_channelz
  mkdir -p bazel src/compiler
  ln -s "$(command -v grpc_cpp_plugin)" src/compiler/installed_grpc_cpp_plugin
  cat >src/compiler/BUILD.bazel <<'BUILD'
filegroup(
    name = "grpc_cpp_plugin",
    srcs = ["installed_grpc_cpp_plugin"],
    visibility = ["//visibility:public"],
)
BUILD
  touch bazel/BUILD.bazel
  cp "$here/com_github_grpc_grpc/cc_grpc_library.bzl.tpl" bazel/cc_grpc_library.bzl
}

# Named by Bazel's own tools, and not used.
apple_support() { module apple_support; }
zlib() { module zlib; }
buildozer() {
  module buildozer
  touch BUILD.bazel
  cat >buildozer_binary.bzl <<'BZL'
_repository = repository_rule(lambda repository_ctx: repository_ctx.file("BUILD.bazel"))
buildozer_binary = module_extension(lambda _: _repository(name = "buildozer_binary"))
BZL
}

# Debian tells Bazel itself where its packages of rules are.
all() {
  local folder=$1 name
  rm -rf "$folder"
  mkdir -p "$folder"
  folder=$(cd "$folder" && pwd)
  # Without these Bazel would look for modules, and for what it once had built
  # in, on the network.
  printf 'common --%s\n' lockfile_mode=off noenable_workspace >"$folder/bazelrc"
  for name in abseil-cpp cli11 cpp-httplib googletest grpc nlohmann_json prometheus-cpp \
    protobuf yaml-cpp apple_support buildozer zlib; do
    mkdir "$folder/$name"
    (cd "$folder/$name" && "$name")
    echo "common --override_module=$name=$folder/$name" >>"$folder/bazelrc"
  done
}

case ${1-} in
  abseil-cpp | cli11 | cpp-httplib | googletest | grpc | nlohmann_json | prometheus-cpp | \
    protobuf | yaml-cpp) "$1" ;;
  --all) all "$2" ;;
  *) die "unknown module ${1-}" ;;
esac
