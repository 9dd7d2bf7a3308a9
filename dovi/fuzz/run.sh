#!/usr/bin/env bash
# Runs every fuzz target for FUZZ_SECONDS (600), one after the other, and prints one line for each. Stops at the first
# finding. Seeds, corpora and findings lie below target/fuzz.
#   dovi/fuzz/run.sh [TARGET...]
set -uo pipefail
cd "$(dirname "$0")/../.."
seconds=${FUZZ_SECONDS:-600}
out=target/fuzz
all=(annexb headers rpu sei matroska inject certificate)
declare -A dict=([annexb]=hevc [inject]=hevc [matroska]=matroska [certificate]=json)

need() { echo "fuzzing needs $1; install it with: $2" >&2; exit 3; }
cargo fuzz --version >/dev/null 2>&1 || need cargo-fuzz 'cargo install cargo-fuzz'
cargo +nightly --version >/dev/null 2>&1 || need 'the nightly compiler' 'rustup toolchain install nightly'

mkdir -p "$out/logs" "$out/findings"
cargo run -q --locked -p e2e --bin fuzz-seeds -- "$out/seeds" || exit 1
cargo +nightly fuzz build --fuzz-dir dovi/fuzz --target-dir "$out" >"$out/logs/build.log" 2>&1 ||
  { tail -n 30 "$out/logs/build.log" >&2; exit 1; }

# Freed memory is handed out again soon, so that the sanitizer's own store stays small against the limits.
export ASAN_OPTIONS=quarantine_size_mb=16
[ $# -gt 0 ] || set -- "${all[@]}"
for target; do
  log=$out/logs/$target.log
  mkdir -p "$out/corpus/$target"
  words=${dict[$target]:+-dict=dovi/fuzz/dict/${dict[$target]}.dict}
  # 64 MiB for one allocation and, counted by the target itself, for all live ones of an input. The limit on the whole
  # process leaves room for libFuzzer's corpus and the sanitizer's shadow.
  if ! "$out/x86_64-unknown-linux-gnu/release/$target" "$out/corpus/$target" "$out/seeds/$target" ${words:+"$words"} \
    -max_total_time="$seconds" -timeout=10 -malloc_limit_mb=64 -rss_limit_mb=1024 \
    -artifact_prefix="$out/findings/$target-" -print_final_stats=1 >"$log" 2>&1; then
    grep -m 1 -A 2 -E 'panicked at|bytes live|ERROR: ' "$log" >&2 || tail -n 30 "$log" >&2
    input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    echo "$target: a finding: ${input:-no input was kept}; the whole story is in $log" >&2
    exit 1
  fi
  awk -v target="$target" '
    /^#[0-9]+/ { for (i = 1; i < NF; i++) { if ($i == "cov:") cov = $(i + 1); if ($i == "corp:") corp = $(i + 1) } }
    /^peak live heap/ { peak = $4 }
    /^stat::number_of_executed_units/ { runs = $2 }
    /^stat::slowest_unit_time_sec/ { slow = $2 }
    /^stat::peak_rss_mb/ { rss = $2 }
    END { printf "%-12s %10d runs  %5d edges  corpus %-12s heap %6d KiB  process %4d MB  slowest %d s\n",
          target, runs, cov, corp, peak, rss, slow }' "$log"
done
