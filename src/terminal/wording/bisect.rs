//! Messages of bisect events.

use crate::bisect::{Role, Step, StepOutcome};
use crate::event::BisectEvent;
use crate::policy::signed_percent;
use crate::text::sanitize;

/// The line of an event.
pub(super) fn line(event: &BisectEvent) -> String {
    match event {
        BisectEvent::Begins(role, commit) => {
            let task = match role {
                Role::GoodEnd => "checking the good end against itself",
                Role::BadEnd => "checking the bad end against the good end",
                Role::Search => "judging",
                Role::Confirmation => "confirming",
            };
            let subject = sanitize::line(&commit.subject);
            format!("{task}: {} {subject}", commit.short())
        }
        BisectEvent::Building(commit) => format!("building {commit}"),
        BisectEvent::MeasuredBefore(reason) => format!("reusing the earlier measurement: {reason}"),
        BisectEvent::LeftOpen { base, reason } => format!(
            "{base} does not decide ({reason}): measuring the good end alternately from now on"
        ),
        BisectEvent::OnceMore(reason) => format!("{reason}; trying again"),
        BisectEvent::Judged(step) => judged(step),
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

fn judged(step: &Step) -> String {
    let change = step.change.as_ref().map_or_else(String::new, |change| {
        format!(
            ", {} {} (95 % interval {} to {})",
            change.metric.label(),
            signed_percent(change.value),
            signed_percent(change.low),
            signed_percent(change.high)
        )
    });
    let reason = match step.answer {
        StepOutcome::Good | StepOutcome::Bad | StepOutcome::Undecided => String::new(),
        StepOutcome::BuildFailed | StepOutcome::TargetFailed | StepOutcome::NoConfiguration => {
            format!(": {}", step.reason)
        }
    };
    format!(
        "{}: {}{change} ({} server starts, {:.0} s){reason}",
        step.commit.short(),
        step.answer.word(),
        step.server_starts,
        step.seconds
    )
}
