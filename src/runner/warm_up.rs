//! Before a measurement: requests that count for nothing, once or until the server has come to rest.

use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::measurement::Measurement;
use crate::event::LoadPart;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::load::{Driven, Patience};
use crate::measure::stability::{self, MOST_WINDOWS, Window};
use crate::measure::{RequestOutcome, RequestTrace};
use crate::workload::{Phase, Request};

/// What a warm-up came to.
#[derive(Debug, Default)]
pub(crate) struct WarmedUp {
    /// The windows, for the result; `None` where it was to be sent once.
    pub(crate) seen: Option<Value>,
    /// Why what is measured after it does not count.
    pub(crate) void: Option<String>,
}

impl Measurement<'_> {
    /// Sends the warm-up at the measured load, anew until three windows are alike where the plan says so.
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
            void: stability::restless(&windows, within),
        })
    }

    /// What counts for nothing may fail, as long as the server does not hang.
    async fn warm(
        &self,
        part: LoadPart,
        requests: Vec<Request>,
        cancel: &CancellationToken,
    ) -> Result<Driven, Failure> {
        let patience = Patience::default();
        self.drive(part, requests, Duration::ZERO, patience, cancel)
            .await
    }

    /// A server that hangs would cost the measurement the same time again.
    fn check_answers(&self, driven: &Driven) -> Result<(), Failure> {
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
            "the server says that it is ready and hangs; if it only needs longer, raise `timeout` ({timeout} s)"
        )))
    }
}
