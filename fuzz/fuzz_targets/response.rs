//! Any split of the bytes gives the same HTTP answer, or the same error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use perfgate::load::response::{Response, ResponseError};

fn read(pieces: &[&[u8]]) -> Result<(Option<u16>, Vec<u8>, bool), ResponseError> {
    let mut response = Response::default();
    let mut body = Vec::new();
    for piece in pieces {
        response.receive(piece, |_, part| body.extend_from_slice(part))?;
    }
    Ok((response.status(), body, response.keeps_alive()))
}

fuzz_target!(|input: (Vec<u8>, usize)| {
    let (bytes, cut) = input;
    let (first, second) = bytes.split_at(cut.min(bytes.len()));
    let (whole, cut) = (read(&[&bytes]), read(&[first, second]));
    // How many bytes too many were seen depends on how many had come.
    match (&whole, &cut) {
        (Err(ResponseError::After(_)), Err(ResponseError::After(_))) => {}
        // What does not end is noticed once enough of it has come.
        (Err(ResponseError::Endless(_)), _) | (_, Err(ResponseError::Endless(_))) => {}
        _ => assert_eq!(whole, cut),
    }
});
