//! What really happened, by the server's own clock, and what a client said of it.

use std::collections::HashMap;

/// One answer. Monotonic nanoseconds of this machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answered {
    /// When the request came in, by the kernel's stamp where there is one.
    pub arrived: u64,
    /// When each event went out, before the call that sent it.
    pub events: Vec<u64>,
}

/// Request → what happened.
pub(crate) type Truth = HashMap<u32, Answered>;

/// What a client said of one answer, in seconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub index: u32,
    pub ttft: f64,
    pub tpot: f64,
    pub gaps: Vec<f64>,
}

/// Differences in milliseconds, said minus true.
#[derive(Clone, Debug, Default)]
pub(crate) struct Errors {
    pub ttft: Vec<f64>,
    pub tpot: Vec<f64>,
    /// 99th percentile of all gaps as said − as they were.
    pub itl_p99: f64,
}

impl Errors {
    pub(crate) fn of(said: &[Said], truth: &Truth) -> Self {
        let mut errors = Self::default();
        let mut gaps: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
        for said in said {
            let Some(true_one) = truth.get(&said.index) else {
                panic!("the server knows nothing of request {}", said.index)
            };
            let seconds = |from: u64, to: u64| (to as f64 - from as f64) / 1e9;
            let events = &true_one.events;
            let (first, last) = (events[0], events[events.len() - 1]);
            errors
                .ttft
                .push((said.ttft - seconds(true_one.arrived, first)) * 1e3);
            let tpot = seconds(first, last) / (events.len() - 1) as f64;
            errors.tpot.push((said.tpot - tpot) * 1e3);
            gaps[0].extend(&said.gaps);
            gaps[1].extend(events.windows(2).map(|pair| seconds(pair[0], pair[1])));
        }
        errors.itl_p99 = (quantile(&gaps[0], 0.99) - quantile(&gaps[1], 0.99)) * 1e3;
        errors
    }
}

pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    perfgate::stats::quantile(values, share).unwrap_or(f64::NAN)
}
