//! The server's own metrics on both sides: the increase of its `/metrics` over each repeat.

use super::strata::counting;
use crate::metric::{Metric, Unit};
use crate::record::Run;
use crate::record::format::Repeat;
use crate::record::telemetry::ServerCounts;
use crate::report::comparison::ServerFigure;
use crate::stats;

/// A figure: its name, the metric and the entry of `telemetry.server` that contain it (the metric first), its unit.
type Figure = (
    &'static str,
    Option<Metric>,
    fn(&ServerCounts) -> Option<f64>,
    Unit,
);

const FIGURES: [Figure; 15] = [
    ("requests", None, |server| server.requests, Unit::Count),
    (
        "prompt tokens",
        None,
        |server| server.prompt_tokens,
        Unit::Tokens,
    ),
    (
        "output tokens",
        None,
        |server| server.output_tokens,
        Unit::Tokens,
    ),
    ("mean TTFT", None, |server| server.ttft_mean, Unit::Seconds),
    ("mean TPOT", None, |server| server.tpot_mean, Unit::Seconds),
    (
        "mean inter-token latency",
        None,
        |server| server.itl_mean,
        Unit::Seconds,
    ),
    (
        "mean request time",
        None,
        |server| server.e2e_mean,
        Unit::Seconds,
    ),
    (
        "mean queue time",
        Some(Metric::SERVER_QUEUE_TIME),
        |server| server.queue_mean,
        Unit::Seconds,
    ),
    (
        "mean prefill time",
        None,
        |server| server.prefill_mean,
        Unit::Seconds,
    ),
    (
        "mean decode time",
        None,
        |server| server.decode_mean,
        Unit::Seconds,
    ),
    (
        "prefix-cache hit rate",
        Some(Metric::SERVER_PREFIX_CACHE_HIT_RATE),
        |server| server.prefix_cache_hit_rate,
        Unit::Ratio,
    ),
    (
        "pre-emptions",
        Some(Metric::SERVER_PREEMPTIONS),
        |server| server.preemptions,
        Unit::Count,
    ),
    (
        "peak running requests",
        None,
        |server| server.running_peak,
        Unit::Count,
    ),
    (
        "peak waiting requests",
        None,
        |server| server.waiting_peak,
        Unit::Count,
    ),
    (
        "peak KV-cache usage",
        None,
        |server| server.kv_cache_usage_peak,
        Unit::Ratio,
    ),
];

/// Medians over the repeats that count; a figure that neither server reports is left out.
pub(crate) fn server_figures(baseline: &Run, candidate: &Run) -> Vec<ServerFigure> {
    let mut found = Vec::new();
    for scenario in &candidate.scenarios {
        let (before, after) = (
            counting(baseline, &scenario.name),
            counting(candidate, &scenario.name),
        );
        for figure in &FIGURES {
            let of = |side: &[(usize, &Repeat)]| {
                let values: Vec<f64> = side
                    .iter()
                    .filter_map(|(_, repeat)| value(repeat, figure))
                    .collect();
                stats::median(&values).filter(|median| median.is_finite())
            };
            let (name, _, _, unit) = figure;
            let (baseline, candidate) = (of(&before), of(&after));
            if baseline.is_some() || candidate.is_some() {
                found.push(ServerFigure {
                    scenario: scenario.name.clone(),
                    figure: (*name).to_owned(),
                    unit: *unit,
                    baseline,
                    candidate,
                });
            }
        }
    }
    found
}

fn value(repeat: &Repeat, (_, metric, entry, _): &Figure) -> Option<f64> {
    let measured = metric.and_then(|metric| repeat.metric(metric));
    let counted = || entry(repeat.telemetry.server.as_ref()?);
    measured.or_else(counted).filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(repeats: &[&str]) -> Run {
        let json = format!(
            r#"{{"schema":"perfgate.result/1","scenarios":[{{"name":"c","repeats":[{}]}}]}}"#,
            repeats.join(",")
        );
        crate::record::parse("a.json", json.as_bytes()).unwrap()
    }

    #[test]
    fn both_sides_are_medians_over_the_repeats_that_count_and_unknown_figures_are_left_out() {
        let baseline = run(&[
            r#"{"metrics":{"server.queue_time":0.1},"telemetry":{"server":{"prefill_mean":0.2,"requests":"many"}}}"#,
            r#"{"metrics":{"server.queue_time":0.3},"telemetry":{"server":{"prefill_mean":0.4}}}"#,
            r#"{"metrics":{"server.queue_time":9},"void":"throttled"}"#,
        ]);
        let candidate =
            run(&[r#"{"metrics":{"qps":1},"telemetry":{"server":{"queue_mean":0.5}}}"#]);
        let found: Vec<String> = server_figures(&baseline, &candidate)
            .iter()
            .map(|row| format!("{}: {:?} {:?}", row.figure, row.baseline, row.candidate))
            .collect();
        insta::assert_snapshot!(found.join("\n"), @"
        mean queue time: Some(0.2) Some(0.5)
        mean prefill time: Some(0.30000000000000004) None
        ");
    }

    #[test]
    fn runs_whose_servers_report_nothing_have_no_figures() {
        let bare = run(&[r#"{"metrics":{"qps":1},"telemetry":{"server":3}}"#]);
        assert_eq!(server_figures(&bare, &bare), []);
    }
}
