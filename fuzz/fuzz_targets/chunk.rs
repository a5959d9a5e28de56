//! Any bytes are a chunk or an error.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = perfgate::load::chunk::read_chunk(bytes);
});
