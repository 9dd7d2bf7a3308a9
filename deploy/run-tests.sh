#!/usr/bin/env bash
# Runs every test of the workspace, also after a failure, and closes with one line: "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT

cargo test --locked --workspace --no-fail-fast "$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}

# A test program that does not build or dies prints no result of its own; it counts as one failure.
awk -v status="$status" '
  /^test result: / { passed += $4; failed += $6 }
  END {
    if (status && !failed) failed = 1
    printf "%d passed, %d failed\n", passed, failed
  }' "$log"
exit "$status"
