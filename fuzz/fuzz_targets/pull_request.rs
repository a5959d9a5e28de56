//! The text of a pull request.
#![no_main]

use libfuzzer_sys::fuzz_target;
use perfgate::publish::pull_request::{acceptance_reason, analysis_section, explanation_section};

fuzz_target!(|text: &str| {
    analysis_section(text);
    explanation_section(text);
    acceptance_reason(text);
});
