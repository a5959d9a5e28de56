//! The lines of a comparison that need more than one row: what was compared, where it became slower, the smallest detectable regression.

use std::path::Path;

use jiff::Timestamp;

use super::number;
use super::view::{Fact, Point, Row, Sign, View};
use crate::metric::{Better, Unit};
use crate::policy::{MergeEffect, effect};
use crate::report::comparison::{Basis, Comparison, Identity, Judgement, Stratum, Verdict};
use crate::text::count::count;

/// Groups of requests whose changes differ by less than this changed equally.
const ALIKE: f64 = 0.02;

impl View {
    /// Verdict and instruction: `BLOCK: do not merge`.
    pub fn title(&self) -> String {
        format!("{}: {}", self.verdict.word, self.instruction)
    }

    /// Adds how to accept a regression, if a label does that here.
    #[must_use]
    pub fn accepted_by(self, comparison: &Comparison, label: Option<&str>) -> Self {
        Self {
            accept: label.and_then(|label| accept(comparison, label)),
            ..self
        }
    }
}

impl Row {
    /// `TPOT P95`, with its scenario where there are several; foreign text.
    pub fn title(&self, several_scenarios: bool) -> String {
        if several_scenarios {
            format!("{} at {}", self.metric, self.scenario)
        } else {
            self.metric.to_owned()
        }
    }

    /// The numbers behind the verdict on one line, or the reason why there are none; foreign text.
    pub fn detail(&self) -> String {
        if self.interval.is_empty() {
            return format!("limit {}; {}", self.limit, self.reason);
        }
        let open = if self.effect == MergeEffect::Open || self.sign.word == "undecided" {
            format!("; {}", self.reason)
        } else {
            String::new()
        };
        format!(
            "95 % {}; limit {}; noise {}; smallest detectable regression {}; {} and {} repeats{open}",
            self.interval,
            self.limit,
            self.noise,
            self.detectable,
            self.repeats[0],
            self.repeats[1]
        )
    }

    /// The repeats of one side in run order: `12.30 ms, 12.41 ms (void: throttled)`; foreign text.
    pub fn repeats_in_words(&self, side: usize) -> String {
        let points = self.points.get(side).map_or(&[][..], Vec::as_slice);
        let words = points
            .iter()
            .map(|point| match (&point.void, &point.weight) {
                (Some(void), _) => format!("{} (void: {void})", point.text),
                (None, Some(weight)) => format!("{} ({weight})", point.text),
                (None, None) => point.text.clone(),
            });
        words.collect::<Vec<_>>().join(", ")
    }

    /// The repeats of both sides as bars between the smallest and the largest of them: `▁▂▁ ▇▆█`. Empty without repeats.
    pub fn bars(&self) -> String {
        const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let values = || self.points.iter().flatten().map(|point| point.value);
        let (low, high) = values()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        if low >= high {
            return String::new();
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of seven steps"
        )]
        let bar = |point: &Point| {
            let step = ((point.value - low) / (high - low) * 7.0).round() as usize;
            BARS[step.min(7)]
        };
        let side = |points: &Vec<Point>| points.iter().map(bar).collect::<String>();
        format!("{} {}", side(&self.points[0]), side(&self.points[1]))
    }
}

/// The sign of a row of two runs that are not comparable.
pub(super) fn not_compared() -> Sign {
    Sign {
        icon: "🚫",
        mark: "?",
        word: "not compared",
        tone: "neutral",
    }
}

/// What was measured, in a line: model, workload, load, hardware.
pub(super) fn subject(comparison: &Comparison, scenarios: &[&str]) -> String {
    let candidate = &comparison.candidate;
    let load = match scenarios {
        [] => None,
        [one] => Some((*one).to_owned()),
        several => Some(count(several.len(), "scenario")),
    };
    let host = candidate.host.as_ref();
    let hardware = candidate.hardware.as_ref().map(|hardware| match host {
        Some(host) => format!("{hardware} on {host}"),
        None => hardware.clone(),
    });
    let parts = [
        candidate.model.clone(),
        candidate.workload.clone(),
        load,
        hardware,
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// Which two runs: `baseline 3fa9c1e (stored, 2 days older, 3 repeats) → candidate 77b02d4 (3 repeats)`.
pub(super) fn sides(comparison: &Comparison, several_scenarios: bool) -> String {
    let (baseline, candidate) = (&comparison.baseline, &comparison.candidate);
    // The facts show the whole path; this line shows only the file name.
    let file = |identity: &Identity| {
        let name = Path::new(&identity.file).file_name();
        name.map_or_else(
            || identity.file.clone(),
            |name| name.to_string_lossy().into_owned(),
        )
    };
    let named = |identity: &Identity| commit(identity).unwrap_or_else(|| file(identity));
    let repeats = |identity: &Identity| {
        let over = if several_scenarios {
            " over all scenarios"
        } else {
            ""
        };
        format!("{}{over}", count(identity.repeats, "repeat"))
    };
    let pairs = comparison.decision.pairs;
    let stored = (pairs == 0).then(|| "stored".to_owned());
    let of_baseline: Vec<String> = [stored, age(baseline, candidate), Some(repeats(baseline))]
        .into_iter()
        .flatten()
        .collect();
    let alternating = if pairs > 0 {
        format!(" · {}", count(pairs, "alternating pair"))
    } else {
        String::new()
    };
    format!(
        "baseline {} ({}) → candidate {} ({}){alternating}",
        named(baseline),
        of_baseline.join(", "),
        named(candidate),
        repeats(candidate)
    )
}

/// How much older the baseline is; `None` where that is unknown or less than an hour.
fn age(baseline: &Identity, candidate: &Identity) -> Option<String> {
    let time = |identity: &Identity| identity.created.as_deref()?.parse::<Timestamp>().ok();
    let seconds = time(candidate)?.as_second() - time(baseline)?.as_second();
    let (size, word) = (
        seconds.unsigned_abs(),
        if seconds > 0 { "older" } else { "newer" },
    );
    let (number, unit) = match size {
        0..3_600 => return None,
        3_600..172_800 => (size / 3_600, "hour"),
        _ => (size / 86_400, "day"),
    };
    Some(format!("{} {word}", count(number, unit)))
}

/// The row that the verdict is about: the worst one with numbers.
fn decisive(comparison: &Comparison) -> Option<&Judgement> {
    let rank = |row: &Judgement| match effect(row, comparison) {
        MergeEffect::Stops => 3,
        MergeEffect::Warns => 2,
        MergeEffect::Open => 1,
        MergeEffect::Holds => 0,
    };
    let mut found: Option<(u8, f64, &Judgement)> = None;
    for row in &comparison.judgements {
        let Some(change) = row.change else { continue };
        let (rank, change) = (rank(row), change.value);
        // If all rules hold, the first one is the most important.
        let worse = found.is_none_or(|(worst, most, _)| {
            rank > worst || (rank == worst && rank > 0 && change > most)
        });
        if worse {
            found = Some((rank, change, row));
        }
    }
    found.map(|(_, _, row)| row)
}

/// In which requests and in how many pairs it became slower. `None` where all rules hold.
pub(super) fn place(comparison: &Comparison, several_scenarios: bool) -> Option<String> {
    if matches!(comparison.verdict, Verdict::Pass | Verdict::Incomparable) {
        return None;
    }
    let parts = [
        spread(comparison, several_scenarios),
        decisive(comparison).and_then(agreement),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Where the change differs most between requests.
fn spread(comparison: &Comparison, several_scenarios: bool) -> Option<String> {
    let row = decisive(comparison)?;
    // Memory is not a property of requests.
    if matches!(row.unit, Unit::Bytes | Unit::Tokens) {
        return None;
    }
    // Of the latency of the row, else of both.
    let latency = |latency: &str| row.metric.id().starts_with(latency);
    let strata: Vec<&Stratum> = comparison
        .strata
        .iter()
        .filter(|stratum| stratum.scenario == row.scenario)
        .filter(|stratum| latency(&stratum.latency) || !(latency("ttft") || latency("tpot")))
        .collect();
    let mut widest: Option<(f64, &Stratum, &Stratum)> = None;
    for most in &strata {
        let alike = strata.iter().copied().filter(|other| {
            (&other.scenario, &other.latency, &other.by)
                == (&most.scenario, &most.latency, &most.by)
        });
        let Some(least) = alike.min_by(|a, b| a.change.total_cmp(&b.change)) else {
            continue;
        };
        let width = most.change - least.change;
        if widest.is_none_or(|(known, ..)| width > known) {
            widest = Some((width, most, least));
        }
    }
    let (width, most, least) = widest?;
    let scenario = if several_scenarios {
        format!(" at {}", most.scenario)
    } else {
        String::new()
    };
    let latency = most.latency.to_uppercase();
    let change = |stratum: &Stratum| number::signed_percent(stratum.change);
    if width < ALIKE {
        return Some(format!(
            "{latency}{scenario} changed equally in all requests, by {} to {}",
            change(least),
            change(most)
        ));
    }
    let range = |stratum: &Stratum| {
        if stratum.from == stratum.to {
            format!("{}", stratum.from)
        } else {
            format!("{} to {}", stratum.from, stratum.to)
        }
    };
    Some(format!(
        "{latency}{scenario} of requests with {} {}: {}, with {}: {}",
        most.by,
        range(most),
        change(most),
        range(least),
        change(least)
    ))
}

/// In how many of the alternating pairs the candidate was worse.
fn agreement(row: &Judgement) -> Option<String> {
    if row.basis != Some(Basis::Pairs) {
        return None;
    }
    let pairs = row.baseline.values.iter().zip(&row.candidate.values);
    let counting = pairs.filter(|(old, new)| old.void.is_none() && new.void.is_none());
    let values: Vec<(f64, f64)> = counting
        .filter_map(|(old, new)| Some((old.value?, new.value?)))
        .collect();
    let worse = values.iter().filter(|(old, new)| match row.better {
        Better::Higher => new < old,
        Better::Lower | Better::Neither => new > old,
    });
    let (worse, all) = (worse.count(), values.len());
    let metric = row.metric.label();
    match all {
        0 | 1 => None,
        _ if worse == all => Some(format!("{metric} is worse in all {all} pairs")),
        _ => Some(format!("{metric} is worse in {worse} of {all} pairs")),
    }
}

/// The noise of the row that decides, and the smallest detectable regression.
pub(super) fn noise(comparison: &Comparison, several_scenarios: bool) -> Option<String> {
    if !comparison.mismatches.is_empty() {
        return None;
    }
    let judgement = decisive(comparison)?;
    let row = Row::of(judgement, comparison);
    let title = row.title(several_scenarios);
    let detectable = judgement.smallest_detectable.map(|smallest| {
        format!(
            "; smallest detectable regression {} (blocked 4 times out of 5)",
            number::percent(smallest)
        )
    });
    judgement.noise.as_ref()?;
    Some(format!(
        "{title}: between repeats {}{}",
        row.noise,
        detectable.unwrap_or_default()
    ))
}

/// How a maintainer accepts a regression with that label.
fn accept(comparison: &Comparison, label: &str) -> Option<String> {
    matches!(comparison.verdict, Verdict::Block | Verdict::Report).then(|| {
        format!(
            "give the reason under the heading “perfgate accepted” in the pull request's text; a person with write permission then sets the label `{label}`; a later push removes the acceptance"
        )
    })
}

fn commit(identity: &Identity) -> Option<String> {
    let dirty = if identity.dirty == Some(true) {
        " with local changes"
    } else {
        ""
    };
    identity
        .commit
        .as_deref()
        .map(|commit| format!("{}{dirty}", super::short_commit(commit)))
}

pub(super) fn facts(identity: &Identity) -> Vec<Fact> {
    let fact = |name, value: Option<String>| value.map(|value| Fact { name, value });
    let requests = (identity.requests > 0)
        .then(|| format!("{}, {} failed", identity.requests, identity.failed_requests));
    [
        fact("file", Some(identity.file.clone())),
        fact("measured", identity.created.clone()),
        fact(
            "commits since",
            identity.commits_since.map(|count| count.to_string()),
        ),
        fact("commit", commit(identity)),
        fact("server", identity.server.clone()),
        fact("model", identity.model.clone()),
        fact("hardware", identity.hardware.clone()),
        fact("host", identity.host.clone()),
        fact("workload", identity.workload.clone()),
        fact("repeats", Some(identity.repeats.to_string())),
        fact("requests", requests),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Facts of an alternating side that is not one of the two runs shown.
pub(super) fn beside(comparison: &Comparison, side: Option<&Identity>) -> Vec<Fact> {
    let shown = [&comparison.baseline.file, &comparison.candidate.file];
    let side = side.filter(|side| !shown.contains(&&side.file));
    side.map(facts).unwrap_or_default()
}
