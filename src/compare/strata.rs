//! Where it became slower: the same request in both runs, by prompt length, output length and order of arrival.
//!
//! It explains and never decides: requests of one repeat share its server and are not replicates.

use std::ops::Range;

use super::packaging::unlike;
use crate::metric::Metric;
use crate::record::Run;
use crate::record::format::{Repeat, Samples};
use crate::report::comparison::Stratum;
use crate::stats;

/// The fewest requests of a stratum for a useful median.
const FEWEST: usize = 10;

/// Strata of each kind.
const PARTS: usize = 3;

/// One request of both runs.
struct Request {
    /// Index in the workload.
    place: u64,
    prompt_tokens: Option<u64>,
    output_tokens: Option<u64>,
    /// Median over the repeats of ln(candidate / baseline).
    change: f64,
}

/// Reads a latency from the samples.
type Column = fn(&Samples) -> Option<&Vec<Option<f64>>>;

/// Reads the key that groups requests.
type Key = fn(&Request) -> Option<u64>;

/// The change of TTFT and TPOT in every stratum of every scenario for which both runs have samples.
pub(crate) fn strata(baseline: &Run, candidate: &Run) -> Vec<Stratum> {
    let mut found = Vec::new();
    let latencies: [(&str, Metric, Column); 2] = [
        ("ttft", Metric::TTFT_MEAN, |samples| samples.ttft.as_ref()),
        ("tpot", Metric::TPOT_MEAN, |samples| samples.tpot.as_ref()),
    ];
    let keys: [(&str, Key); 3] = [
        ("prompt tokens", |request| request.prompt_tokens),
        ("output tokens", |request| request.output_tokens),
        ("order of arrival", |request| Some(request.place)),
    ];
    for scenario in &candidate.scenarios {
        let before = counting(baseline, &scenario.name);
        let after = counting(candidate, &scenario.name);
        let both = baseline.scenario(&scenario.name).zip(Some(scenario));
        for (latency, metric, column) in latencies {
            if both.is_some_and(|(accepted, new)| unlike(metric, accepted, new).is_some()) {
                continue;
            }
            let requests = requests(&before, &after, column);
            for (by, key) in keys {
                let parts = parts(&requests, key);
                let of_part = |(range, changes): (Range<u64>, Vec<f64>)| {
                    Some(Stratum {
                        scenario: scenario.name.clone(),
                        latency: latency.to_owned(),
                        by: by.to_owned(),
                        from: range.start,
                        to: range.end,
                        requests: u32::try_from(changes.len()).unwrap_or(u32::MAX),
                        change: stats::median(&changes)?.exp_m1(),
                    })
                };
                found.extend(parts.into_iter().filter_map(of_part));
            }
        }
    }
    found
}

/// The repeats that count, as in the file, with their indices in run order.
pub(super) fn counting<'a>(run: &'a Run, scenario: &str) -> Vec<(usize, &'a Repeat)> {
    let Some((in_file, checked)) = run.in_file(scenario) else {
        return Vec::new();
    };
    let both = in_file.repeats.iter().zip(&checked.repeats);
    both.enumerate()
        .filter(|(_, (_, checked))| checked.void.is_none())
        .map(|(place, (repeat, _))| (place, repeat))
        .collect()
}

fn requests(
    before: &[(usize, &Repeat)],
    after: &[(usize, &Repeat)],
    column: Column,
) -> Vec<Request> {
    let pairs: Vec<(&Samples, &Samples)> = before
        .iter()
        .zip(after)
        .filter_map(|((_, before), (_, after))| before.samples.as_ref().zip(after.samples.as_ref()))
        .collect();
    let Some((first, _)) = pairs.first() else {
        return Vec::new();
    };
    let count = column(first).map_or(0, Vec::len);
    let same = |samples: &Samples| column(samples).is_some_and(|values| values.len() == count);
    if !pairs
        .iter()
        .all(|(before, after)| same(before) && same(after))
    {
        return Vec::new();
    }
    let of_request = |place: usize| {
        let value = |samples: &Samples| column(samples)?.get(place).copied().flatten();
        let changes: Vec<f64> = pairs
            .iter()
            .filter_map(|(before, after)| value(before).zip(value(after)))
            .filter(|(before, after)| *before > 0.0 && *after > 0.0)
            .map(|(before, after)| (after / before).ln())
            .collect();
        let tokens =
            |column: &Option<Vec<Option<u64>>>| column.as_ref()?.get(place).copied().flatten();
        Some(Request {
            place: place as u64 + 1,
            prompt_tokens: tokens(&first.prompt_tokens),
            output_tokens: tokens(&first.output_tokens),
            change: stats::median(&changes)?,
        })
    };
    (0..count).filter_map(of_request).collect()
}

/// Thirds of the requests by `key`, each with its range (both ends included) and its changes. Equal keys stay together;
/// empty where the keys do not differ enough for two parts.
fn parts(requests: &[Request], key: Key) -> Vec<(Range<u64>, Vec<f64>)> {
    let mut keyed: Vec<(u64, f64)> = requests
        .iter()
        .filter_map(|request| Some((key(request)?, request.change)))
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    let mut parts: Vec<(Range<u64>, Vec<f64>)> = Vec::new();
    let size = keyed.len().div_ceil(PARTS).max(FEWEST);
    for (key, change) in keyed {
        match parts.last_mut() {
            Some((range, changes)) if changes.len() < size || range.end == key => {
                range.end = key;
                changes.push(change);
            }
            Some(_) | None => parts.push((key..key, vec![change])),
        }
    }
    // A remainder that is too small is added to the part before it.
    if parts
        .last()
        .is_some_and(|(_, changes)| changes.len() < FEWEST)
        && let Some((range, changes)) = parts.pop()
        && let Some((last, all)) = parts.last_mut()
    {
        last.end = range.end;
        all.extend(changes);
    }
    if parts.len() < 2 { Vec::new() } else { parts }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 60 requests; those with long outputs take `factor` times as long per token.
    fn run(factor: f64) -> Run {
        let column = |of: &dyn Fn(usize) -> String| {
            let values: Vec<String> = (0..60).map(of).collect();
            values.join(",")
        };
        let tokens = |place: usize| 10 + 10 * (place % 3);
        let tpot = |place: usize| {
            let slow = if tokens(place) == 30 { factor } else { 1.0 };
            (0.02 * slow).to_string()
        };
        let json = format!(
            r#"{{"schema":"perfgate.result/1","scenarios":[{{"name":"c","repeats":[{{"samples":
                {{"tpot":[{}],"output_tokens":[{}],"prompt_tokens":[{}]}}}}]}}]}}"#,
            column(&tpot),
            column(&|place| tokens(place).to_string()),
            column(&|_| "7".to_owned()),
        );
        crate::record::parse("a.json", json.as_bytes()).unwrap()
    }

    #[test]
    fn the_requests_that_became_slower_have_their_own_stratum() {
        let found = strata(&run(1.0), &run(1.2));
        let shown: Vec<String> = found
            .iter()
            .map(|stratum| {
                format!(
                    "{} by {}: {} to {}, {} requests, {:+.2}",
                    stratum.latency,
                    stratum.by,
                    stratum.from,
                    stratum.to,
                    stratum.requests,
                    stratum.change
                )
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @"
        tpot by output tokens: 10 to 10, 20 requests, +0.00
        tpot by output tokens: 20 to 20, 20 requests, +0.00
        tpot by output tokens: 30 to 30, 20 requests, +0.20
        tpot by order of arrival: 1 to 20, 20 requests, +0.00
        tpot by order of arrival: 21 to 40, 20 requests, +0.00
        tpot by order of arrival: 41 to 60, 20 requests, +0.00
        ");
    }

    #[test]
    fn runs_without_samples_or_with_other_requests_have_no_strata() {
        let other = r#"{"schema":"perfgate.result/1","scenarios":[{"name":"c","repeats":[{"metrics":{"qps":1}}]}]}"#;
        let other = crate::record::parse("a.json", other.as_bytes()).unwrap();
        assert!(strata(&run(1.0), &other).is_empty());
        assert!(strata(&other, &run(1.0)).is_empty());
    }
}
