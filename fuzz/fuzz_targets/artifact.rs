//! The artifact of a fork's run.
#![no_main]

use libfuzzer_sys::fuzz_target;
use perfgate::publish::artifact::{comparison_of, comparison_text};

fuzz_target!(|bytes: &[u8]| {
    let _zip = comparison_text(bytes.to_vec());
    let _comparison = comparison_of(bytes);
});
