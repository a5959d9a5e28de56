//! Any bytes are a chunk or an error; what fits another event's pattern says what the parser would have said.
#![no_main]

use perfgate::load::chunk::{Pattern, read_chunk};

libfuzzer_sys::fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (first, second) = input;
    let Ok(chunk) = read_chunk(&first) else { return };
    let Some(pattern) = Pattern::of(&first, &chunk) else { return };
    assert_eq!(pattern.has_text(&first), Some(chunk.has_text));
    if let Some(has_text) = pattern.has_text(&second) {
        let parsed = read_chunk(&second).expect("it fits a chunk");
        assert_eq!((parsed.has_text, parsed.is_last, parsed.usage), (has_text, false, None));
    }
});
