//! The server's own metrics on both sides: the increase of its `/metrics` over each repeat.

use super::strata::counting;
use crate::metric::Metric;
use crate::metric::Unit::{self, Count, Ratio, Seconds, Tokens};
use crate::record::Run;
use crate::record::format::Repeat;
use crate::record::telemetry::ServerCounts;
use crate::report::comparison::ServerFigure;
use crate::stats;

/// A figure: its name, its unit, and the entry of `telemetry.server` that contains it.
type Figure = (&'static str, Unit, fn(&ServerCounts) -> Option<f64>);

const FIGURES: [Figure; 15] = [
    ("requests", Count, |server| server.requests),
    ("prompt tokens", Tokens, |server| server.prompt_tokens),
    ("output tokens", Tokens, |server| server.output_tokens),
    ("mean TTFT", Seconds, |server| server.ttft_mean),
    ("mean TPOT", Seconds, |server| server.tpot_mean),
    ("mean inter-token latency", Seconds, |server| {
        server.itl_mean
    }),
    ("mean request time", Seconds, |server| server.e2e_mean),
    (QUEUE_TIME, Seconds, |server| server.queue_mean),
    ("mean prefill time", Seconds, |server| server.prefill_mean),
    ("mean decode time", Seconds, |server| server.decode_mean),
    (HIT_RATE, Ratio, |server| server.prefix_cache_hit_rate),
    (PREEMPTIONS, Count, |server| server.preemptions),
    ("peak running requests", Count, |server| server.running_peak),
    ("peak waiting requests", Count, |server| server.waiting_peak),
    ("peak KV-cache usage", Ratio, |server| {
        server.kv_cache_usage_peak
    }),
];

/// The figures that are metrics too; the metric comes first.
const METRICS: [(&str, Metric); 3] = [
    (QUEUE_TIME, Metric::SERVER_QUEUE_TIME),
    (HIT_RATE, Metric::SERVER_PREFIX_CACHE_HIT_RATE),
    (PREEMPTIONS, Metric::SERVER_PREEMPTIONS),
];

const QUEUE_TIME: &str = "mean queue time";
const HIT_RATE: &str = "prefix-cache hit rate";
const PREEMPTIONS: &str = "pre-emptions";

/// Medians over the repeats that count; a figure that neither server reports is left out.
pub(crate) fn server_figures(baseline: &Run, candidate: &Run) -> Vec<ServerFigure> {
    let mut found = Vec::new();
    for scenario in &candidate.scenarios {
        let (before, after) = (
            counting(baseline, &scenario.name),
            counting(candidate, &scenario.name),
        );
        for (figure, unit, entry) in FIGURES {
            let metric = METRICS.iter().find(|(name, _)| *name == figure);
            let value = |repeat: &Repeat| {
                let measured = metric.and_then(|(_, metric)| repeat.metric(*metric));
                let counted = || entry(repeat.telemetry.server.as_ref()?);
                measured.or_else(counted).filter(|value| value.is_finite())
            };
            let of = |side: &[(usize, &Repeat)]| {
                let values = side.iter().filter_map(|(_, repeat)| value(repeat));
                stats::median(&values.collect::<Vec<f64>>()).filter(|median| median.is_finite())
            };
            let (baseline, candidate) = (of(&before), of(&after));
            if baseline.is_some() || candidate.is_some() {
                found.push(ServerFigure {
                    scenario: scenario.name.clone(),
                    figure: figure.to_owned(),
                    unit,
                    baseline,
                    candidate,
                });
            }
        }
    }
    found
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
