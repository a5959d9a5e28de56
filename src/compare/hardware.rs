//! The hardware of two runs: what must match, and what may differ.

use super::comparability::Comparability;
use crate::record::format::{Environment, Gpu};

impl Comparability {
    /// GPUs and their limits must match; drivers and the rest may differ, and the report shows the differences.
    pub(super) fn hardware(
        &mut self,
        baseline: Option<&Environment>,
        candidate: Option<&Environment>,
    ) {
        let of = |side: Option<&Environment>, field: fn(&Environment) -> Option<String>| {
            side.and_then(field)
        };
        let gpus = |side: &Environment| side.gpus.as_deref().map(describe_gpus);
        self.must_match("GPU", of(baseline, gpus), of(candidate, gpus));
        for (what, field) in [
            (
                "GPU power limit",
                (|gpu| gpu.power_limit_watts.map(|watts| format!("{watts:.0} W")))
                    as fn(&Gpu) -> Option<String>,
            ),
            ("MIG", |gpu| gpu.mig.map(on_or_off)),
        ] {
            let each = |side: Option<&Environment>| of_each_gpu(side, field);
            self.must_match_if_given(what, each(baseline), each(candidate));
        }
        for (what, field) in [
            (
                "GPU firmware",
                (|gpu| gpu.vbios.clone()) as fn(&Gpu) -> Option<String>,
            ),
            ("GPU memory correction (ECC)", |gpu| gpu.ecc.map(on_or_off)),
        ] {
            let each = |side: Option<&Environment>| of_each_gpu(side, field);
            // A result of an older version does not record it, which is not a change.
            if let (Some(accepted), Some(new)) = (each(baseline), each(candidate)) {
                self.may_differ(what, Some(accepted), Some(new));
            }
        }
        let clocks = |side: Option<&Environment>| {
            let steady = side?.clocks_locked?;
            Some(
                if steady {
                    "steady under load"
                } else {
                    "moving under load"
                }
                .to_owned(),
            )
        };
        if let (Some(accepted), Some(new)) = (clocks(baseline), clocks(candidate)) {
            self.may_differ("GPU clocks", Some(accepted), Some(new));
        }
        let class = |side: Option<&Environment>| side?.host_class.clone();
        if let (Some(accepted), Some(new)) = (class(baseline), class(candidate)) {
            self.may_differ("host class", Some(accepted), Some(new));
        }
        // With a GPU the CPU may differ; without one the CPU is the hardware.
        let on_cpu = |side: Option<&Environment>| {
            side.and_then(|side| side.gpus.as_ref())
                .is_some_and(Vec::is_empty)
        };
        let cpu = |side: &Environment| {
            side.cpu.as_ref().map(|cpu| match side.cpus {
                Some(cpus) => format!("{cpus} × {cpu}"),
                None => cpu.clone(),
            })
        };
        if on_cpu(baseline) && on_cpu(candidate) {
            self.must_match("CPU", of(baseline, cpu), of(candidate, cpu));
        } else {
            self.may_differ("CPU", of(baseline, cpu), of(candidate, cpu));
        }
        for (what, field) in [
            (
                "driver",
                (|side| side.driver.clone()) as fn(&Environment) -> Option<String>,
            ),
            ("CUDA", |side| side.cuda.clone()),
            ("host", |side| side.host.clone()),
            ("kernel", |side| side.kernel.clone()),
        ] {
            self.may_differ(what, of(baseline, field), of(candidate, field));
        }
    }
}

/// `2 × NVIDIA H100 80GB HBM3 (79.6 GiB)`, or `none`.
pub(crate) fn describe_gpus(gpus: &[Gpu]) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a size for people")]
    let size = |gpu: &Gpu| {
        gpu.memory_bytes.map_or(String::new(), |bytes| {
            format!(" ({:.1} GiB)", bytes as f64 / f64::from(1 << 30))
        })
    };
    let mut groups: Vec<(String, usize)> = Vec::new();
    for gpu in gpus {
        let name = format!("{}{}", gpu.name, size(gpu));
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => groups.push((name, 1)),
        }
    }
    let words: Vec<String> = groups
        .into_iter()
        .map(|(name, count)| format!("{count} × {name}"))
        .collect();
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(", ")
    }
}

fn on_or_off(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}

/// One value if all GPUs have the same, else all values; `None` if one is unknown.
fn of_each_gpu(side: Option<&Environment>, field: fn(&Gpu) -> Option<String>) -> Option<String> {
    let gpus = side?.gpus.as_deref().filter(|gpus| !gpus.is_empty())?;
    let mut values = gpus.iter().map(field).collect::<Option<Vec<_>>>()?;
    values.dedup();
    Some(values.join(", "))
}

#[cfg(test)]
mod tests {
    use crate::compare::comparability;
    use crate::record::Run;

    fn run(gpu: &str) -> Run {
        let json = format!(
            r#"{{"schema":"perfgate.result/1","environment":{{"gpus":[{gpu}]}},"scenarios":[{{"name":"a","repeats":[{{"metrics":{{"qps":1}}}}]}}]}}"#
        );
        crate::record::parse("a.json", json.as_bytes()).unwrap()
    }

    fn seen(baseline: &str, candidate: &str) -> (Vec<String>, Vec<String>) {
        let found = comparability(&run(baseline), &run(candidate));
        let words = |difference: crate::report::comparison::Difference| difference.what;
        (
            found.mismatches.into_iter().map(words).collect(),
            found.changes.into_iter().map(words).collect(),
        )
    }

    #[test]
    fn another_power_limit_and_a_divided_gpu_do_not_compare() {
        let full = r#"{"name": "H100", "power_limit_watts": 700, "mig": false}"#;
        let less = r#"{"name": "H100", "power_limit_watts": 500, "mig": false}"#;
        let divided = r#"{"name": "H100", "power_limit_watts": 700, "mig": true}"#;
        assert_eq!(seen(full, less).0, ["GPU power limit"]);
        assert_eq!(seen(full, divided).0, ["MIG"]);
        // A result written by hand records neither.
        assert_eq!(seen(full, r#"{"name": "H100"}"#).0, [""; 0]);
    }

    #[test]
    fn firmware_and_memory_correction_are_shown_as_changes() {
        let before = r#"{"name": "H100", "vbios": "96.00.74", "ecc": true}"#;
        let after = r#"{"name": "H100", "vbios": "96.00.89", "ecc": false}"#;
        let (mismatches, changes) = seen(before, after);
        assert_eq!(mismatches, [""; 0]);
        assert_eq!(changes, ["GPU firmware", "GPU memory correction (ECC)"]);
        assert_eq!(seen(before, r#"{"name": "H100"}"#).1, [""; 0]);
    }
}
