//! Counts as numbers that can be divided.

/// A count as a float. Exact below 2^52, which no number of requests or tokens of a run reaches.
#[expect(
    clippy::cast_precision_loss,
    reason = "fewer than 2^52 of anything that is counted here"
)]
pub fn number(count: u64) -> f64 {
    count as f64
}
