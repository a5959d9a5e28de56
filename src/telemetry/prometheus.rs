//! The Prometheus text format, version 0.0.4, of `/metrics`: names, labels, values.
//!
//! Source of the grammar: Prometheus documentation, "Exposition formats".

use std::collections::BTreeMap;

/// One answer of `/metrics`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scrape {
    samples: BTreeMap<String, Vec<Sample>>,
}

/// One line with a value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Labels by name.
    pub labels: BTreeMap<String, String>,
    /// The value; may be infinite or not a number.
    pub value: f64,
}

/// A line that violates the format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of /metrics: {reason}")]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// The problem.
    pub reason: &'static str,
}

/// Most samples that are kept: dozens of engines with all their names.
const MAX_SAMPLES: usize = 16_384;

impl Scrape {
    /// Parses a whole answer, and keeps the wanted names. One bad line makes all of it unreliable (it may be truncated).
    pub fn parse(text: &str, is_wanted: fn(&str) -> bool) -> Result<Self, ParseError> {
        let mut scrape = Self::default();
        let mut kept = 0;
        for (index, line) in text.lines().enumerate() {
            let wrong = |reason| ParseError {
                line: index + 1,
                reason,
            };
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                let (name, sample) = parse_sample(line).map_err(wrong)?;
                if !is_wanted(name) {
                    continue;
                }
                kept += 1;
                if kept > MAX_SAMPLES {
                    return Err(wrong("more samples than any server has"));
                }
                scrape
                    .samples
                    .entry(name.to_owned())
                    .or_default()
                    .push(sample);
            }
        }
        Ok(scrape)
    }

    /// The samples of that name, one per set of labels.
    pub fn samples(&self, name: &str) -> &[Sample] {
        self.samples.get(name).map_or(&[], Vec::as_slice)
    }

    /// The sum over all sets of labels (several engines of one server); `None` if the name is missing.
    pub fn sum(&self, name: &str) -> Option<f64> {
        self.samples
            .get(name)
            .map(|samples| samples.iter().map(|sample| sample.value).sum())
    }
}

/// `name{label="value",…} value [timestamp]`
fn parse_sample(line: &str) -> Result<(&str, Sample), &'static str> {
    let end = line
        .find(|c: char| c == '{' || c.is_whitespace())
        .ok_or("a name has no value")?;
    let (name, rest) = line.split_at(end);
    if !is_name(name) {
        return Err("a name contains invalid characters");
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(labels) => parse_labels(labels)?,
        None => (BTreeMap::new(), rest),
    };
    let mut fields = rest.split_whitespace();
    let value = fields
        .next()
        .ok_or("a value is missing")?
        .parse::<f64>()
        .map_err(|_not_a_number| "a value is not a number")?;
    if let Some(timestamp) = fields.next()
        && timestamp.parse::<i64>().is_err()
    {
        return Err("the text after the value is not a timestamp");
    }
    Ok((name, Sample { labels, value }))
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | ':'))
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
}

/// The text after `{`, up to and including `}`; returns the rest of the line.
fn parse_labels(text: &str) -> Result<(BTreeMap<String, String>, &str), &'static str> {
    let mut labels = BTreeMap::new();
    let mut rest = text.trim_start();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        let (name, after) = rest.split_once('=').ok_or("a label has no value")?;
        let quoted = after
            .trim_start()
            .strip_prefix('"')
            .ok_or("a label's value has no quotation mark")?;
        let (value, after) = parse_quoted(quoted)?;
        let name = name.trim();
        if !is_name(name) {
            return Err("a label's name contains invalid characters");
        }
        labels.insert(name.to_owned(), value);
        rest = after.trim_start();
        // A comma is also allowed before the bracket.
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None if rest.starts_with('}') => {}
            None => return Err("the comma between two labels is missing"),
        }
    }
}

/// The text after the first quotation mark, up to the second: `\\`, `\"` and `\n` are escapes.
fn parse_quoted(text: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                Some((_, other)) => value.extend(['\\', other]),
                None => break,
            },
            plain => value.push(plain),
        }
    }
    Err("a label's value has no closing quotation mark")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Scrape, ParseError> {
        Scrape::parse(text, |_| true)
    }

    const RUNNING: &str = include_str!("../../tests/fixtures/vllm-0.32-cpu/metrics/8-running.txt");

    #[test]
    fn the_answer_of_a_real_vllm_is_read_whole() {
        let scrape = parse(RUNNING).unwrap();
        let lines = RUNNING
            .lines()
            .filter(|line| !line.starts_with('#'))
            .count();
        let samples: usize = scrape.samples.values().map(Vec::len).sum();
        assert_eq!(samples, lines);
        assert_eq!(scrape.sum("vllm:num_requests_running"), Some(8.0));
        let info = &scrape.samples("vllm:cache_config_info")[0];
        assert_eq!(info.labels["kv_cache_size_tokens"], "524288");
        assert_eq!(scrape.sum("no_such_name"), None);
    }

    #[test]
    fn escapes_spaces_timestamps_and_odd_numbers_are_understood() {
        let scrape = parse(
            "a{ x = \"q\\\"b\\\\n\\nl}\" , y=\"ü\", } 1.5e3 1700000000\nb +Inf\nb NaN\n\n# a comment\n",
        )
        .unwrap();
        let a = &scrape.samples("a")[0];
        assert_eq!(a.labels["x"], "q\"b\\n\nl}");
        assert_eq!(a.labels["y"], "ü");
        assert!((a.value - 1500.0).abs() < f64::EPSILON);
        assert!(scrape.samples("b")[0].value.is_infinite());
        assert!(scrape.sum("b").unwrap().is_nan());
    }

    #[test]
    fn a_truncated_answer_is_refused_with_its_line() {
        let error = parse("a 1\nb{x=\"y").unwrap_err();
        insta::assert_snapshot!(error, @"line 2 of /metrics: a label's value has no closing quotation mark");
        for text in [
            "a",
            "a b",
            "1a 1",
            "a{x} 1",
            "a{x=\"y\" z=\"w\"} 1",
            "a 1 x",
            "a{x=\"y\"}",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_used_names_are_kept_and_their_number_is_limited() {
        let is_wanted = |name: &str| name.starts_with("vllm:");
        let many = |name: &str| {
            (0..=MAX_SAMPLES)
                .map(|number| format!("{name}{number} 1\n"))
                .collect::<String>()
        };
        let scrape = Scrape::parse(&(many("other") + "vllm:x 2\n"), is_wanted).unwrap();
        assert_eq!((scrape.samples.len(), scrape.sum("vllm:x")), (1, Some(2.0)));
        let error = Scrape::parse(&many("vllm:"), is_wanted).unwrap_err();
        insta::assert_snapshot!(error, @"line 16385 of /metrics: more samples than any server has");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(?s).*") {
            drop(parse(&text));
        }

        #[test]
        fn nearly_right_text_does_not_panic(text in "[a{}=\",\\\\ 1\n#ü]{0,60}") {
            drop(parse(&text));
        }

        #[test]
        fn a_label_value_survives_writing_and_reading(value in "[^\r\n]*") {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
            let scrape = parse(&format!("a{{x=\"{escaped}\"}} 1")).unwrap();
            prop_assert_eq!(&scrape.samples("a")[0].labels["x"], &value);
        }
    }
}
