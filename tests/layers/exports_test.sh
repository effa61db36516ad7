#!/usr/bin/env bash
# Fails when a library uses a symbol that another one hides: they would link as
# static libraries only.
#
# Usage: exports_test.sh ARCHIVE...
set -euo pipefail

# Each global symbol as "defined|hidden|used ARCHIVE NAME".
symbols() {
  local archive
  for archive in "$@"; do
    readelf -sW "$archive" | awk -v archive="$(basename "$archive")" '
      $5 != "GLOBAL" && $5 != "WEAK" { next }
      $7 == "UND" { print "used", archive, $8; next }
      { print ($6 == "HIDDEN" ? "hidden" : "defined"), archive, $8 }'
  done | sort -u
}

symbols "$@" | awk '
  $1 == "hidden" { hidden[$3] = $2; next }
  $1 == "used" && ($3 in hidden) && hidden[$3] != $2 {
    print $2 " uses what " hidden[$3] " does not export: " $3
    bad = 1
  }
  { seen++ }
  END {
    if (!seen) { print "no symbols seen"; bad = 1 }
    exit bad
  }' | c++filt
