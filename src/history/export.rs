//! The history in the formats of common dashboards.

use serde::Serializer as _;
use serde_json::{Map, Value, json};

use super::series::{Point, Series};
use crate::metric::{Better, Metric, Unit};

/// The labels of a history.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    /// Name of the gate.
    pub name: &'a str,
    /// The hardware that selects its baseline.
    pub hardware: &'a str,
}

/// Columns of the CSV and keys of the JSON Lines. A step of a metric begins a new segment; the first is 0.
const COLUMNS: [&str; 15] = [
    "name", "hardware", "session", "created", "commit", "release", "scenario", "metric", "unit",
    "better", "value", "low", "high", "repeats", "segment",
];

/// The values of these columns, for one value of one session each.
fn lines(labels: Labels<'_>, series: &[Series]) -> impl Iterator<Item = [Value; 15]> {
    series.iter().flat_map(move |series| {
        let points = series.points.iter().enumerate();
        points.map(move |(index, point)| {
            let segment = series.steps.iter().filter(|step| step.at <= index).count();
            [
                json!(labels.name),
                json!(labels.hardware),
                json!(point.session),
                json!(point.created),
                json!(point.commit),
                json!(point.release),
                json!(series.scenario),
                json!(series.metric),
                json!(series.metric.unit()),
                json!(series.metric.better()),
                json!(point.value),
                json!(point.range.0),
                json!(point.range.1),
                json!(point.repeats),
                json!(segment),
            ]
        })
    })
}

/// One JSON object per value and line.
pub fn json_lines(labels: Labels<'_>, series: &[Series]) -> serde_json::Result<String> {
    let mut text = String::new();
    for values in lines(labels, series) {
        let mut line = Vec::new();
        let mut serializer = serde_json::Serializer::new(&mut line);
        serializer.collect_map(COLUMNS.into_iter().zip(values))?;
        text.push_str(&String::from_utf8_lossy(&line));
        text.push('\n');
    }
    Ok(text)
}

/// One value per line, by RFC 4180; base units.
pub fn csv(labels: Labels<'_>, series: &[Series]) -> String {
    let mut text = COLUMNS.join(",") + "\r\n";
    for values in lines(labels, series) {
        let cells = values.map(|value| match value.as_str() {
            Some(text) => quoted(text),
            None if value.is_null() => String::new(),
            None => value.to_string(),
        });
        text.push_str(&(cells.join(",") + "\r\n"));
    }
    text
}

fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

fn last(series: &[Series]) -> impl Iterator<Item = (&Series, &Point)> {
    series
        .iter()
        .filter_map(|series| Some((series, series.points.last()?)))
}

/// The last session in Prometheus' text format, for a file that a node exporter collects: one family per metric, in base
/// units, without timestamps, which such files must not contain.
pub fn prometheus(labels: Labels<'_>, series: &[Series]) -> String {
    let mut text = String::new();
    let mut metrics: Vec<Metric> = Vec::new();
    for (series, _) in last(series) {
        if !metrics.contains(&series.metric) {
            metrics.push(series.metric);
        }
    }
    for metric in metrics {
        let family = format!("perfgate_{}{}", underscored(metric), suffix(metric));
        text.push_str(&format!(
            "# HELP {family} {}\n# TYPE {family} gauge\n",
            metric
                .description()
                .replace('\\', "\\\\")
                .replace('\n', " ")
        ));
        for (series, point) in last(series).filter(|(series, _)| series.metric == metric) {
            text.push_str(&format!(
                "{family}{{name=\"{}\",hardware=\"{}\",scenario=\"{}\"}} {}\n",
                label(labels.name),
                label(labels.hardware),
                label(&series.scenario),
                point.value
            ));
        }
    }
    text
}

fn underscored(metric: Metric) -> String {
    metric.id().replace('.', "_")
}

/// The unit at the end of a name, by the conventions of Prometheus, if the name lacks it.
fn suffix(metric: Metric) -> &'static str {
    match metric.unit() {
        Unit::Seconds => "_seconds",
        Unit::Bytes => "_bytes",
        Unit::Ratio => "_ratio",
        Unit::TokensPerSecond => "_tokens_per_second",
        Unit::RequestsPerSecond => "_requests_per_second",
        Unit::Tokens | Unit::Count => "",
    }
}

fn label(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// The last session in Bencher Metric Format: a benchmark per scenario, a measure per metric, with the smallest and the
/// largest repeat.
pub fn bencher(labels: Labels<'_>, series: &[Series]) -> Value {
    let mut benchmarks = Map::new();
    for (series, point) in last(series) {
        let benchmark = format!("{}/{}", labels.name, series.scenario);
        let measures = benchmarks
            .entry(benchmark)
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(measures) = measures {
            measures.insert(
                series.metric.id().replace(['.', '_'], "-"),
                json!({"value": point.value, "lower_value": point.range.0, "upper_value": point.range.1}),
            );
        }
    }
    Value::Object(benchmarks)
}

/// The last session as a custom benchmark of github-action-benchmark: each of its lists contains either metrics for which
/// smaller is better, or metrics for which bigger is better.
pub fn github_action_benchmark(labels: Labels<'_>, series: &[Series], better: Better) -> Value {
    let of_kind = last(series).filter(|(series, _)| series.metric.better() == better);
    let benchmarks = of_kind.map(|(series, point)| {
        let unit = serde_json::to_value(series.metric.unit()).unwrap_or_default();
        let half = (point.range.1 - point.range.0) / 2.0;
        json!({
            "name": format!("{}/{}/{}", labels.name, series.scenario, series.metric),
            "unit": unit,
            "value": point.value,
            "range": format!("± {half:.4}"),
            "extra": format!("{}\n{} repeats", labels.hardware, point.repeats),
        })
    });
    benchmarks.collect()
}

#[cfg(test)]
mod tests {
    use super::super::all_series;
    use super::*;
    use crate::record::Run;

    const LABELS: Labels<'_> = Labels {
        name: "llama",
        hardware: "nvidia-l4",
    };

    fn sessions() -> Vec<Run> {
        let session = |day: u32, tpot: f64| {
            let json = format!(
                r#"{{"schema":"perfgate.result/1","created":"2026-01-0{day}T00:00:00Z","source":{{"commit":"c{day}"}},
                "scenarios":[{{"name":"a \"b\", c","repeats":[
                    {{"metrics":{{"tpot.p95":{tpot},"throughput":3000}}}},{{"metrics":{{"tpot.p95":0.03,"throughput":3100}}}}]}}]}}"#
            );
            crate::record::parse("a.json", json.as_bytes()).unwrap()
        };
        vec![session(1, 0.02), session(2, 0.021)]
    }

    fn series() -> Vec<Series> {
        let metrics = ["tpot.p95", "throughput"].map(|id| Metric::parse(id).unwrap());
        all_series(&sessions(), &metrics)
    }

    #[test]
    fn the_table_has_a_line_per_value() {
        insta::assert_snapshot!(csv(LABELS, &series()).replace('\r', ""), @r#"
        name,hardware,session,created,commit,release,scenario,metric,unit,better,value,low,high,repeats,segment
        llama,nvidia-l4,0,2026-01-01T00:00:00Z,c1,,"a ""b"", c",tpot.p95,s,lower,0.025,0.02,0.03,2,0
        llama,nvidia-l4,1,2026-01-02T00:00:00Z,c2,,"a ""b"", c",tpot.p95,s,lower,0.025500000000000002,0.021,0.03,2,0
        llama,nvidia-l4,0,2026-01-01T00:00:00Z,c1,,"a ""b"", c",throughput,tokens/s,higher,3050.0,3000.0,3100.0,2,0
        llama,nvidia-l4,1,2026-01-02T00:00:00Z,c2,,"a ""b"", c",throughput,tokens/s,higher,3050.0,3000.0,3100.0,2,0
        "#);
    }

    #[test]
    fn the_last_session_is_what_dashboards_get() {
        insta::assert_snapshot!(prometheus(LABELS, &series()), @r#"
        # HELP perfgate_tpot_p95_seconds (Last token - first chunk) / (output tokens after the first chunk) of a request; 95th percentile
        # TYPE perfgate_tpot_p95_seconds gauge
        perfgate_tpot_p95_seconds{name="llama",hardware="nvidia-l4",scenario="a \"b\", c"} 0.025500000000000002
        # HELP perfgate_throughput_tokens_per_second Output tokens / measured wall time
        # TYPE perfgate_throughput_tokens_per_second gauge
        perfgate_throughput_tokens_per_second{name="llama",hardware="nvidia-l4",scenario="a \"b\", c"} 3050
        "#);
        insta::assert_json_snapshot!(bencher(LABELS, &series()), @r#"
        {
          "llama/a \"b\", c": {
            "throughput": {
              "lower_value": 3000.0,
              "upper_value": 3100.0,
              "value": 3050.0
            },
            "tpot-p95": {
              "lower_value": 0.021,
              "upper_value": 0.03,
              "value": 0.025500000000000002
            }
          }
        }
        "#);
        insta::assert_json_snapshot!(
            github_action_benchmark(LABELS, &series(), Better::Lower),
            @r#"
        [
          {
            "extra": "nvidia-l4\n2 repeats",
            "name": "llama/a \"b\", c/tpot.p95",
            "range": "± 0.0045",
            "unit": "s",
            "value": 0.025500000000000002
          }
        ]
        "#
        );
    }

    #[test]
    fn every_line_is_read_back_as_json() {
        let text = json_lines(LABELS, &series()).unwrap();
        let values: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(values.len(), 4);
        assert_eq!(values[0]["scenario"], "a \"b\", c");
    }
}
