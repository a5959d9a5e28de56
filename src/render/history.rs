//! The history of a baseline for a terminal.

use super::number::{self, bar, extent};
use super::short_commit;
use super::terminal::{aligned, printed, wrapped};
use crate::history::{Labels, Point, Series, Step, StepReason};
use crate::record::Run;
use crate::text::count::count;
use crate::text::sanitize;

/// Sessions that fit on a line of 80 columns beside the name.
const LONGEST: usize = 48;

/// All baselines; a row is name, sessions, age, commits since, commit, release, hardware.
pub fn list(rows: impl Iterator<Item = [String; 7]>) -> String {
    let mut table = aligned(&[
        "gate", "sessions", "age", "behind", "commit", "release", "hardware",
    ]);
    for row in rows {
        table.add_row(row.map(|cell| sanitize::line(&cell)));
    }
    printed(table)
        .iter()
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Every series as a line of characters, its steps below it.
pub fn text(labels: Labels<'_>, sessions: &[Run], series: &[Series], color: bool) -> String {
    let mut text = format!(
        " {} on {}: {}\n",
        sanitize::line(labels.name),
        sanitize::line(labels.hardware),
        span(sessions)
    );
    let mut scenario = None;
    for series in series {
        if scenario != Some(&series.scenario) {
            scenario = Some(&series.scenario);
            text.push_str(&format!("\n {}\n", sanitize::line(&series.scenario)));
        }
        text.push_str(&line(series, color));
        for step in &series.steps {
            text.push_str(&wrapped(&sanitize::line(&step_in_words(series, step))));
        }
    }
    text.push('\n');
    text.push_str(&wrapped(
        "oldest to newest, each line from its smallest to its largest value; a bar (|) begins a new level; plus is worse",
    ));
    text
}

fn span(sessions: &[Run]) -> String {
    let date = |run: Option<&Run>| Some(sanitize::line(day(run?.file.created.as_deref()?)));
    let count = count(sessions.len(), "session");
    match (date(sessions.first()), date(sessions.last())) {
        (Some(first), Some(last)) if first != last => format!("{count}, {first} to {last}"),
        (Some(day), _) | (_, Some(day)) => format!("{count}, {day}"),
        (None, None) => count,
    }
}

/// The day of a time stamp; foreign text.
fn day(created: &str) -> &str {
    created.get(..10).unwrap_or(created)
}

fn line(series: &Series, color: bool) -> String {
    let last = series.points.last();
    let last = last.map(|point| number::value(point.value, series.metric.unit()));
    let mut drawn = spark(series);
    if color && !series.steps.is_empty() {
        drawn = format!("\u{1b}[33m{drawn}\u{1b}[0m");
    }
    format!(
        "  {:<16} {drawn}  {}{}\n",
        series.metric.label(),
        last.unwrap_or_default(),
        since_release(series).unwrap_or_default()
    )
}

fn spark(series: &Series) -> String {
    let from = series.points.len().saturating_sub(LONGEST);
    let shown = &series.points[from..];
    let (low, high) = extent(shown.iter().map(|point| point.value));
    let mut drawn = String::new();
    if from > 0 {
        drawn.push('…');
    }
    for (index, point) in shown.iter().enumerate() {
        if index > 0 && series.steps.iter().any(|step| step.at == from + index) {
            drawn.push('|');
        }
        drawn.push(bar(point.value, low, high));
    }
    drawn
}

/// Change of the newest session since the last release; positive is worse.
fn since_release(series: &Series) -> Option<String> {
    let release = series
        .points
        .iter()
        .rev()
        .find(|point| point.release.is_some())?;
    let last = series.points.last()?;
    if release.session == last.session {
        return None;
    }
    let change = crate::history::worse_by(series.metric, release.value, last.value);
    Some(format!(
        "  {} since {}",
        number::signed_percent(change),
        sanitize::line(release.release.as_deref()?)
    ))
}

fn step_in_words(series: &Series, step: &Step) -> String {
    let at: Option<&Point> = series.points.get(step.at);
    let created = at.and_then(|point| point.created.as_deref());
    let when = created.map(|created| format!(" at {}", day(created)));
    let commit = at.and_then(|point| point.commit.as_deref());
    let commit = commit.map(|commit| format!(" ({})", short_commit(commit)));
    let how = match &step.reason {
        StepReason::Segment(why) => why.clone(),
        StepReason::Found(p) => format!("found in the values (p = {p:.3})"),
    };
    format!(
        "step{}{}: {}, {how}",
        when.unwrap_or_default(),
        commit.unwrap_or_default(),
        number::signed_percent(step.change)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::all_series;
    use crate::metric::Metric;

    fn session(day: u32, tpot: f64, promotion: &str) -> Run {
        let json = format!(
            r#"{{"schema":"perfgate.result/1","created":"2026-01-{day:02}T00:00:00Z","source":{{"commit":"{day:040x}"}},
            "promotion":{promotion},"scenarios":[{{"name":"concurrency=16","repeats":[{{"metrics":{{"tpot.p95":{tpot}}}}}]}}]}}"#
        );
        crate::record::parse("a.json", json.as_bytes()).unwrap()
    }

    #[test]
    fn steps_and_the_change_since_the_release_are_shown() {
        let released = r#"{"promoted":"2026-01-03T00:00:00Z","release":"v1.4.0"}"#;
        let accepted = r#"{"promoted":"2026-01-09T00:00:00Z","because":"new sampler, #12","new_segment":true}"#;
        let sessions: Vec<Run> = (1..=16)
            .map(|day| {
                let promotion = match day {
                    3 => released,
                    9 => accepted,
                    _ => "null",
                };
                let level = if day < 9 { 0.0200 } else { 0.0216 };
                session(day, level + 0.0001 * f64::from(day % 3), promotion)
            })
            .collect();
        let series = all_series(&sessions, &[Metric::parse("tpot.p95").unwrap()]);
        let labels = Labels {
            name: "llama",
            hardware: "nvidia-l4",
        };
        insta::assert_snapshot!(text(labels, &sessions, &series, false), @"
        llama on nvidia-l4: 16 sessions, 2026-01-01 to 2026-01-16

        concurrency=16
         TPOT P95         ▁▂▁▁▂▁▁▂|▇██▇██▇█  21.70 ms  +8.5 % since v1.4.0
          step at 2026-01-09 (0000000000): +8.0 %, accepted: new sampler, #12

          oldest to newest, each line from its smallest to its largest value; a bar (|)
          begins a new level; plus is worse
        ");
    }
}
