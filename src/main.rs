//! The `mvault` program.

fn main() -> std::process::ExitCode {
    mvault::cli::main()
}
