//! The text of a pull request.
#![no_main]

use libfuzzer_sys::fuzz_target;
use perfgate::publish::pull_request::{acceptance_reason, section};

fuzz_target!(|text: &str| {
    section(text, "perfgate analysis");
    section(text, "perfgate explanation");
    acceptance_reason(text);
});
