//! The lines of a comparison that need more than one row: what was compared, where it became slower, the smallest detectable regression.

use std::ffi::OsStr;
use std::path::Path;

use jiff::Timestamp;

use super::view::{Fact, Row};
use super::{at_scenario, number};
use crate::metric::{Better, Unit};
use crate::policy::deciding_row;
use crate::report::comparison::{Basis, Comparison, Identity, Judgement, Stratum, Verdict};
use crate::text::count::count;

/// Groups of requests whose changes differ by less than this changed equally.
const ALIKE: f64 = 0.02;

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
    let named = |identity: &Identity| {
        // The facts show the whole path; this line shows only the file name.
        let file = Path::new(&identity.file).file_name();
        let file = file.map_or(identity.file.as_str().into(), OsStr::to_string_lossy);
        commit(identity).unwrap_or_else(|| file.into_owned())
    };
    let over = if several_scenarios {
        " over all scenarios"
    } else {
        ""
    };
    let repeats = |identity: &Identity| match identity.starts {
        // Measurements on one server are no independent starts.
        Some(starts) => format!(
            "{}{over} on {}",
            count(identity.repeats, "measurement"),
            count(starts, "server start")
        ),
        None => format!("{}{over}", count(identity.repeats, "repeat")),
    };
    let pairs = comparison.decision.pairs;
    let measured_today = comparison.ab_baseline.as_ref();
    let is_stored = measured_today.is_none_or(|base| base.file != baseline.file);
    let of_baseline = [
        is_stored.then(|| "stored".to_owned()),
        age(baseline, candidate),
        Some(repeats(baseline)),
    ];
    let of_baseline: Vec<String> = of_baseline.into_iter().flatten().collect();
    let alternating = (pairs > 0).then(|| format!(" · {}", count(pairs, "alternating pair")));
    format!(
        "baseline {} ({}) → candidate {} ({}){}",
        named(baseline),
        of_baseline.join(", "),
        named(candidate),
        repeats(candidate),
        alternating.unwrap_or_default()
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

/// The row that the headline names.
pub(super) fn decisive<'a>(
    comparison: &'a Comparison,
    rows: &'a [Row],
) -> Option<(&'a Judgement, &'a Row)> {
    let at = deciding_row(comparison.verdict, &comparison.judgements.iter())?;
    comparison.judgements.get(at).zip(rows.get(at))
}

/// In which requests and in how many pairs it became slower. `None` where all rules hold.
pub(super) fn place(
    comparison: &Comparison,
    decisive: Option<(&Judgement, &Row)>,
    several_scenarios: bool,
) -> Option<String> {
    if matches!(comparison.verdict, Verdict::Pass | Verdict::Incomparable) {
        return None;
    }
    let (row, _) = decisive?;
    let parts = [
        spread(row, &comparison.strata, several_scenarios),
        agreement(row),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Where the change differs most between requests, of the latency with the largest change.
fn spread(row: &Judgement, strata: &[Stratum], several_scenarios: bool) -> Option<String> {
    // Memory is not a property of requests. A row without a change has no place either.
    if row.change.is_none() || matches!(row.unit, Unit::Bytes | Unit::Tokens) {
        return None;
    }
    // Of the latency of the row, else of both.
    let latency = |latency: &str| row.metric.id().starts_with(latency);
    let strata: Vec<&Stratum> = strata
        .iter()
        .filter(|stratum| stratum.scenario == row.scenario)
        .filter(|stratum| latency(&stratum.latency) || !(latency("ttft") || latency("tpot")))
        .collect();
    let largest = strata.iter().max_by(|a, b| a.change.total_cmp(&b.change))?;
    let of_largest = strata.iter().filter(|one| one.latency == largest.latency);
    let widths = of_largest.filter_map(|most| {
        let alike = strata
            .iter()
            .filter(|other| (&other.latency, &other.by) == (&most.latency, &most.by));
        let least = alike.min_by(|a, b| a.change.total_cmp(&b.change))?;
        Some((most.change - least.change, most, least))
    });
    let (width, most, least) =
        widths.reduce(|widest, next| if next.0 > widest.0 { next } else { widest })?;
    let latency = at_scenario(
        &most.latency.to_uppercase(),
        &most.scenario,
        several_scenarios,
    );
    let [low, high] = [least, most].map(|stratum| number::signed_percent(stratum.change));
    if width < ALIKE {
        return Some(format!(
            "{latency} changed equally in all requests, by {low} to {high}"
        ));
    }
    Some(format!(
        "{latency} of requests with {} {}: {high}, with {}: {low}",
        most.by,
        range(most),
        range(least)
    ))
}

/// The sizes of a group of requests: `129 to 200`.
pub(super) fn range(stratum: &Stratum) -> String {
    if stratum.from == stratum.to {
        format!("{}", stratum.from)
    } else {
        format!("{} to {}", stratum.from, stratum.to)
    }
}

/// In how many of the alternating pairs the candidate was worse.
fn agreement(row: &Judgement) -> Option<String> {
    if row.basis != Some(Basis::Pairs) {
        return None;
    }
    let counting = row
        .pairs()
        .filter(|(old, new)| old.void.is_none() && new.void.is_none());
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
pub(super) fn noise(
    comparison: &Comparison,
    decisive: Option<(&Judgement, &Row)>,
    several_scenarios: bool,
) -> Option<String> {
    let (judgement, row) = decisive?;
    if !comparison.mismatches.is_empty() || judgement.noise.is_none() {
        return None;
    }
    let detectable = judgement.smallest_detectable.map(|smallest| {
        format!(
            "; smallest detectable regression {} (blocked 4 times out of 5)",
            number::percent(smallest)
        )
    });
    Some(format!(
        "{}: between repeats {}{}",
        row.title(several_scenarios),
        row.noise,
        detectable.unwrap_or_default()
    ))
}

/// How a maintainer accepts a regression with that label.
pub(super) fn accept(comparison: &Comparison, label: &str) -> Option<String> {
    matches!(comparison.verdict, Verdict::Block | Verdict::Report).then(|| {
        format!(
            "give the reason under the heading “perfgate accepted” in the pull request's text; a person with write permission then sets the label `{label}`; a later push removes the acceptance"
        )
    })
}

fn commit(identity: &Identity) -> Option<String> {
    let commit = super::short_commit(identity.commit.as_deref()?);
    Some(if identity.dirty == Some(true) {
        commit + " with local changes"
    } else {
        commit
    })
}

pub(super) fn facts(identity: &Identity) -> Vec<Fact> {
    let requests = (identity.requests > 0)
        .then(|| format!("{}, {} failed", identity.requests, identity.failed_requests));
    let facts = [
        ("file", Some(identity.file.clone())),
        ("measured", identity.created.clone()),
        (
            "commits since",
            identity.commits_since.map(|count| count.to_string()),
        ),
        ("commit", commit(identity)),
        ("server", identity.server.clone()),
        ("model", identity.model.clone()),
        ("hardware", identity.hardware.clone()),
        ("host", identity.host.clone()),
        ("workload", identity.workload.clone()),
        ("repeats", Some(identity.repeats.to_string())),
        ("requests", requests),
    ];
    let known = facts.into_iter().filter_map(|(name, value)| {
        let value = value?;
        Some(Fact { name, value })
    });
    known.collect()
}

/// Facts of an alternating side that is not one of the two runs shown.
pub(super) fn beside(comparison: &Comparison, side: Option<&Identity>) -> Vec<Fact> {
    let shown = [&comparison.baseline.file, &comparison.candidate.file];
    let side = side.filter(|side| !shown.contains(&&side.file));
    side.map(facts).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::junit;
    use super::super::view::View;
    use super::*;
    use crate::policy::rule::{Action, Policy};
    use crate::policy::{Labels, compare_runs};

    /// A run of three repeats; the relative noise is that of throughput.
    fn run(tpot: f64, throughput: f64, noise: f64) -> crate::record::Run {
        let repeats: Vec<String> = [1.0, 1.0 + noise, 1.0 - noise]
            .iter()
            .map(|noise| {
                let throughput = throughput * noise;
                format!(r#"{{"metrics":{{"tpot.p95":{tpot},"throughput":{throughput}}}}}"#)
            })
            .collect();
        let json = format!(
            r#"{{"schema":"perfgate.result/1","scenarios":[{{"name":"c","repeats":[{}]}}]}}"#,
            repeats.join(",")
        );
        crate::record::parse("a.json", json.as_bytes()).unwrap()
    }

    fn compared(candidate: &crate::record::Run) -> Comparison {
        let mut policy = Policy::standard();
        policy.rules.retain(|rule| rule.action == Action::Block);
        let baseline = run(0.02, 3000.0, 0.005);
        compare_runs(&policy, &baseline, candidate, Labels::default())
    }

    #[test]
    fn the_lines_below_the_headline_are_about_its_row() {
        // Throughput changed more, but is undecided.
        let comparison = compared(&run(0.024, 1800.0, 0.4));
        assert_eq!(comparison.verdict, Verdict::Block);
        assert!(
            comparison.headline.starts_with("TPOT P95 is 20.0 % slower"),
            "{}",
            comparison.headline
        );
        let noise = View::of(&comparison).noise.unwrap();
        assert!(noise.starts_with("TPOT P95: "), "{noise}");
    }

    #[test]
    fn the_place_is_that_of_the_latency_with_the_largest_change() {
        let mut comparison = compared(&run(0.02, 2700.0, 0.005));
        let group = |latency: &str, by: &str, to, change| Stratum {
            scenario: "c".to_owned(),
            latency: latency.to_owned(),
            by: by.to_owned(),
            from: 1,
            to,
            requests: 50,
            change,
        };
        comparison.strata = vec![
            group("ttft", "prompt tokens", 10, 0.026),
            group("ttft", "prompt tokens", 20, 0.032),
            group("tpot", "prompt tokens", 10, 0.091),
            group("tpot", "prompt tokens", 20, 0.093),
        ];
        let place = View::of(&comparison).place.unwrap();
        insta::assert_snapshot!(place, @"TPOT changed equally in all requests, by +9.1 % to +9.3 %");
    }

    #[test]
    fn a_test_report_names_the_status_and_the_reason_once() {
        let report = junit::report(&compared(&run(0.02, 3100.0, 0.4))).unwrap();
        let mut lines = report.lines().map(str::trim);
        let skipped = lines.find(|line| line.starts_with("<skipped")).unwrap();
        insta::assert_snapshot!(skipped, @r#"<skipped type="undecided" message="undecided: 95 % interval −150 % to +60.1 % (limit 5.0 %)">3000 tok/s → 2994 tok/s, change +0.2 %; undecided: 95 % interval −150 % to +60.1 % (limit 5.0 %); 95 % [−150 … +60.1]; limit 5.0 %; noise 30.2 % (from today&#39;s repeats), host 15.1 %; smallest detectable regression 79.2 %; 3 and 3 repeats</skipped>"#);
    }
}
