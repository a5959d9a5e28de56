//! What is believed about a metric's noise before a ledger says better.

use crate::metric::{Metric, Unit};
use crate::stats::Prior;

/// GPU memory is handed out in units of this size, so a peak is known to a unit and no better.
const ALLOCATION_UNIT: f64 = (2 << 20) as f64;

/// The KV cache is handed out in blocks; vLLM's usual block holds this many tokens.
const CACHE_BLOCK: f64 = 16.0;

/// The prior of one metric whose values are around `value`.
pub(super) fn prior(metric: Metric, value: f64) -> Prior {
    // Standard deviation of a value that is only known to lie somewhere within one unit.
    let resolution = |unit: f64| Prior::of_resolution(unit / 12.0_f64.sqrt() / value);
    match metric.unit() {
        Unit::Bytes => resolution(ALLOCATION_UNIT),
        Unit::Tokens => resolution(CACHE_BLOCK),
        Unit::Seconds
        | Unit::RequestsPerSecond
        | Unit::TokensPerSecond
        | Unit::Ratio
        | Unit::Count => Prior::WITHOUT_LEDGER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_known_to_an_allocation_unit_and_a_latency_to_two_percent() {
        let memory = prior(Metric::parse("gpu_memory.peak").unwrap(), 80e9);
        assert!(memory.repeat < 1e-5);
        assert_eq!(
            prior(Metric::parse("tpot.p95").unwrap(), 0.02),
            Prior::WITHOUT_LEDGER
        );
    }
}
