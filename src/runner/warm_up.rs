//! The warm-up before a measurement, once or until the server is stable.

use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::measurement::Measurement;
use crate::event::LoadPart;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::load::{LoadResult, StopConditions};
use crate::measure::stability::{self, MOST_WINDOWS, Window};
use crate::measure::{RequestOutcome, RequestTrace};
use crate::workload::{Phase, Request};

/// The result of a warm-up.
#[derive(Debug, Default)]
pub(crate) struct WarmedUp {
    /// The windows, for the result; `None` if it is sent once.
    pub(crate) seen: Option<Value>,
    /// Why the following measurement is void.
    pub(crate) void: Option<String>,
}

impl Measurement<'_> {
    /// Sends the warm-up at the measured load, repeatedly until three windows agree if the plan sets that.
    pub(crate) async fn warm_up(&self, cancel: &CancellationToken) -> Result<WarmedUp, Failure> {
        let Some(within) = self.at.context.plan.warmup_until_stable else {
            let requests = self.requests(Phase::WarmUp(0));
            if !requests.is_empty() {
                let driven = self.warm(LoadPart::WarmUp, requests, cancel).await?;
                self.check_answers(&driven)?;
            }
            return Ok(WarmedUp::default());
        };
        let mut windows = Vec::new();
        for number in 0..MOST_WINDOWS {
            let requests = self.requests(Phase::WarmUp(number));
            let part = LoadPart::WarmUpWindow(number + 1);
            let driven = self.warm(part, requests, cancel).await?;
            self.check_answers(&driven)?;
            windows.push(Window::of(&driven.traces, driven.wall_time.as_secs_f64()));
            if stability::is_stable(&windows, within) {
                break;
            }
        }
        Ok(WarmedUp {
            seen: Some(stability::described(&windows, within)),
            void: stability::why_unstable(&windows, within),
        })
    }

    /// Warm-up requests may fail, but the server must not hang.
    async fn warm(
        &self,
        part: LoadPart,
        requests: Vec<Request>,
        cancel: &CancellationToken,
    ) -> Result<LoadResult, Failure> {
        let stop_conditions = StopConditions::default();
        self.drive(part, requests, Duration::ZERO, stop_conditions, cancel)
            .await
    }

    /// Detects a hung server before the measurement.
    fn check_answers(&self, driven: &LoadResult) -> Result<(), Failure> {
        let hung = |trace: &RequestTrace| matches!(trace.outcome, RequestOutcome::TimedOut);
        if driven.traces.is_empty() || !driven.traces.iter().all(hung) {
            return Ok(());
        }
        let timeout = self.at.context.plan.timeout.as_secs_f64();
        let message = format!(
            "no request of the warm-up of {} was answered within {timeout} s",
            self.load.name()
        );
        Err(Failure::message(ExitStatus::TargetFailed, message).hint(format!(
            "the server reported ready but answered no request; if it is only slow, raise `timeout` ({timeout} s)"
        )))
    }
}
