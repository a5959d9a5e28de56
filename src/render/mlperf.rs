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
    let text = serde_json::to_string_pretty(report);
    // Serialisation cannot fail: all keys are strings, and the writer is memory.
    text.map(|text| text + "\n").unwrap_or_default()
}

/// A summary of `name : value` lines, the result among the first, every reason below it.
pub fn text(report: &MlperfReport) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        text.push_str(&format!(" {name:<NAMES$}: {}\n", sanitize::line(&value)));
    };
    let scenario = match report.scenario {
        Scenario::Server => "Server",
        Scenario::Interactive => "Interactive",
        Scenario::Offline => "Offline",
    };
    line("scenario", scenario.to_owned());
    line("task", report.task.clone());
    line("model", report.model.clone());
    let shown = |metric: Metric| {
        report.metrics.get(metric.id()).map_or_else(
            || "not measured".to_owned(),
            |value| number::value(*value, metric.unit()),
        )
    };
    if let Some(rate) = report.target_qps {
        line("scheduled queries per second", format!("{rate}"));
    }
    line("completed queries per second", shown(Metric::QPS));
    line("completed tokens per second", shown(Metric::THROUGHPUT));
    line(
        "result is",
        if report.valid { "VALID" } else { "INVALID" }.to_owned(),
    );
    for reason in &report.reasons {
        text.push_str(&wrapped(&format!("- {}", sanitize::line(reason))));
    }
    for warning in &report.warnings {
        text.push_str(&wrapped(&format!("warning: {}", sanitize::line(warning))));
    }
    text.push('\n');
    text.push_str(&requirements(report));
    text.push('\n');
    let statistics = |mean, p50, p90, p99| [mean, p50, p90, p99].map(shown).join(", ");
    let latencies = [
        (
            "TTFT mean, P50, P90, P99",
            statistics(
                Metric::TTFT_MEAN,
                Metric::TTFT_P50,
                Metric::TTFT_P90,
                Metric::TTFT_P99,
            ),
        ),
        (
            "TPOT mean, P50, P90, P99",
            statistics(
                Metric::TPOT_MEAN,
                Metric::TPOT_P50,
                Metric::TPOT_P90,
                Metric::TPOT_P99,
            ),
        ),
    ];
    for (name, values) in latencies {
        text.push_str(&format!(" {name:<NAMES$}: {values}\n"));
    }
    for tried in &report.tried {
        let answer = if tried.valid { "VALID" } else { "INVALID" };
        text.push_str(&format!(
            " {:<NAMES$}: {answer}\n",
            format!("tried {} queries per second", tried.target_qps)
        ));
    }
    text.push('\n');
    text.push_str(&wrapped(&report.notice));
    text
}

/// The requirements and the measured values.
fn requirements(report: &MlperfReport) -> String {
    let (required, seen) = (&report.required, &report.seen);
    let mut lines = vec![
        (
            "duration".to_owned(),
            format!(
                "{:.1} s, at least {} s",
                seen.duration, required.min_duration
            ),
        ),
        (
            "queries".to_owned(),
            format!(
                "{}, at least {}; {} failed",
                seen.queries, required.min_queries, seen.failed
            ),
        ),
    ];
    if let Some(limits) = required.limits {
        let allowed = report.over_latency_allowed.map_or_else(
            || "too few queries for a claim".to_owned(),
            |most| format!("at most {most}"),
        );
        for (name, limit, over) in [
            ("TTFT", limits.ttft, seen.over_ttft),
            ("TPOT", limits.tpot, seen.over_tpot),
        ] {
            lines.push((
                format!(
                    "P{} of {name} at most {}",
                    required.percentile * 100.0,
                    number::tick(limit)
                ),
                format!("{over} over it, {allowed}"),
            ));
        }
    }
    let tokens = seen
        .output_tokens
        .map_or_else(|| "none".to_owned(), |mean| format!("{mean:.1}"));
    lines.push((
        "tokens per answer".to_owned(),
        format!("{tokens}, requested {:.1} ± 10 %", required.output_tokens),
    ));
    let lines = lines
        .into_iter()
        .map(|(name, value)| format!(" {name:<NAMES$}: {value}\n"));
    lines.collect()
}
