//! AMD GPUs as `amd-smi` sees them. Written from its documentation: it was not run on a real GPU.
//!
//! Source of the fields: documentation of `ROCm`, "AMD SMI CLI tool usage", `amd-smi metric --json` and `static --json`.

use std::path::PathBuf;

use serde_json::Value;

use super::NO_GPU;
use super::program::{self, NoAnswer};
use super::reading::{Facts, Reading, State};

/// Its `MB` are MiB.
const MEBIBYTE: f64 = 1_048_576.0;

/// The program, and what it said that does not change.
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
            // Names are not worth failing for.
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

/// A list, or since `ROCm` 7 an object that holds it.
fn gpus(text: &str) -> Result<Vec<Value>, String> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| format!("amd-smi answered no JSON: {error}"))?;
    let list = value.get("gpu_data").unwrap_or(&value).as_array();
    list.cloned()
        .ok_or_else(|| "amd-smi answered no list of GPUs".to_owned())
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
            // It says that the clocks are held down and not why, and the power limit alone makes nothing worthless.
            throttles: None,
            ecc_uncorrected: metric
                .pointer("/ecc/total_uncorrectable_count")
                .and_then(Value::as_u64),
            ..State::default()
        },
    }
}

/// `12`, or `{"value": 12, "unit": "W"}`; `"N/A"` is not known.
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
        // What the second does not say is not 0.
        assert_eq!((gpus[1].now.power, gpus[1].now.utilization), (None, None));
    }

    #[test]
    fn the_newer_form_is_read_too_and_another_is_refused() {
        let wrapped = format!("{{\"gpu_data\": {METRIC}}}");
        assert_eq!(parse(&wrapped, "{}").unwrap().len(), 2);
        assert_eq!(parse("[]", "[]").unwrap_err(), NO_GPU);
        assert!(parse("GPU: 0", "[]").unwrap_err().contains("no JSON"));
        assert!(parse("{}", "[]").unwrap_err().contains("no list"));
    }
}
