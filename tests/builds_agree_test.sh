#!/usr/bin/env bash
# Fails when a source, header or proto is known to only one of CMake and Bazel,
# or if their versions differ. Reads the files' text, so it needs neither.
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
# glob over its folder.
names() {
  local path=${2#"${1%/*}/"} folder=
  [[ $path == */* ]] && folder=${path%/*}/
  [[ $path == *.h ]] && grep -qF "glob([\"$folder*.h\"])" "$1" && return
  grep -qE "(^|[[:space:]\"(;])(${path//./\\.}|${path%.*})([[:space:]\");,]|$)" "$1"
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
    # Left out: projects of their own, and the ThreadSanitizer build and the
    # benchmarks, which only CMake has.
    find "$root"/{examples,interceptor,proto,tests,tools} \
      \( -path "$root/examples/bazel_consumer" -o -path "$root/tests/install" -o -path "$root/tests/tsan" -o -path "$root/tests/bench" \) -prune \
      -o \( -name '*.cc' -o -name '*.h' -o -name '*.proto' \) -print | sort
  )
  local cmake_version bazel_version tool_version
  cmake_version=$(sed -nE 's/^ *VERSION ([0-9.]+)$/\1/p' "$root/CMakeLists.txt")
  bazel_version=$(sed -nE '0,/^ *version = "([0-9.]+)",$/s//\1/p' "$root/MODULE.bazel")
  [[ -n $cmake_version && $cmake_version == "$bazel_version" ]] ||
    echo "CMake has version '$cmake_version', Bazel '$bazel_version'"
  tool_version=$(sed -nE 's/.*BREAKERCTL_VERSION=[\\]*"([0-9.]+).*/\1/p' "$root/tools/breakerctl/BUILD.bazel")
  [[ $tool_version == "$cmake_version" ]] ||
    echo "CMake has version '$cmake_version', Bazel's breakerctl '$tool_version'"
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
mkdir -p "$tree"/{examples,interceptor/x,proto,tests,tools/breakerctl}
touch "$tree"/interceptor/x/{both.cc,bazel_only.cc,cmake_only.cc,header.h} "$tree/tests/a_test.cc"
printf 'project(\n  x\n  VERSION 1.0.0\n)\n' >"$tree/CMakeLists.txt"
printf 'module(\n    version = "1.0.1",\n)\n' >"$tree/MODULE.bazel"
printf 'library(core SOURCES x/both.cc\n  x/cmake_only.cc)\n' >"$tree/interceptor/CMakeLists.txt"
printf 'srcs = ["x/both.cc", "x/bazel_only.cc"],\n' >"$tree/interceptor/BUILD.bazel"
printf 'local_defines = ["BREAKERCTL_VERSION=\\\\"0.9.0\\\\""],\n' >"$tree/tools/breakerctl/BUILD.bazel"
printf 'foreach(name a_test)\n' >"$tree/tests/CMakeLists.txt"
printf 'for name in ["a_test"]\n' >"$tree/tests/BUILD.bazel"
expect "planted differences" "CMake does not know interceptor/x/bazel_only.cc
Bazel does not know interceptor/x/cmake_only.cc
Bazel does not know interceptor/x/header.h
CMake has version '1.0.0', Bazel '1.0.1'
CMake has version '1.0.0', Bazel's breakerctl '0.9.0'" "$(differences "$tree")"

expect "CMakeLists.txt and BUILD.bazel" "" "$(differences "$root")"
