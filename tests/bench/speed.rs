//! mvault against git, side by side in one run: `cargo bench --bench speed -- [GROUP…] [--write]`.
//!
//! Everything is in the module `bench`, which the test suite runs at a small scale, so that it never rots.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    missing_docs
)]

#[path = "mod.rs"]
mod bench;
#[path = "../support/mod.rs"]
mod support;

fn main() -> std::process::ExitCode {
    bench::main()
}
