//! The GPU part of the observations of a repeat.

use super::gpu::reading::Facts;
use super::gpu::summary::GpuSummary;
use super::gpu::{Account, NO_GPU, validity};
use crate::measure::Concerns;
use crate::record::format::Gpu;
use crate::stats;

/// The GPU part of the observations of a repeat.
pub(super) struct GpusSeen {
    pub(super) memory_peak: Result<f64, String>,
    pub(super) utilization_mean: Result<f64, String>,
    pub(super) summaries: Vec<GpuSummary>,
    pub(super) concerns: Concerns,
    pub(super) gpus: Option<Vec<Gpu>>,
    pub(super) driver: Option<String>,
    pub(super) cuda: Option<String>,
    pub(super) clocks_steady: Option<bool>,
}

impl GpusSeen {
    /// `looked`: whether the GPUs were sampled; `matter`: whether the server uses these GPUs.
    pub(super) fn of(account: &Account, looked: bool, matter: bool) -> Self {
        let summaries = account.summaries();
        let reason = account.reason();
        let known = |value: Option<f64>, what: &str| {
            match (&reason, value) {
            (Some(reason), _) => Err(reason.clone()),
            (None, Some(value)) => Ok(value),
            (None, None) if account.facts().any(Facts::is_of_unknown_slice) => Err(
                "the GPU is divided (MIG) and the server's slice is unknown; set CUDA_VISIBLE_DEVICES=MIG-…"
                    .to_owned(),
            ),
            (None, None) => Err(format!("the driver does not report {what}")),
        }
        };
        let peaks = summaries.iter().filter_map(|gpu| gpu.memory_peak_bytes);
        let means: Vec<f64> = summaries
            .iter()
            .filter_map(|gpu| gpu.utilization_mean)
            .collect();
        let steady: Vec<bool> = summaries
            .iter()
            .filter_map(|gpu| gpu.clock_steady)
            .collect();
        let of_none = looked && reason.as_deref() == Some(NO_GPU);
        Self {
            memory_peak: known(peaks.reduce(f64::max), "the memory in use"),
            utilization_mean: known(stats::mean(&means), "the utilisation"),
            concerns: if matter {
                validity::concerns(&summaries, account.lost())
            } else {
                Concerns::default()
            },
            gpus: (!summaries.is_empty() || of_none)
                .then(|| account.facts().map(Facts::described).collect()),
            driver: account.facts().find_map(|facts| facts.driver.clone()),
            cuda: account.facts().find_map(|facts| facts.cuda.clone()),
            clocks_steady: if steady.contains(&false) {
                Some(false)
            } else {
                (!steady.is_empty() && steady.len() == summaries.len()).then_some(true)
            },
            summaries,
        }
    }
}
