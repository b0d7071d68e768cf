//! `cargo xtask fuzz loader`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stepwell_fuzz::loader(data));
