//! What every target is to libFuzzer: its name is the name of the program.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mvault_fuzz::run(env!("CARGO_BIN_NAME"), data));
