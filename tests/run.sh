#!/usr/bin/env bash
# Sets up what the tests need, then formats, lints and runs everything. Needs a Rust toolchain with
# rustfmt and clippy, a C compiler and git; what else is missing is installed by the system's package
# manager (as root, or through sudo).
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --check
cargo clippy --all-targets --locked -- -D warnings
cargo test --locked
