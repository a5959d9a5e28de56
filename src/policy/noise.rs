//! The noise of a metric: learnt from the ledger, or assumed without one.

use crate::metric::{Metric, Unit};
use crate::stats::Noise;

/// GPU memory is allocated in units of this size, so a peak is known to one unit.
const ALLOCATION_UNIT: f64 = (2 << 20) as f64;

/// The KV cache is allocated in blocks; vLLM's default block contains this many tokens.
const CACHE_BLOCK: f64 = 16.0;

/// vLLM rounds each part of its memory to 0.01 GiB, and the sum has up to four parts.
const ROUNDED_PARTS: f64 = 0.02 * 1_073_741_824.0;

/// Smallest relative noise of a latency or rate: repeats that are equal to the last digit are copies or rounded.
const FINEST: f64 = 1e-4;

/// The noise of a metric whose values are near `value`, from the logs of accepted `sessions`, oldest first.
pub(crate) fn noise(metric: Metric, value: f64, sessions: &[Vec<f64>]) -> Noise {
    let step = allocation_step(metric).map(|unit| {
        // Standard deviation of a value that is uniform within one unit.
        unit / 12.0_f64.sqrt() / value
    });
    Noise::learn(sessions, step.unwrap_or(FINEST))
        .unwrap_or_else(|| step.map_or(Noise::ASSUMED, Noise::of_resolution))
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
        assert!(noise(metric("gpu_memory.peak"), 80e9, &[]).repeat < 1e-5);
        assert_eq!(noise(metric("tpot.p95"), 0.02, &[]), Noise::ASSUMED);
        assert_eq!(noise(metric("host_memory.peak"), 2e9, &[]), Noise::ASSUMED);
        let engine = noise(metric("engine_memory.peak"), 16e9, &[]).repeat;
        assert!(engine > 1e-4 && engine < 1e-3, "{engine}");
    }

    #[test]
    fn a_constant_ledger_leaves_the_resolution_and_never_zero() {
        let constant = vec![vec![1.0; 3]; 8];
        let learnt = noise(metric("tpot.p95"), 0.02, &constant);
        assert!(learnt.is_learnt() && learnt.repeat >= FINEST && learnt.host > 0.0);
        let memory = noise(metric("gpu_memory.peak"), 80e9, &constant);
        assert!(memory.repeat > 0.0 && memory.repeat < 1e-5);
    }
}
