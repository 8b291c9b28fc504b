//! The `mvault` program.

fn main() {}
