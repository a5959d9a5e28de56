//! The result of a run of a scenario: a summary like the LoadGen's, and JSON. Renderers decide nothing.

use super::number;
use super::terminal::wrapped;
use crate::metric::Metric;
use crate::mlperf::{MlperfReport, Scenario};
use crate::text::sanitize;

/// Room for names.
const NAMES: usize = 34;

/// `perfgate.mlperf/1`, indented.
pub fn json(report: &MlperfReport) -> String {
    crate::json::pretty(report)
}

/// A summary of `name : value` lines, the result among the first, every reason below it.
pub fn text(report: &MlperfReport) -> String {
    let mut text = String::new();
    let scenario = match report.scenario {
        Scenario::Server => "Server",
        Scenario::Interactive => "Interactive",
        Scenario::Offline => "Offline",
    };
    line(&mut text, "scenario", scenario);
    line(&mut text, "task", &report.task);
    line(&mut text, "model", &report.model);
    let shown = |metric: Metric| {
        report.metrics.get(metric.id()).map_or_else(
            || "not measured".to_owned(),
            |value| number::value(*value, metric.unit()),
        )
    };
    if let Some(rate) = report.target_qps {
        line(&mut text, "scheduled queries per second", &rate.to_string());
    }
    for (name, metric) in [
        ("completed queries per second", Metric::QPS),
        ("completed tokens per second", Metric::THROUGHPUT),
    ] {
        line(&mut text, name, &shown(metric));
    }
    line(&mut text, "result is", validity(report.valid));
    for reason in &report.reasons {
        text.push_str(&wrapped(&format!("- {}", sanitize::line(reason))));
    }
    for warning in &report.warnings {
        text.push_str(&wrapped(&format!("warning: {}", sanitize::line(warning))));
    }
    text.push('\n');
    requirements(report, &mut text);
    text.push('\n');
    let ttft = [
        Metric::TTFT_MEAN,
        Metric::TTFT_P50,
        Metric::TTFT_P90,
        Metric::TTFT_P99,
    ];
    let tpot = [
        Metric::TPOT_MEAN,
        Metric::TPOT_P50,
        Metric::TPOT_P90,
        Metric::TPOT_P99,
    ];
    for (latency, metrics) in [("TTFT", ttft), ("TPOT", tpot)] {
        let name = format!("{latency} mean, P50, P90, P99");
        line(&mut text, &name, &metrics.map(shown).join(", "));
    }
    for tried in &report.tried {
        let name = format!("tried {} queries per second", tried.target_qps);
        line(&mut text, &name, validity(tried.valid));
    }
    text.push('\n');
    text.push_str(&wrapped(&report.notice));
    text
}

/// One line; the value may be foreign text.
fn line(text: &mut String, name: &str, value: &str) {
    text.push_str(&format!(" {name:<NAMES$}: {}\n", sanitize::line(value)));
}

fn validity(valid: bool) -> &'static str {
    if valid { "VALID" } else { "INVALID" }
}

/// The requirements and the measured values.
fn requirements(report: &MlperfReport, text: &mut String) {
    let (required, seen) = (&report.required, &report.seen);
    let duration = format!(
        "{:.1} s, at least {} s",
        seen.duration, required.min_duration
    );
    line(text, "duration", &duration);
    let queries = format!(
        "{}, at least {}; {} failed",
        seen.queries, required.min_queries, seen.failed
    );
    line(text, "queries", &queries);
    if let Some(limits) = required.limits {
        let allowed = report.over_latency_allowed.map_or_else(
            || "too few queries for a claim".to_owned(),
            |most| format!("at most {most}"),
        );
        for (latency, limit, over) in [
            ("TTFT", limits.ttft, seen.over_ttft),
            ("TPOT", limits.tpot, seen.over_tpot),
        ] {
            let (percentile, limit) = (required.percentile * 100.0, number::tick(limit));
            let name = format!("P{percentile} of {latency} at most {limit}");
            line(text, &name, &format!("{over} over it, {allowed}"));
        }
    }
    let tokens = seen
        .output_tokens
        .map_or_else(|| "none".to_owned(), |mean| format!("{mean:.1}"));
    let requested = format!("requested {:.1} ± 10 %", required.output_tokens);
    line(text, "tokens per answer", &format!("{tokens}, {requested}"));
}
