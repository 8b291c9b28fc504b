#!/usr/bin/env bash
# Fuzzes each target for SECONDS: `bash tests/fuzz/run.sh SECONDS [TARGET…]`. Needs a nightly toolchain and
# cargo-fuzz (`cargo install cargo-fuzz`). Prints a line per target; what was found stays in tests/fuzz/artifacts.
set -eu
cd "$(dirname "$0")"
seconds=${1:?usage: run.sh SECONDS [TARGET…]}
shift
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    mapfile -t names < <(sed -n 's/^name = "\(.*\)"$/\1/p' Cargo.toml | grep -vx -e mvault-fuzz -e seeds)
fi
failed=0
for name in "${names[@]}"; do
    mkdir -p "corpus/$name" "../../testdata/fuzz/$name"
    cargo +nightly run --quiet --release --bin seeds -- "$name" "corpus/$name"
    log=$(mktemp)
    # AddressSanitizer costs half the speed and finds little where `unsafe` stands in one place.
    if ! cargo +nightly fuzz run --fuzz-dir . --sanitizer none "$name" "corpus/$name" "../../testdata/fuzz/$name" -- \
        -max_total_time="$seconds" -rss_limit_mb=1500 -timeout=20 -max_len=65536 -print_final_stats=1 >"$log" 2>&1; then
        failed=1
        tail -n 40 "$log"
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    printf '%-16s %10s runs in %s s%s\n' "$name" "${runs:-?}" "$seconds" "$(grep -q '^Test unit written' "$log" && echo ', FOUND SOMETHING' || true)"
    rm -f "$log"
done
exit $failed
