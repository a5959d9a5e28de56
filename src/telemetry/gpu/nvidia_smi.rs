//! GPUs through `nvidia-smi`, where the library cannot be used.
//!
//! Source of the fields: `nvidia-smi --help-query-gpu`, `--help-query-compute-apps`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::NO_GPU;
use super::program::{self, NoAnswer};
use super::reading::{Facts, GpuProcess, Reading, State};
use super::throttle::Throttles;

/// `nvidia-smi` counts memory in MiB.
const MEBIBYTE: f64 = 1_048_576.0;

/// Queried fields, newer names first: a driver that does not know one gets its older name, or the field is dropped.
const FIELDS: [&str; 26] = [
    "index",
    "uuid",
    "name",
    "memory.total",
    "memory.used",
    "utilization.gpu",
    "clocks.sm",
    "clocks.mem",
    "clocks.max.sm",
    "clocks.max.mem",
    "power.draw",
    "power.limit",
    "power.default_limit",
    "temperature.gpu",
    REASONS,
    "ecc.mode.current",
    "ecc.errors.uncorrected.volatile.total",
    "persistence_mode",
    "mig.mode.current",
    "compute_cap",
    "vbios_version",
    "driver_version",
    "pcie.link.gen.current",
    "pcie.link.gen.max",
    "pcie.link.width.current",
    "pcie.link.width.max",
];

const REASONS: &str = "clocks_event_reasons.active";

/// [`REASONS`] before driver 535.
const OLDER_REASONS: &str = "clocks_throttle_reasons.active";

/// The program, and the fields that it supports.
#[derive(Clone, Debug)]
pub(super) struct NvidiaSmi {
    program: PathBuf,
    fields: Vec<&'static str>,
    /// Whether it lists processes.
    lists_processes: bool,
}

impl NvidiaSmi {
    pub(super) fn new(program: PathBuf) -> Self {
        Self {
            program,
            fields: FIELDS.to_vec(),
            lists_processes: true,
        }
    }

    /// All GPUs now.
    pub(super) fn look(&mut self) -> Result<Vec<Reading>, String> {
        let text = self.query()?;
        let mut readings = parse_gpus(&self.fields, &text)?;
        if self.lists_processes {
            match self.ask("--query-compute-apps=gpu_uuid,pid,used_memory") {
                Ok(text) => add_processes(&mut readings, &text),
                // Unknown from now on, which differs from none.
                Err(_unknown) => self.lists_processes = false,
            }
        }
        Ok(readings)
    }

    fn query(&mut self) -> Result<String, String> {
        // Each attempt drops one field, or uses its older name.
        for _turn in 0..=FIELDS.len() {
            let asked = self.ask(&format!("--query-gpu={}", self.fields.join(",")));
            match asked {
                Ok(text) => return Ok(text),
                Err(NoAnswer::NotInstalled) => return Err(NO_GPU.to_owned()),
                Err(NoAnswer::Failed { status, message }) => {
                    let Some(at) = self.unknown_field(&message) else {
                        return Err(NoAnswer::Failed { status, message }.describe("nvidia-smi"));
                    };
                    if self.fields[at] == REASONS {
                        self.fields[at] = OLDER_REASONS;
                    } else {
                        self.fields.remove(at);
                    }
                }
                Err(other) => return Err(other.describe("nvidia-smi")),
            }
        }
        Err("nvidia-smi supports none of the queried fields".to_owned())
    }

    /// `Field "mig.mode.current" is not a valid field to query.`
    fn unknown_field(&self, message: &str) -> Option<usize> {
        let message = message
            .lines()
            .find(|line| line.contains("not a valid field"))?;
        let name = message.split('"').nth(1)?;
        self.fields.iter().position(|field| *field == name)
    }

    fn ask(&self, query: &str) -> Result<String, NoAnswer> {
        program::ask(&self.program, &[query, "--format=csv,noheader,nounits"])
    }
}

/// An answer to `--query-gpu` with these fields, in this order.
fn parse_gpus(fields: &[&str], text: &str) -> Result<Vec<Reading>, String> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let readings = lines
        .map(|line| parse_gpu(fields, line))
        .collect::<Result<Vec<_>, _>>()?;
    if readings.is_empty() {
        return Err(NO_GPU.to_owned());
    }
    Ok(readings)
}

/// For the fuzzer: an answer with all fields, and one to `--query-compute-apps`.
pub fn parse(gpus: &str, processes: &str) -> Result<Vec<Reading>, String> {
    let mut readings = parse_gpus(&FIELDS, gpus)?;
    add_processes(&mut readings, processes);
    Ok(readings)
}

fn parse_gpu(fields: &[&str], line: &str) -> Result<Reading, String> {
    let values: Vec<&str> = line.split(',').map(str::trim).collect();
    if values.len() != fields.len() {
        return Err(format!("nvidia-smi answered `{line}`"));
    }
    let values: BTreeMap<&str, &str> = fields.iter().copied().zip(values).collect();
    // `[N/A]`, `[Not Supported]`, `[Unknown Error]`: unknown, which differs from 0.
    let text = |field: &str| {
        let value = values.get(field).copied();
        let known =
            value.filter(|value| !value.is_empty() && !value.starts_with('[') && *value != "N/A");
        known.map(str::to_owned)
    };
    let number = |field: &str| {
        let value = values.get(field)?.parse::<f64>().ok();
        value.filter(|value| value.is_finite() && *value >= 0.0)
    };
    let count = |field: &str| values.get(field)?.parse::<u32>().ok();
    let switch = |field: &str| match *values.get(field)? {
        "Enabled" => Some(true),
        "Disabled" => Some(false),
        _ => None,
    };
    Ok(Reading {
        facts: Facts {
            index: count("index"),
            uuid: text("uuid"),
            name: text("name").unwrap_or_else(|| "unknown GPU".to_owned()),
            memory: number("memory.total").map(|value| value * MEBIBYTE),
            driver: text("driver_version"),
            power_limit: number("power.limit"),
            power_limit_default: number("power.default_limit"),
            mig: switch("mig.mode.current"),
            ecc: switch("ecc.mode.current"),
            persistence: switch("persistence_mode"),
            compute_capability: text("compute_cap"),
            vbios: text("vbios_version"),
            clock_sm_max: number("clocks.max.sm"),
            clock_memory_max: number("clocks.max.mem"),
            pcie_generation_max: count("pcie.link.gen.max"),
            pcie_width_max: count("pcie.link.width.max"),
            // nvidia-smi has no field for CUDA's version.
            ..Facts::default()
        },
        now: State {
            memory_used: number("memory.used").map(|value| value * MEBIBYTE),
            utilization: number("utilization.gpu").map(|percent| percent / 100.0),
            clock_sm: number("clocks.sm"),
            clock_memory: number("clocks.mem"),
            power: number("power.draw"),
            temperature: number("temperature.gpu"),
            throttles: [REASONS, OLDER_REASONS]
                .iter()
                .find_map(|field| Throttles::parse(values.get(field)?)),
            ecc_uncorrected: values
                .get("ecc.errors.uncorrected.volatile.total")
                .and_then(|value| value.parse().ok()),
            pcie_generation: count("pcie.link.gen.current"),
            pcie_width: count("pcie.link.width.current"),
            ..State::default()
        },
    })
}

/// Lines of `gpu_uuid, pid, used_memory`.
fn add_processes(readings: &mut [Reading], text: &str) {
    for reading in readings.iter_mut() {
        reading.now.processes = reading.facts.uuid.is_some().then(Vec::new);
    }
    for line in text.lines() {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let [uuid, id, memory] = fields[..] else {
            continue;
        };
        let Ok(id) = id.parse() else { continue };
        let memory = memory.parse::<f64>().ok().filter(|value| value.is_finite());
        let on = readings
            .iter_mut()
            .find(|reading| reading.facts.uuid.as_deref() == Some(uuid));
        if let Some(processes) = on.and_then(|reading| reading.now.processes.as_mut()) {
            processes.push(GpuProcess {
                id,
                memory: memory.map(|value| value * MEBIBYTE),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::throttle::Throttle;
    use super::*;
    use crate::telemetry::gpu::fixture;

    const TWO: &str = include_str!("../../../tests/fixtures/gpu/nvidia-smi-h100.csv");
    const PROCESSES: &str = include_str!("../../../tests/fixtures/gpu/nvidia-smi-compute-apps.csv");
    const UNKNOWN: &str = include_str!("../../../tests/fixtures/gpu/nvidia-smi-unknown.csv");

    #[test]
    fn an_answer_becomes_readings_in_base_units() {
        let gpus = parse(TWO, PROCESSES).unwrap();
        assert_eq!(gpus.len(), 2);
        let (facts, now) = (&gpus[0].facts, &gpus[0].now);
        assert_eq!(facts.index, Some(0));
        assert_eq!(facts.memory, Some(81_559.0 * MEBIBYTE));
        assert_eq!(
            (facts.mig, facts.ecc, facts.persistence),
            (Some(false), Some(true), Some(true))
        );
        assert_eq!(
            (facts.power_limit, facts.power_limit_default),
            (Some(700.0), Some(700.0))
        );
        assert_eq!(facts.driver.as_deref(), Some("550.127.05"));
        assert_eq!(now.utilization, Some(0.97));
        assert_eq!(now.clock_sm, Some(1755.0));
        assert!(
            now.throttles
                .unwrap()
                .reasons()
                .any(|reason| reason == Throttle::PowerCap)
        );
        assert_eq!(now.ecc_uncorrected, Some(0));
        let processes = now.processes.as_ref().unwrap();
        assert_eq!(
            (processes[0].id, processes[0].memory),
            (41_213, Some(72_900.0 * MEBIBYTE))
        );
        // In a container the driver may not report it.
        assert_eq!(gpus[1].now.processes.as_ref().unwrap()[0].memory, None);
    }

    #[test]
    fn an_unknown_figure_is_not_zero() {
        let gpus = parse(UNKNOWN, "").unwrap();
        let Reading { facts, now } = &gpus[0];
        assert_eq!(facts.name, "NVIDIA GH200 480GB");
        assert_eq!(
            (facts.memory, now.memory_used, now.utilization),
            (None, None, None)
        );
        assert_eq!(
            (now.power, now.clock_sm, now.ecc_uncorrected),
            (None, None, None)
        );
        assert_eq!((facts.mig, facts.ecc, now.throttles), (None, None, None));
        assert_eq!((&facts.vbios, &facts.driver), (&None, &None));
    }

    #[test]
    fn an_answer_of_another_form_is_refused() {
        assert_eq!(parse("\n", "").unwrap_err(), NO_GPU);
        assert_eq!(
            parse("No devices were found", "").unwrap_err(),
            "nvidia-smi answered `No devices were found`"
        );
    }

    #[test]
    fn an_older_driver_gets_older_names_and_fewer_fields() {
        let folder = tempfile::tempdir().unwrap();
        // Rejects two fields, one after the other, as an old driver does, and lists no processes.
        let program = fixture::program(
            folder.path(),
            r#"case "$1" in
*clocks_event_reasons.active*) echo 'Field "clocks_event_reasons.active" is not a valid field to query.'; echo; exit 2;;
*mig.mode.current*) echo 'Field "mig.mode.current" is not a valid field to query.'; echo; exit 2;;
--query-compute-apps*) exit 3;;
*clocks_throttle_reasons.active*) echo '0, GPU-1, Tesla T4, 15360, 300, 5, 585, 5001, 1590, 5001, 27.5, 70.00, 70.00, 40, 0x0000000000000001, Enabled, 0, Disabled, 7.5, 90.04, 470.1, 3, 3, 16, 16';;
esac"#,
        );
        let mut smi = NvidiaSmi::new(program);
        for _look in 0..2 {
            let gpus = smi.look().unwrap();
            assert!(
                gpus[0]
                    .now
                    .throttles
                    .unwrap()
                    .reasons()
                    .any(|reason| reason == Throttle::Idle)
            );
            assert_eq!(gpus[0].facts.mig, None);
            assert_eq!(gpus[0].facts.persistence, Some(false));
            assert_eq!(gpus[0].now.processes, None);
        }
    }

    #[test]
    fn an_error_of_the_program_is_passed_on() {
        let folder = tempfile::tempdir().unwrap();
        let script = "echo 'Unable to determine the device handle for GPU0: GPU is lost'; exit 15";
        let mut smi = NvidiaSmi::new(fixture::program(folder.path(), script));
        assert_eq!(
            smi.look().unwrap_err(),
            "nvidia-smi failed (exit status: 15): Unable to determine the device handle for GPU0: GPU is lost"
        );
        assert_eq!(
            NvidiaSmi::new("no-such-smi".into()).look().unwrap_err(),
            NO_GPU
        );
    }

    proptest! {
        #[test]
        fn no_answer_causes_a_panic_or_invalid_figures(gpus in "[0-9a-zA-Z\\[\\]/., \n-]{0,300}", processes in "[0-9a-zA-Z, \n-]{0,80}") {
            for reading in parse(&gpus, &processes).unwrap_or_default() {
                prop_assert!(reading.now.memory_used.is_none_or(|bytes| bytes.is_finite() && bytes >= 0.0));
            }
        }
    }
}
