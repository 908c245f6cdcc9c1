#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| roomtone_fuzz::take(bytes));
