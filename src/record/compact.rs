//! Results in their stored form: small, stable, readable in a diff. Pure.

use jiff::Timestamp;

use super::format::{Repeat, ResultFile, Samples, Scenario};
use super::telemetry::Telemetry;

/// Significant digits of a sample; the rounding error is a hundredth of the smallest detectable difference.
const DIGITS: usize = 5;

/// The status of a successful request.
const OK: &str = "ok";

/// A run in the form of a baseline: the metrics of every repeat and one column per latency, rounded to five digits.
#[must_use]
pub fn as_baseline(run: &ResultFile) -> ResultFile {
    with_repeats(run, |repeat| Repeat {
        samples: repeat.samples.as_ref().map(rounded),
        telemetry: repeat.telemetry.without_series(),
        ..repeat.clone()
    })
}

/// A run in the form of a ledger line: the metrics of every repeat.
#[must_use]
pub fn as_session(run: &ResultFile) -> ResultFile {
    with_repeats(run, |repeat| Repeat {
        samples: None,
        telemetry: Telemetry::default(),
        ..repeat.clone()
    })
}

/// Whether `one` was measured before `other`; false if a time is missing.
pub fn is_measured_before(one: &ResultFile, other: &ResultFile) -> bool {
    let time = |file: &ResultFile| file.created.as_deref()?.parse::<Timestamp>().ok();
    matches!((time(one), time(other)), (Some(one), Some(other)) if one < other)
}

fn with_repeats(run: &ResultFile, keep: impl Fn(&Repeat) -> Repeat) -> ResultFile {
    let scenario = |scenario: &Scenario| Scenario {
        repeats: scenario.repeats.iter().map(&keep).collect(),
        ..scenario.clone()
    };
    ResultFile {
        scenarios: run.scenarios.iter().map(scenario).collect(),
        ..run.clone()
    }
}

fn rounded(samples: &Samples) -> Samples {
    let column = |values: &Option<Vec<Option<f64>>>| {
        let values = values.as_ref()?;
        Some(values.iter().map(|value| value.map(round)).collect())
    };
    // Without a status column, a request with a latency succeeded.
    let all_ok = samples
        .status
        .as_ref()
        .is_some_and(|status| status.iter().all(|status| status.as_deref() == Some(OK)));
    Samples {
        status: samples.status.clone().filter(|_| !all_ok),
        start: column(&samples.start),
        ttft: column(&samples.ttft),
        tpot: column(&samples.tpot),
        e2e: column(&samples.e2e),
        prompt_tokens: samples.prompt_tokens.clone(),
        output_tokens: samples.output_tokens.clone(),
        first_chunk_tokens: samples.first_chunk_tokens.clone(),
        chunks: samples.chunks.clone(),
        itl: None,
    }
}

fn round(value: f64) -> f64 {
    let digits = DIGITS - 1;
    format!("{value:.digits$e}").parse().unwrap_or(value)
}

/// Indented JSON with each list of plain values on one line, so that a changed column is one line of a diff.
pub fn readable(result: &ResultFile) -> serde_json::Result<String> {
    let pretty = serde_json::to_string_pretty(result)?;
    let mut text = String::with_capacity(pretty.len());
    let mut list: Option<Vec<&str>> = None;
    for line in pretty.lines() {
        let trimmed = line.trim_start();
        // A line that ends with a bracket begins a list; a string would end with a quote.
        if line.ends_with('[') || line.ends_with('{') {
            if let Some(open) = list.take() {
                push_lines(&mut text, &open);
            }
            if line.ends_with('[') {
                list = Some(vec![line]);
            } else {
                push_lines(&mut text, &[line]);
            }
        } else if let Some(open) = &mut list {
            if trimmed.starts_with(']') {
                let items: Vec<&str> = open[1..].iter().map(|item| item.trim_start()).collect();
                text.push_str(open[0]);
                text.push_str(&items.join(" "));
                text.push_str(trimmed);
                text.push('\n');
                list = None;
            } else {
                open.push(line);
            }
        } else {
            push_lines(&mut text, &[line]);
        }
    }
    Ok(text)
}

fn push_lines(text: &mut String, lines: &[&str]) {
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
}

/// A session as one line of the ledger.
pub fn line(result: &ResultFile) -> serde_json::Result<String> {
    Ok(serde_json::to_string(result)? + "\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::format::SCHEMA;
    use super::*;
    use crate::report::price::Price;

    fn run(ttft: Vec<Option<f64>>, name: &str) -> ResultFile {
        let count = ttft.len();
        let repeat = Repeat {
            metrics: [("qps".to_owned(), Some(1.0 / 3.0))].into(),
            samples: Some(Samples {
                status: Some(vec![Some(OK.to_owned()); count]),
                ttft: Some(ttft),
                itl: Some(vec![Some(vec![0.1]); count]),
                ..Samples::default()
            }),
            telemetry: serde_json::from_value(serde_json::json!({
                "series": vec![1; 33],
                "client": {"busy": 0.1, "series": vec![0; 40]},
            }))
            .unwrap(),
            ..Repeat::default()
        };
        ResultFile {
            schema: SCHEMA.to_owned(),
            scenarios: vec![Scenario {
                name: name.to_owned(),
                repeats: vec![repeat],
                ..Scenario::default()
            }],
            ..ResultFile::default()
        }
    }

    #[test]
    fn a_baseline_is_rounded_and_has_no_series() {
        let with_repeats = as_baseline(&run(vec![Some(0.123_456_789), None], "c"));
        insta::assert_snapshot!(readable(&with_repeats).unwrap(), @r#"
        {
          "schema": "perfgate.result/1",
          "scenarios": [
            {
              "name": "c",
              "repeats": [
                {
                  "metrics": {
                    "qps": 0.3333333333333333
                  },
                  "samples": {
                    "ttft": [0.12346, null]
                  },
                  "telemetry": {
                    "client": {
                      "busy": 0.1
                    }
                  }
                }
              ]
            }
          ]
        }
        "#);
    }

    #[test]
    fn a_baseline_and_a_session_keep_the_price_and_the_server_starts() {
        let mut whole = run(vec![Some(0.1)], "c");
        whole.scenarios[0].repeats[0].start = Some("a-1".to_owned());
        whole.price = Some(Price {
            starts: 1,
            startup: 30.5,
            ..Price::default()
        });
        for kept in [as_baseline(&whole), as_session(&whole)] {
            assert_eq!(kept.price, whole.price);
            assert_eq!(
                kept.scenarios[0].repeats[0].start,
                whole.scenarios[0].repeats[0].start
            );
        }
    }

    #[test]
    fn a_session_is_one_line_of_metrics() {
        let text = line(&as_session(&run(vec![Some(0.1)], "c"))).unwrap();
        assert_eq!(
            text,
            "{\"schema\":\"perfgate.result/1\",\"scenarios\":[{\"name\":\"c\",\"repeats\":[{\"metrics\":{\"qps\":0.3333333333333333}}]}]}\n"
        );
    }

    proptest! {
        #[test]
        fn readable_json_round_trips(
            ttft in prop::collection::vec(prop::option::of(1e-6..1e3f64), 0..20), name in "(\\PC|\"|\\[|\\{|\n){0,12}"
        ) {
            let with_repeats = as_baseline(&run(ttft, &name));
            let back: ResultFile = serde_json::from_str(&readable(&with_repeats).unwrap()).unwrap();
            prop_assert_eq!(&back, &with_repeats);
            prop_assert_eq!(as_baseline(&back), with_repeats);
        }
    }
}
