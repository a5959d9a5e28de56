//! Before a measurement: requests that count for nothing, once or until the server has come to rest.

use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::measuring::Pass;
use crate::measure::stability::{self, MOST_WINDOWS, Window};

/// What a warm-up came to.
#[derive(Debug, Default)]
pub(super) struct WarmedUp {
    /// The windows, for the result; `None` where one pass was all that was wanted.
    pub(super) seen: Option<Value>,
    /// Why what is measured after it does not count.
    pub(super) void: Option<String>,
}

impl Pass<'_, '_> {
    /// Sends the warm-up at the measured load, anew until three windows are alike where the plan says so.
    pub(super) async fn warm_up(
        &self,
        label: &str,
        cancel: &CancellationToken,
    ) -> Result<WarmedUp, Failure> {
        let plan = self.measuring.plan;
        let send = async |window: u32, label: String| {
            let scenario = self.load.name();
            let requests = self.run.source.warmup(&scenario, self.repeat, window);
            if requests.is_empty() {
                return Ok(None);
            }
            let driven = self.drive(&label, requests, Duration::ZERO, cancel).await?;
            Ok::<_, Failure>(Some(driven))
        };
        let Some(within) = plan.warmup_until_stable else {
            send(0, format!("{label}, warm-up")).await?;
            return Ok(WarmedUp::default());
        };
        let mut windows = Vec::new();
        for window in 0..MOST_WINDOWS {
            let number = u32::try_from(window).unwrap_or(u32::MAX);
            let label = format!("{label}, warm-up {}", window + 1);
            if let Some(driven) = send(number, label).await? {
                windows.push(Window::of(&driven.traces, driven.wall_time.as_secs_f64()));
            }
            if stability::is_stable(&windows, within) {
                break;
            }
        }
        let stable = stability::is_stable(&windows, within);
        Ok(WarmedUp {
            seen: Some(stability::described(&windows, within)),
            void: (!stable).then(|| stability::restless(&windows, within)),
        })
    }
}
