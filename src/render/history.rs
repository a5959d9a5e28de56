//! The history of a baseline for a terminal.

use super::number;
use super::terminal::{aligned, printed, wrapped};
use crate::history::{Labels, Point, Series, Step, StepReason};
use crate::record::Run;
use crate::text::sanitize;

/// Heights of a character of a line.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

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
    let day = |run: Option<&Run>| {
        let created = run?.file.created.as_deref()?;
        Some(sanitize::line(created.get(..10).unwrap_or(created)))
    };
    let count = match sessions.len() {
        1 => "1 session".to_owned(),
        count => format!("{count} sessions"),
    };
    match (day(sessions.first()), day(sessions.last())) {
        (Some(first), Some(last)) if first != last => format!("{count}, {first} to {last}"),
        (Some(day), _) | (_, Some(day)) => format!("{count}, {day}"),
        (None, None) => count,
    }
}

fn line(series: &Series, color: bool) -> String {
    let unit = series.metric.unit();
    let last = series
        .points
        .last()
        .map(|point| number::value(point.value, unit))
        .unwrap_or_default();
    let drawn = spark(series);
    let drawn = if color && !series.steps.is_empty() {
        format!("\u{1b}[33m{drawn}\u{1b}[0m")
    } else {
        drawn
    };
    let release = since_release(series).unwrap_or_default();
    format!("  {:<16} {drawn}  {last}{release}\n", series.metric.label())
}

fn spark(series: &Series) -> String {
    let points = &series.points;
    let from = points.len().saturating_sub(LONGEST);
    let shown = &points[from..];
    let (low, high) = shown
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), point| {
            (low.min(point.value), high.max(point.value))
        });
    let mut drawn = if from > 0 {
        "…".to_owned()
    } else {
        String::new()
    };
    for (index, point) in shown.iter().enumerate() {
        if index > 0 && series.steps.iter().any(|step| step.at == from + index) {
            drawn.push('|');
        }
        drawn.push(level(point.value, low, high));
    }
    drawn
}

fn level(value: f64, low: f64, high: f64) -> char {
    if high <= low {
        return LEVELS[0];
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "one of eight characters"
    )]
    let index = ((value - low) / (high - low) * (LEVELS.len() - 1) as f64).round() as usize;
    LEVELS[index.min(LEVELS.len() - 1)]
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
    let when = at
        .and_then(|point| point.created.as_deref())
        .map(|created| format!(" at {}", created.get(..10).unwrap_or(created)));
    let commit = at
        .and_then(|point| point.commit.as_deref())
        .map(|commit| format!(" ({})", super::short_commit(commit)));
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
