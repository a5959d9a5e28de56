//! Any split of the bytes gives the same events.
#![no_main]

use libfuzzer_sys::fuzz_target;
use perfgate::load::sse::SseParser;

fn events(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut events = Vec::new();
    let mut parser = SseParser::default();
    for piece in pieces {
        if parser.feed(piece, |data| events.push(data.to_vec())).is_err() {
            return events;
        }
    }
    parser.finish(|data| events.push(data.to_vec()));
    events
}

fuzz_target!(|input: (Vec<u8>, usize)| {
    let (bytes, cut) = input;
    let (first, second) = bytes.split_at(cut.min(bytes.len()));
    assert_eq!(events(&[first, second]), events(&[&bytes]));
});
