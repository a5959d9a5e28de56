//! AMD GPUs through `amd-smi`. Written from its documentation; not tested on a real GPU.
//!
//! Source of the fields: documentation of `ROCm`, "AMD SMI CLI tool usage", `amd-smi metric --json` and `static --json`.

use std::path::PathBuf;

use serde_json::Value;

use super::NO_GPU;
use super::program::{self, NoAnswer};
use super::reading::{Facts, Reading, State};

/// Its `MB` are MiB.
const MEBIBYTE: f64 = 1_048_576.0;

/// Positions at which an answer may start; text with more brackets before it is something else.
const MOST_STARTS: usize = 64;

/// Longest shown part of an unreadable answer, in characters.
const LONGEST_SHOWN: usize = 200;

/// The program, and its answers that do not change.
#[derive(Clone, Debug)]
pub(super) struct AmdSmi {
    program: PathBuf,
    unchanging: Option<String>,
}

impl AmdSmi {
    pub(super) fn new(program: PathBuf) -> Self {
        Self {
            program,
            unchanging: None,
        }
    }

    /// All GPUs now.
    pub(super) fn look(&mut self) -> Result<Vec<Reading>, String> {
        let metric = self.ask("metric")?;
        if self.unchanging.is_none() {
            // Names are optional: their failure is ignored.
            self.unchanging = self.ask("static").ok();
        }
        parse(&metric, self.unchanging.as_deref().unwrap_or("[]"))
    }

    fn ask(&self, what: &str) -> Result<String, String> {
        program::ask(&self.program, &[what, "--json"]).map_err(|error| {
            if error == NoAnswer::NotInstalled {
                NO_GPU.to_owned()
            } else {
                error.describe("amd-smi")
            }
        })
    }
}

/// An answer of `metric` and one of `static`, both with `--json`.
pub fn parse(metric: &str, unchanging: &str) -> Result<Vec<Reading>, String> {
    let metric = gpus(metric)?;
    let unchanging = gpus(unchanging).unwrap_or_default();
    if metric.is_empty() {
        return Err(NO_GPU.to_owned());
    }
    let of = |gpu: &Value| {
        let same =
            |other: &&Value| other.get("gpu").is_some() && other.get("gpu") == gpu.get("gpu");
        unchanging.iter().find(same).cloned().unwrap_or_default()
    };
    Ok(metric.iter().map(|gpu| reading(gpu, &of(gpu))).collect())
}

/// A list, or since `ROCm` 7 an object that contains it. Warnings precede it, and some versions print the answer twice: the
/// first complete one counts.
fn gpus(text: &str) -> Result<Vec<Value>, String> {
    let mut is_json = false;
    let mut empty = None;
    for (start, _) in text.match_indices(['[', '{']).take(MOST_STARTS) {
        let mut answers = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
        let Some(Ok(value)) = answers.next() else {
            continue;
        };
        let list = value.get("gpu_data").unwrap_or(&value).as_array();
        // `[ WARNING ]` is not a list of GPUs, and `[]` in a warning is an empty one.
        match list {
            Some(list) if list.is_empty() => empty = Some(Vec::new()),
            Some(list) if list.iter().all(Value::is_object) => return Ok(list.clone()),
            Some(_) | None => is_json = true,
        }
    }
    if let Some(none) = empty {
        return Ok(none);
    }
    let shown = text.lines().map(str::trim).find(|line| !line.is_empty());
    let shown = shown.map_or("an empty answer".to_owned(), |line| {
        format!("`{}`", line.chars().take(LONGEST_SHOWN).collect::<String>())
    });
    let what = if is_json { "a list of GPUs" } else { "JSON" };
    Err(format!("amd-smi answered without {what}: {shown}"))
}

fn reading(metric: &Value, unchanging: &Value) -> Reading {
    let now = |path: &str| number(metric.pointer(path));
    let fixed = |path: &str| number(unchanging.pointer(path));
    let text = |path: &str| {
        let value = unchanging.pointer(path)?.as_str()?;
        (value != "N/A" && !value.is_empty()).then(|| value.to_owned())
    };
    let mebibytes = |value: Option<f64>| value.map(|value| value * MEBIBYTE);
    let index = metric.get("gpu").and_then(Value::as_u64);
    Reading {
        facts: Facts {
            index: index.and_then(|index| u32::try_from(index).ok()),
            uuid: text("/asic/asic_serial"),
            name: text("/asic/market_name").unwrap_or_else(|| "AMD GPU".to_owned()),
            memory: mebibytes(now("/mem_usage/total_vram").or_else(|| fixed("/vram/size"))),
            driver: text("/driver/version").or_else(|| text("/driver/driver_version")),
            power_limit: fixed("/limit/socket_power").or_else(|| fixed("/limit/max_power")),
            vbios: text("/vbios/version").or_else(|| text("/ifwi/version")),
            clock_sm_max: now("/clock/gfx_0/max_clk"),
            clock_memory_max: now("/clock/mem_0/max_clk"),
            ..Facts::default()
        },
        now: State {
            memory_used: mebibytes(now("/mem_usage/used_vram")),
            utilization: now("/usage/gfx_activity").map(|percent| percent / 100.0),
            clock_sm: now("/clock/gfx_0/clk"),
            clock_memory: now("/clock/mem_0/clk"),
            power: now("/power/socket_power"),
            temperature: now("/temperature/hotspot").or_else(|| now("/temperature/edge")),
            // It reports that clocks are reduced but not why, and the power limit alone does not void a repeat.
            throttles: None,
            ecc_uncorrected: metric
                .pointer("/ecc/total_uncorrectable_count")
                .and_then(Value::as_u64),
            ..State::default()
        },
    }
}

/// `12`, or `{"value": 12, "unit": "W"}`; `"N/A"` means unknown.
fn number(value: Option<&Value>) -> Option<f64> {
    let value = value?;
    let value = value.get("value").unwrap_or(value).as_f64();
    value.filter(|value| value.is_finite() && *value >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRIC: &str = include_str!("../../../tests/fixtures/gpu/amd-smi-metric.json");
    const STATIC: &str = include_str!("../../../tests/fixtures/gpu/amd-smi-static.json");

    #[test]
    fn an_answer_becomes_readings_in_base_units() {
        let gpus = parse(METRIC, STATIC).unwrap();
        let Reading { facts, now } = &gpus[0];
        assert_eq!(facts.name, "AMD Instinct MI300X");
        assert_eq!(facts.memory, Some(196_592.0 * MEBIBYTE));
        assert_eq!(now.memory_used, Some(176_901.0 * MEBIBYTE));
        assert_eq!((now.utilization, now.power), (Some(0.93), Some(702.0)));
        assert_eq!(
            (now.clock_sm, facts.clock_sm_max),
            (Some(1_820.0), Some(2_100.0))
        );
        assert_eq!(
            (now.temperature, now.ecc_uncorrected),
            (Some(71.0), Some(0))
        );
        assert_eq!(now.throttles, None);
        assert_eq!(facts.driver.as_deref(), Some("6.12.12"));
        // A figure that the second GPU does not report is not 0.
        assert_eq!((gpus[1].now.power, gpus[1].now.utilization), (None, None));
    }

    #[test]
    fn the_newer_form_is_read_too_and_other_answers_are_refused() {
        let wrapped = format!("{{\"gpu_data\": {METRIC}}}");
        assert_eq!(parse(&wrapped, "{}").unwrap().len(), 2);
        assert_eq!(parse("[]", "[]").unwrap_err(), NO_GPU);
        insta::assert_snapshot!(parse("\nGPU: 0\nmore", "[]").unwrap_err(), @"amd-smi answered without JSON: `GPU: 0`");
        insta::assert_snapshot!(parse("{}", "[]").unwrap_err(), @"amd-smi answered without a list of GPUs: `{}`");
        insta::assert_snapshot!(parse("", "[]").unwrap_err(), @"amd-smi answered without JSON: an empty answer");
    }

    #[test]
    fn text_before_the_answer_is_skipped_and_the_first_of_two_counts() {
        for noise in [
            "WARNING: User is missing the following required groups: render, video.\n",
            "[WARN] {not an answer} [1, 2]\n",
        ] {
            assert_eq!(
                parse(&format!("{noise}{METRIC}"), STATIC).unwrap().len(),
                2,
                "{noise}"
            );
        }
        let twice = format!("{METRIC}\n{METRIC}");
        let gpus = parse(&twice, &format!("{STATIC}{STATIC}")).unwrap();
        assert_eq!(gpus.len(), 2);
        assert_eq!(gpus[0].facts.name, "AMD Instinct MI300X");
    }

    proptest::proptest! {
        #[test]
        fn no_answer_panics(text in "[\\[\\]{}\",:0-9a-z \\n]{0,80}") {
            drop(parse(&text, &text));
        }
    }
}
