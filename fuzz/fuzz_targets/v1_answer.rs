#![no_main]
//! An answer of capture v1 of any bytes is read without a panic, and gives each event one fate.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    tracing_posthog::__fuzz::v1_answer(bytes);
});
