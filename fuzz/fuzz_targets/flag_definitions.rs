#![no_main]
//! Definitions of flags of any bytes are read and evaluated without a panic, and both ways to evaluate agree.

use std::time::SystemTime;
use tracing_posthog::{EvaluationContext, FlagDefinitions};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(definitions) = FlagDefinitions::parse(bytes) else {
        return;
    };
    let context = EvaluationContext::new("user_42")
        .person("plan", "pro")
        .person("seats", 40)
        .group("company", "acme");
    let now = SystemTime::UNIX_EPOCH;
    definitions.evaluate_all(&context, now, |key, decision| {
        assert_eq!(definitions.evaluate(key, &context, now), Some(decision));
        if let Ok(value) = decision.value() {
            definitions.payload(key, value);
        }
    });
    for (key, _) in definitions.undecidable() {
        assert!(definitions.evaluate(key, &context, now).is_some());
    }
});
