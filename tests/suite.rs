//! Everything that is tested from outside the crate, in one binary.

// Tests look at files from outside mvault; the library goes through `mvault::fs`.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod agent;
mod bench;
#[path = "bench/tests.rs"]
mod bench_tests;
mod beside;
mod bundles;
mod cli;
mod concurrency;
mod crash;
#[path = "fuzz/src/lib.rs"]
mod fuzz;
mod fuzzing;
mod gateway;
mod generated;
mod git;
mod sessions;
mod ssh;
mod support;
mod tidy;
mod two_weeks;
