//! Any bytes are a result that can be judged by all kinds of evidence, or an error.
#![no_main]

use perfgate::compare::ComparisonInputs;
use perfgate::policy::{Labels, ThisLook, compare_evidence};
use perfgate::policy::rule::Policy;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let ledger = perfgate::record::parse_ledger("ledger.jsonl", bytes).unwrap_or_default();
    if let Ok(run) = perfgate::record::parse("result.json", bytes) {
        for pairs in [None, Some((&run, &run))] {
            let given = ComparisonInputs { stored: Some((&run, &run)), pairs, ledger: &ledger, ..ComparisonInputs::default() };
            let comparison = compare_evidence(&Policy::standard(), &given, Labels::default(), ThisLook::ONLY);
            assert!(!perfgate::render::html::report(&comparison).unwrap().is_empty());
        }
    }
});
