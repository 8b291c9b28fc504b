#!/usr/bin/env bash
# Runs every check there is: format, lints, all tests, doc tests. Needs a Rust toolchain with rustfmt and
# clippy and a C compiler. Programs that tests talk to (sshd and ssh, git, strace on Linux) are installed
# by the system's package manager when they are missing, as root or through sudo.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        echo "cannot run '$*': not root, and there is no sudo. Install it yourself and run this again." >&2
        exit 1
    fi
}

# has PROGRAM: also in the folders of administrators, which are not on everybody's PATH.
has() { PATH="$PATH:/usr/sbin:/sbin:/usr/local/sbin" command -v "$1" >/dev/null 2>&1; }

install_packages() {
    if has apt-get; then
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" ||
            { as_root apt-get update && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; }
    elif has dnf; then
        as_root dnf install -y "$@"
    elif has pacman; then
        as_root pacman -S --needed --noconfirm "${@/openssh-*/openssh}"
    elif has apk; then
        as_root apk add "${@/openssh-client/openssh-client-default}"
    elif has brew; then
        brew install "${@/openssh-*/openssh}"
    else
        echo "no package manager of apt-get, dnf, pacman, apk, brew is here." >&2
        echo "Install these and run this again: $*" >&2
        exit 1
    fi
}

missing=()
has git || missing+=(git)
has sshd || missing+=(openssh-server)
if ! has ssh || ! has ssh-keygen; then
    if has dnf; then missing+=(openssh-clients); else missing+=(openssh-client); fi
fi
if [ "$(uname -s)" = Linux ] && ! has strace; then missing+=(strace); fi
if [ ${#missing[@]} -gt 0 ]; then
    say "installing ${missing[*]}"
    install_packages "${missing[@]}"
fi

say "format"
cargo fmt --check

say "lints"
cargo clippy --all-targets --locked -- -D warnings

# Tests that kill the program at each of its system calls want the optimized one; one build serves all.
say "optimized program for the tests"
cargo build --profile tested --locked --bin mvault
MVAULT_TESTED_BINARY="$(cargo metadata --format-version 1 --no-deps --locked |
    sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')/tested/mvault"
export MVAULT_TESTED_BINARY

# Tests by chance roll the same dice each time here, so that a change is judged by what it changes. Another
# seed, and more cases: PROPTEST_RNG_SEED=N PROPTEST_CASES=N.
export PROPTEST_RNG_SEED="${PROPTEST_RNG_SEED:-20261130}"

say "tests"
cargo test --locked

say "documentation"
RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --locked --no-deps --quiet

say "all is well"
