#!/usr/bin/env bash
# Fails when a source, header or proto is known to only one of CMake and Bazel,
# if a layer has other headers or sees other layers in one than in the other, or
# if their versions differ, or those of the modules that are asked for. Reads the
# files' text, so it needs neither.
#
# Usage: builds_agree_test.sh ROOT
set -euo pipefail

# The nearest $2 in the folder of $1 or above.
nearest() {
  local folder=$1
  while folder=${folder%/*}; do
    if [[ -e $folder/$2 ]]; then
      echo "$folder/$2"
      return
    fi
    [[ $folder == */* ]] || return
  done
}

# Whether the build file $1 names the source $2: by its path from there, for a
# program of one source by that path without the extension, or for a header by a
# glob over its folder. A layer has all of its folder, and names public headers
# by their paths below grpc_breaker.
names() {
  local path=${2#"${1%/*}/"} folder=
  [[ $1 == */interceptor/* ]] && path=${path#grpc_breaker/}
  [[ $path == */* ]] && folder=${path%/*}/
  [[ $path == *.h ]] && grep -qF "glob([\"$folder*.h\"])" "$1" && return
  [[ $folder ]] && layers "$1" | grep -qE "^[a-z_]+ ${folder%/}:" && return
  grep -qE "(^|[[:space:]\"(;])(${path//./\\.}|${path%.*})([[:space:]\");,]|$)" "$1"
}

# The layers that a build file declares, each as "name folder: headers: layers".
layers() {
  [[ -e $1 ]] || return 0
  awk -v bazel="$([[ $1 == *.bazel ]] && echo 1)" '
    /breaker_layer\(/ { inside = 1; name = folder = field = ""; split("", list) }
    !inside { next }
    {
      gsub(/#.*|grpc_breaker_layer\(|breaker_layer\(|[][",]/, " ")
      for (i = 1; i <= NF; i++) {
        word = $i
        if (word == ")") continue
        end = sub(/\)$/, "", word)
        if (bazel && $(i + 1) == "=") { field = word; i++ }
        else if (!bazel && word ~ /^[A-Z]+$/) field = word
        else if (!bazel && field == "") { name = folder = word; field = "none" }
        else if (field == "name") { name = word; if (folder == "") folder = word }
        else if (field == "TARGET") name = word
        else if (field == "folder") folder = word
        else if (field == "HEADERS" || field == "hdrs") list["headers"] = list["headers"] " " word
        else if (field == "LAYERS" || field == "layers") list["layers"] = list["layers"] " " word
      }
    }
    /\)/ { print name " " folder ":" list["headers"] ":" list["layers"]; inside = 0 }
  ' "$1" | sort
}

# The modules that files ask for on one line, each as "name version".
bazel_deps() {
  sed -nE 's/^bazel_dep\(name = "([^"]+)", version = "([^"]+)".*/\1 \2/p' "$@"
}

# Prints what only one of the two builds of the tree $1 knows.
differences() {
  local root=$1 file build
  while read -r file; do
    build=$(nearest "$file" BUILD.bazel)
    [[ -n $build ]] && names "$build" "$file" || echo "Bazel does not know ${file#"$root"/}"
    # Headers need no mention in CMake: targets have them by their folders.
    [[ $file == *.h ]] && continue
    build=$(nearest "$file" CMakeLists.txt)
    [[ -n $build ]] && names "$build" "$file" || echo "CMake does not know ${file#"$root"/}"
  done < <(
    # Left out: projects of their own, and what only CMake has: what
    # is for sanitizers, the benchmarks, the test of what it lets layers see.
    find "$root"/{examples,interceptor,proto,tests,tools} \
      \( -path "$root/examples/bazel_consumer" -o -path "$root/tests/install" -o -path "$root/tests/sanitizers" -o -path "$root/tests/bench" -o -path "$root/tests/layers" \) -prune \
      -o \( -name '*.cc' -o -name '*.h' -o -name '*.proto' \) -print | sort
  )
  diff <(layers "$root/interceptor/CMakeLists.txt") <(layers "$root/interceptor/BUILD.bazel") |
    sed -n 's/^</only CMake has the layer/p; s/^>/only Bazel has the layer/p'
  local cmake_version bazel_version tool_version vcpkg_version
  cmake_version=$(sed -nE 's/^ *VERSION ([0-9.]+)$/\1/p' "$root/CMakeLists.txt")
  bazel_version=$(sed -nE '0,/^ *version = "([0-9.]+)",$/s//\1/p' "$root/MODULE.bazel")
  [[ -n $cmake_version && $cmake_version == "$bazel_version" ]] ||
    echo "CMake has version '$cmake_version', Bazel '$bazel_version'"
  tool_version=$(sed -nE 's/.*BREAKERCTL_VERSION=[\\]*"([0-9.]+).*/\1/p' "$root/tools/breakerctl/BUILD.bazel")
  [[ $tool_version == "$cmake_version" ]] ||
    echo "CMake has version '$cmake_version', Bazel's breakerctl '$tool_version'"
  vcpkg_version=$(sed -nE 's/^ *"version-semver": "([0-9.]+)",$/\1/p' "$root/packaging/vcpkg/ports/grpc-breaker/vcpkg.json")
  [[ $vcpkg_version == "$cmake_version" ]] ||
    echo "CMake has version '$cmake_version', vcpkg's port '$vcpkg_version'"
  # A user's example asks for the modules that this one does, and for this one.
  local dep known
  known=$(bazel_deps "$root/MODULE.bazel")$'\n'"grpc_breaker $cmake_version"
  while read -r dep; do
    grep -qxF "$dep" <<<"$known" || echo "MODULE.bazel does not have $dep"
  done < <(bazel_deps "$root"/examples/bazel_consumer/MODULE.bazel "$root/docs/install.md")
}

expect() {
  local what=$1 expected=$2 actual=$3
  if [[ $actual != "$expected" ]]; then
    printf '%s: expected\n%s\nbut got\n%s\n' "$what" "${expected:-nothing}" "${actual:-nothing}" >&2
    exit 1
  fi
}

root=$(realpath "$1")

# The check itself sees each kind of difference.
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/packaging/vcpkg/ports/grpc-breaker "$tree"/{docs,examples/bazel_consumer,interceptor/grpc_breaker/{low,high},proto,tests,tools/x,tools/breakerctl}
touch "$tree"/tools/x/{both.cc,bazel_only.cc,cmake_only.cc,header.h} "$tree/tests/a_test.cc"
touch "$tree"/interceptor/grpc_breaker/{public.h,low/low.cc,low/low.h,high/high.cc}
printf 'project(\n  x\n  VERSION 1.0.0\n)\n' >"$tree/CMakeLists.txt"
printf 'module(\n    version = "1.0.1",\n)\nbazel_dep(name = "grpc", version = "2")\n' >"$tree/MODULE.bazel"
printf 'bazel_dep(name = "%s", version = "%s")\n' grpc 2 protobuf 3 >"$tree/examples/bazel_consumer/MODULE.bazel"
printf 'bazel_dep(name = "%s", version = "%s")\n' grpc 1 grpc_breaker 1.0.0 >"$tree/docs/install.md"
printf 'library(core SOURCES x/both.cc\n  x/cmake_only.cc)\n' >"$tree/tools/CMakeLists.txt"
printf 'srcs = ["x/both.cc", "x/bazel_only.cc"],\n' >"$tree/tools/BUILD.bazel"
cat >"$tree/interceptor/CMakeLists.txt" <<'CMAKE'
grpc_breaker_layer(low HEADERS public.h LIBRARIES absl::time)
grpc_breaker_layer(
  high
  TARGET higher
  HEADERS
  LAYERS low
  LIBRARIES absl::time)
CMAKE
cat >"$tree/interceptor/BUILD.bazel" <<'BAZEL'
breaker_layer(
    name = "low",
    hdrs = ["public.h"],
    deps = ["@com_google_absl//absl/time"],
)
breaker_layer(
    name = "higher",
    hdrs = [],
    folder = "high",
    layers = [
        "lower",
    ],
)
BAZEL
printf 'local_defines = ["BREAKERCTL_VERSION=\\\\"0.9.0\\\\""],\n' >"$tree/tools/breakerctl/BUILD.bazel"
printf '  "version-semver": "0.8.0",\n' >"$tree/packaging/vcpkg/ports/grpc-breaker/vcpkg.json"
printf 'foreach(name a_test)\n' >"$tree/tests/CMakeLists.txt"
printf 'for name in ["a_test"]\n' >"$tree/tests/BUILD.bazel"
expect "planted differences" "CMake does not know tools/x/bazel_only.cc
Bazel does not know tools/x/cmake_only.cc
Bazel does not know tools/x/header.h
only CMake has the layer higher high:: low
only Bazel has the layer higher high:: lower
CMake has version '1.0.0', Bazel '1.0.1'
CMake has version '1.0.0', Bazel's breakerctl '0.9.0'
CMake has version '1.0.0', vcpkg's port '0.8.0'
MODULE.bazel does not have protobuf 3
MODULE.bazel does not have grpc 1" "$(differences "$tree")"

expect "CMakeLists.txt and BUILD.bazel" "" "$(differences "$root")"
