#!/bin/sh
# Writes a C++ source that has the files of the page as constants; page.h
# declares them.
#
# Usage: embed.sh page.html page.css page.js >page.cc
set -eu

# constant NAME FILE. Some compilers take no longer literals than 64 KiB, so they
# are cut between lines.
constant() {
  printf 'const char %s[] =\n' "$1"
  awk '
    NR == 1 || size + length($0) > 16000 {
      if (NR > 1) printf ")page\"\n"
      printf "R\"page("
      size = 0
    }
    { print; size += length($0) + 1 }
    END { printf ")page\";\n" }' "$2"
}

echo '#include "grpc_breaker/dashboard/page.h"'
echo 'namespace grpc_breaker::internal {'
constant kPageHtml "$1"
constant kPageStyle "$2"
constant kPageScript "$3"
echo '}  // namespace grpc_breaker::internal'
