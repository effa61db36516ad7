#!/usr/bin/env bash
# Counts the instructions of one operation on each path of a program -- of the
# breaker, a call, a message of a stream -- with callgrind, which gives the same
# number on a busy machine as on a quiet one.
#
# Usage: instructions.sh PROGRAM FILE [--write]
#
# Compares with FILE and fails if a path takes more than 5 % more than there;
# --write writes FILE anew.
set -euo pipefail

[[ $# == 2 || ($# == 3 && $3 == --write) ]] || {
  sed -n '2,/^set/{s/^# \{0,1\}//;/^set/d;p}' "$0" >&2
  exit 2
}
program=$1 file=$2 write=${3-}
command -v valgrind >/dev/null || {
  echo "instructions.sh: needs valgrind" >&2
  exit 2
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# All instructions of a run with $2 operations on the path $1.
instructions() {
  valgrind --tool=callgrind --callgrind-out-file=/dev/null \
    --log-file="$folder/log" "$program" "$1" "$2" ||
    { echo "instructions.sh: $program $1 $2 failed" >&2; exit 1; }
  sed -nE 's/.*Collected : ([0-9]+)$/\1/p' "$folder/log"
}

measure() {
  local path short long
  echo "# Instructions per operation: GCC 12, Release, x86-64. Written by instructions.sh."
  for path in $("$program" --list); do
    short=$(instructions "$path" 1000)
    long=$(instructions "$path" 11000)
    echo "$path $(((long - short + 5000) / 10000))"
  done
}

measure >"$folder/now"
if [[ $write ]]; then
  cp "$folder/now" "$file"
  cat "$file"
  exit
fi

awk '
  /^#/ { next }
  FNR == NR { before[$1] = $2; next }
  {
    if (!($1 in before)) { print $1 ": not in the file"; failed = 1; next }
    more = 100 * ($2 - before[$1]) / before[$1]
    printf "%-28s %5d  (%d before, %+.1f %%)\n", $1, $2, before[$1], more
    if (more > 5) { print $1 ": more than 5 % more instructions"; failed = 1 }
    delete before[$1]
  }
  END {
    for (path in before) { print path ": in the file, but no longer measured"; failed = 1 }
    exit failed
  }' "$file" "$folder/now"
