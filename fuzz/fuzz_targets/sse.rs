//! Any split of the bytes gives the same events.
#![no_main]

use libfuzzer_sys::fuzz_target;
use perfgate::load::sse::{Event, Kind, SseParser};

fn events(pieces: &[&[u8]]) -> Vec<(Vec<u8>, Kind)> {
    let kept = |event: Event<'_>| (event.data.to_vec(), event.kind);
    let mut events = Vec::new();
    let mut parser = SseParser::default();
    for piece in pieces {
        if parser.feed(piece, |event| events.push(kept(event))).is_err() {
            return events;
        }
    }
    parser.finish(|event| events.push(kept(event)));
    events
}

fuzz_target!(|input: (Vec<u8>, usize)| {
    let (bytes, cut) = input;
    let (first, second) = bytes.split_at(cut.min(bytes.len()));
    assert_eq!(events(&[first, second]), events(&[&bytes]));
});
