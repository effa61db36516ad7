#!/usr/bin/env bash
# The client gets its greeting although the server fails the first two attempts.
set -euo pipefail

coproc SERVER { "$1"; }
read -r port <&"${SERVER[0]}"
greeting=$("$2" "127.0.0.1:$port")
echo "$greeting"
[[ $greeting == "Hello Bazel" ]]
