//! The GPUs: whether there are any, unused by others, healthy, and with fixed clocks.

use super::check::{Check, Group, Level};
use super::needs::Needs;
use crate::launch::gpu_hint;
use crate::metric::Unit;
use crate::process_table::ProcessEntry;
use crate::telemetry::Survey;
use crate::telemetry::gpu::reading::Reading;
use crate::text::number::{percent, value};

/// Above this share of the device, too little memory is left outside the engine's budget.
const MOST_UTILIZATION: f64 = 0.90;

/// A GPU with more memory in use than this has other users.
const LITTLE_MEMORY: f64 = 500.0 * 1_048_576.0;

pub(crate) fn checks(survey: &Survey, needs: &Needs) -> Group {
    let mut checks = Vec::new();
    if let Some(reason) = survey.reason() {
        checks.push(without_gpu(survey, reason, needs));
        for (source, reason) in &survey.passed {
            checks.push(Check::new(source.name(), Level::Note, reason.as_str()));
        }
    } else {
        checks.extend(too_few(survey, needs));
        checks.extend(driver(survey));
        for gpu in &survey.gpus {
            of_one(gpu, needs, &mut checks);
        }
    }
    Group {
        name: "GPU",
        checks,
    }
}

/// No GPU is a failure of a plan that needs one; a broken driver is a failure of the machine.
fn without_gpu(survey: &Survey, reason: String, needs: &Needs) -> Check {
    let broken = survey.driver_error().map(gpu_hint);
    let level = if needs.gpu || broken.is_some() {
        Level::Failure
    } else {
        Level::Note
    };
    let check = Check::new("GPU", level, reason);
    match broken {
        Some(Some(remedy)) => check.with_remedy(remedy),
        Some(None) => check
            .with_remedy("the GPU driver is installed but does not work: check the output of `nvidia-smi` and dmesg, and reboot or reinstall the driver"),
        None if needs.gpu => check.with_remedy("install the GPU driver, and check: nvidia-smi"),
        None => check,
    }
}

fn too_few(survey: &Survey, needs: &Needs) -> Option<Check> {
    let there = survey.gpus.len();
    let asked = needs.gpus.filter(|asked| *asked as usize > there)?;
    Some(Check::new(
        "number",
        Level::Failure,
        format!("{there}, but the plan needs {asked}"),
    ))
}

fn driver(survey: &Survey) -> Option<Check> {
    let facts = &survey.gpus.first()?.facts;
    let source = survey.source.map(|source| format!(" ({})", source.name()));
    let cuda = facts
        .cuda
        .as_ref()
        .map(|cuda| format!(", CUDA up to {cuda}"));
    Some(Check::good(
        "driver",
        format!(
            "{}{}{}",
            facts.driver.as_deref().unwrap_or("(unknown version)"),
            cuda.unwrap_or_default(),
            source.unwrap_or_default()
        ),
    ))
}

fn of_one(gpu: &Reading, needs: &Needs, checks: &mut Vec<Check>) {
    let Reading { facts, now } = gpu;
    let label = facts.label();
    let id = facts
        .index
        .map_or_else(String::new, |index| format!(" -i {index}"));
    let bytes = |bytes: f64| value(bytes, Unit::Bytes);
    let mig = if facts.mig == Some(true) {
        ", divided (MIG)"
    } else {
        ""
    };
    let memory = facts.memory.map(|memory| format!(", {}", bytes(memory)));
    checks.push(Check::good(
        "GPU",
        format!("{label}: {}{}{mig}", facts.name, memory.unwrap_or_default()),
    ));
    if let (Some(used), Some(total)) = (now.memory_used, facts.memory) {
        checks.push(other_processes(&label, gpu, used));
        checks.extend(head_room(&label, used, total, needs));
    }
    checks.extend(facts.persistence.map(|is_on| {
        if is_on {
            return Check::good("persistence", format!("{label}: on"));
        }
        Check::warning(
            "persistence",
            format!("{label}: off, so the driver reloads and forgets locked clocks"),
            format!("sudo nvidia-smi{id} -pm 1"),
        )
    }));
    checks.extend(clocks(&label, &id, gpu));
    if let (Some(limit), Some(default)) = (facts.power_limit, facts.power_limit_default)
        && (limit - default).abs() > 1.0
    {
        checks.push(Check::warning(
            "power limit",
            format!("{label}: {limit:.0} W instead of {default:.0} W; runs with different limits are not comparable"),
            format!("sudo nvidia-smi{id} -pl {default:.0}, or use the same limit in every run"),
        ));
    }
    match (facts.ecc, now.ecc_uncorrected) {
        (_, Some(errors)) if errors > 0 => checks.push(Check::warning(
            "ECC",
            format!("{label}: {errors} uncorrected errors since the driver was loaded"),
            format!("sudo nvidia-smi{id} --gpu-reset; if the errors return, replace the GPU"),
        )),
        (Some(true), _) => checks.push(Check::good(
            "ECC",
            format!("{label}: on, no uncorrected error"),
        )),
        _ => {}
    }
}

/// Other programs on the GPU make everything slower, by a varying amount.
fn other_processes(label: &str, gpu: &Reading, used: f64) -> Check {
    let names: Vec<String> = gpu
        .now
        .processes
        .iter()
        .flatten()
        .map(|process| match ProcessEntry::name_of(process.id) {
            Some(name) => format!("{} ({name})", process.id),
            None => process.id.to_string(),
        })
        .collect();
    let used_text = value(used, Unit::Bytes);
    if names.is_empty() && used <= LITTLE_MEMORY {
        return Check::good(
            "alone",
            format!("{label}: no other process, {used_text} in use"),
        );
    }
    let by = if names.is_empty() {
        "processes that are not visible here".to_owned()
    } else {
        format!("process {}", names.join(", "))
    };
    Check::warning(
        "alone",
        format!("{label}: {used_text} in use by {by}"),
        "end them before measuring: a repeat with another program on the GPU is void",
    )
}

fn head_room(label: &str, used: f64, total: f64, needs: &Needs) -> Option<Check> {
    let (share, is_given) = needs.utilization?;
    let by = if is_given {
        "the plan"
    } else {
        "vLLM by default"
    };
    let text = format!(
        "{label}: {by} takes {} of {}",
        percent(share),
        value(total, Unit::Bytes)
    );
    Some(if used + share * total > total {
        let used = value(used, Unit::Bytes);
        let found = format!("{text}, but {used} are already in use: the server would not start");
        Check::new("head-room", Level::Failure, found).with_remedy(
            "end the processes that hold the memory, or lower --gpu-memory-utilization",
        )
    } else if share > MOST_UTILIZATION {
        Check::warning(
            "head-room",
            format!("{text}: little is left outside its budget"),
            "--gpu-memory-utilization 0.90 or less: a run that ends out of memory has no result",
        )
    } else {
        Check::good("head-room", text)
    })
}

/// Drivers do not report whether clocks are locked; a clock below its maximum while idle is not locked.
fn clocks(label: &str, id: &str, gpu: &Reading) -> Option<Check> {
    let (now, most) = (gpu.now.clock_sm?, gpu.facts.clock_sm_max?);
    let found = format!("{label}: {now:.0} MHz now, {most:.0} MHz maximum");
    let is_busy = gpu.now.utilization.is_some_and(|busy| busy > 0.0);
    Some(if is_busy || now >= 0.5 * most {
        let found = format!("{found}; whether they are locked is visible only under load");
        Check::new("clocks", Level::Note, found)
    } else {
        Check::warning(
            "clocks",
            format!("{found}: they fall when idle, so they are not locked"),
            format!(
                "sudo nvidia-smi{id} -lgc MIN,MAX, both equal to a clock that it keeps under load (nvidia-smi -q -d SUPPORTED_CLOCKS); undo: sudo nvidia-smi{id} -rgc"
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::check::page;
    use super::*;
    use crate::telemetry::gpu::SourceName;
    use crate::telemetry::gpu::reading::{Facts, GpuProcess, State};

    const GIBIBYTE: f64 = 1_073_741_824.0;

    fn h100() -> Reading {
        Reading {
            facts: Facts {
                index: Some(0),
                name: "NVIDIA H100 80GB HBM3".to_owned(),
                memory: Some(80.0 * GIBIBYTE),
                driver: Some("580.82".to_owned()),
                cuda: Some("13.0".to_owned()),
                power_limit: Some(700.0),
                power_limit_default: Some(700.0),
                ecc: Some(true),
                persistence: Some(true),
                clock_sm_max: Some(1980.0),
                ..Facts::default()
            },
            now: State {
                memory_used: Some(0.3 * GIBIBYTE),
                utilization: Some(0.0),
                clock_sm: Some(1980.0),
                ecc_uncorrected: Some(0),
                processes: Some(Vec::new()),
                ..State::default()
            },
        }
    }

    fn survey(gpu: Reading) -> Survey {
        Survey {
            gpus: vec![gpu],
            source: Some(SourceName::Nvml),
            passed: Vec::new(),
        }
    }

    #[test]
    fn an_unused_gpu_with_locked_clocks_is_good() {
        insta::assert_snapshot!(page(&[checks(&survey(h100()), &Needs::default())]));
    }

    #[test]
    fn every_problem_of_a_gpu_is_reported_with_its_fix() {
        let mut gpu = h100();
        gpu.facts.persistence = Some(false);
        gpu.facts.power_limit = Some(500.0);
        gpu.now.clock_sm = Some(345.0);
        gpu.now.ecc_uncorrected = Some(2);
        gpu.now.memory_used = Some(12.0 * GIBIBYTE);
        gpu.now.processes = Some(vec![GpuProcess {
            id: 4_000_007,
            memory: None,
        }]);
        let needs = Needs {
            gpu: true,
            gpus: Some(2),
            utilization: Some((0.95, true)),
            ..Needs::default()
        };
        insta::assert_snapshot!(page(&[checks(&survey(gpu), &needs)]));
        let tight = Needs {
            utilization: Some((0.95, true)),
            ..Needs::default()
        };
        let group = checks(&survey(h100()), &tight);
        let head_room = group.checks.iter().find(|check| check.name == "head-room");
        assert_eq!(head_room.unwrap().level, Level::Warning);
    }

    #[test]
    fn a_machine_without_a_gpu_fails_only_a_plan_that_asks_for_one() {
        let none = Survey {
            passed: vec![(SourceName::Nvml, "cannot load libnvidia-ml.so.1".to_owned())],
            ..Survey::default()
        };
        let asked = Needs {
            gpu: true,
            ..Needs::default()
        };
        insta::assert_snapshot!(page(&[checks(&none, &asked)]));
        assert_eq!(
            checks(&none, &Needs::default()).checks[0].level,
            Level::Note
        );
    }

    #[test]
    fn a_broken_driver_is_a_failure_for_every_plan() {
        let broken = |source: SourceName, reason: &str| Survey {
            passed: vec![(source, reason.to_owned())],
            ..Survey::default()
        };
        let mismatch = broken(
            SourceName::Nvml,
            "libnvidia-ml.so.1: RM detects a driver/library version mismatch",
        );
        insta::assert_snapshot!(page(&[checks(&mismatch, &Needs::default())]));
        let unknown = broken(
            SourceName::NvidiaSmi,
            "nvidia-smi failed (exit status: 255): what?",
        );
        let check = &checks(&unknown, &Needs::default()).checks[0];
        assert_eq!(check.level, Level::Failure);
        // Its tool is installed on machines without such a GPU.
        let amd = broken(SourceName::AmdSmi, "amd-smi failed (exit status: 1): what?");
        assert_eq!(checks(&amd, &Needs::default()).checks[0].level, Level::Note);
    }
}
