//! The order of the starts of a trial, drawn from the run's seed (`docs/concepts/mathematics.md`, "Order").

/// Whether the base starts first in this pair (counted from 1): the top bit of the pair's output of `SplitMix64` with the run's seed
/// (Steele, Lea and Flood 2014). A fixed order would let a neighbour that comes and goes in step slow one side only.
pub fn base_starts_first(seed: u64, pair: u32) -> bool {
    let mut z = seed.wrapping_add(u64::from(pair).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)) >> 63 == 1
}
