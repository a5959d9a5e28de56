//! What is known of the noise of a metric without a ledger: its resolution, or an assumption.

use crate::compare::SideValues;
use crate::metric::{Metric, Unit};
use crate::stats::{self, Noise};

/// GPU memory is allocated in units of this size, so a peak is known to one unit.
const ALLOCATION_UNIT: f64 = (2 << 20) as f64;

/// The KV cache is allocated in blocks; vLLM's default block contains this many tokens.
const CACHE_BLOCK: f64 = 16.0;

/// vLLM rounds each part of its memory to 0.01 GiB, and the sum has up to four parts.
const ROUNDED_PARTS: f64 = 0.02 * 1_073_741_824.0;

/// The size of the steps in which a metric is reported, relative to a value; 0 for a continuous one.
pub(crate) fn step(metric: Metric, value: f64) -> f64 {
    allocation_step(metric).map_or(0.0, |unit| unit / value)
}

/// The same, relative to the values of a side that count.
pub(super) fn step_of(metric: Metric, side: &SideValues) -> f64 {
    let counting = side.values.iter().filter(|value| value.void.is_none());
    let values: Vec<f64> = counting.filter_map(|value| value.value).collect();
    let step = step(metric, stats::median(&values).unwrap_or(1.0));
    if step.is_finite() { step } else { 0.0 }
}

/// The noise of a metric without a ledger.
pub(crate) fn assumed(step: f64) -> Noise {
    if step > 0.0 {
        Noise::of_rounding(step)
    } else {
        Noise::ASSUMED
    }
}

/// The allocation unit of a metric whose only noise is rounding.
fn allocation_step(metric: Metric) -> Option<f64> {
    match metric.unit() {
        // The memory of processes depends on when their allocators release it, so it has noise like a latency.
        Unit::Bytes if metric == Metric::HOST_MEMORY_PEAK => None,
        Unit::Bytes if metric == Metric::ENGINE_MEMORY_PEAK => Some(ROUNDED_PARTS),
        Unit::Bytes => Some(ALLOCATION_UNIT),
        Unit::Tokens => Some(CACHE_BLOCK),
        Unit::Seconds
        | Unit::RequestsPerSecond
        | Unit::TokensPerSecond
        | Unit::Ratio
        | Unit::Count => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(id: &str) -> Metric {
        Metric::parse(id).unwrap()
    }

    #[test]
    fn memory_is_known_to_an_allocation_unit_and_a_latency_to_two_percent() {
        let noise = |id: &str, value: f64| assumed(step(metric(id), value));
        assert!(noise("gpu_memory.peak", 80e9).repeat < 1e-5);
        assert_eq!(noise("tpot.p95", 0.02), Noise::ASSUMED);
        assert_eq!(noise("host_memory.peak", 2e9), Noise::ASSUMED);
        let engine = noise("engine_memory.peak", 16e9).repeat;
        assert!(engine > 1e-4 && engine < 1e-3, "{engine}");
    }
}
