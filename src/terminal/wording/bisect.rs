//! Messages of bisect events.

use crate::event::{BisectEvent, BisectTask};
use crate::policy::signed_percent;
use crate::text::sanitize;

/// The line of an event.
pub(super) fn words(event: &BisectEvent) -> String {
    match event {
        BisectEvent::Begins {
            task,
            commit,
            subject,
        } => {
            let task = match task {
                BisectTask::GoodEnd => "checking the good end against itself",
                BisectTask::BadEnd => "checking the bad end against the good end",
                BisectTask::Search => "judging",
                BisectTask::Confirmation => "confirming",
            };
            format!("{task}: {commit} {}", sanitize::line(subject))
        }
        BisectEvent::Building { commit } => format!("building {commit}"),
        BisectEvent::MeasuredBefore { reason } => {
            format!("reusing the earlier measurement: {reason}")
        }
        BisectEvent::LeftOpen { base, reason } => format!(
            "{base} does not decide ({reason}): measuring the good end alternately from now on"
        ),
        BisectEvent::OnceMore { reason } => format!("{reason}; trying again"),
        BisectEvent::Judged {
            commit,
            answer,
            change,
            server_starts,
            seconds,
            reason,
        } => {
            let change = change.as_ref().map_or_else(String::new, |change| {
                format!(
                    ", {} {} (95 % interval {} to {})",
                    change.metric.label(),
                    signed_percent(change.value),
                    signed_percent(change.low),
                    signed_percent(change.high)
                )
            });
            let reason = reason.as_ref().map(|reason| format!(": {reason}"));
            format!(
                "{commit}: {answer}{change} ({server_starts} server starts, {seconds:.0} s){}",
                reason.unwrap_or_default()
            )
        }
        BisectEvent::MoreToJudge { commits, steps } => {
            format!("{commits} commits remain, about {steps} to judge")
        }
        BisectEvent::Summarized { summary, results } => format!(
            "summary written to `{}` and `summary.json` beside it, all measurements to `{}`",
            summary.display(),
            results.display()
        ),
    }
}
