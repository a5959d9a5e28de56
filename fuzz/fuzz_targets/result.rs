//! Any bytes are a result that can be compared with itself, or an error.
#![no_main]

use perfgate::policy::rule::Policy;
use perfgate::policy::{Labels, compare_runs};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(run) = perfgate::record::parse("result.json", bytes) {
        let labels = Labels { baseline: "a", candidate: "b" };
        let comparison = compare_runs(&Policy::standard(), &run, &run, labels);
        assert!(!perfgate::render::html::report(&comparison).unwrap().is_empty());
    }
});
