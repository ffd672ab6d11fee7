#![no_main]
//! A spool file of any bytes is read without a panic, and what was read is what would be written.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    tracing_posthog::__fuzz::spool_file(bytes);
});
