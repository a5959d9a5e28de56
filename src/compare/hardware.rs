//! The hardware of two runs: what must match, and what may differ.

use super::comparability::Comparability;
use crate::record::format::{Environment, Gpu};

impl Comparability {
    /// GPUs and their limits must match; drivers and the rest may differ, and the report shows the differences.
    pub(super) fn hardware(&mut self, sides: [Option<&Environment>; 2]) {
        let of = |field: fn(&Environment) -> Option<String>| sides.map(|side| side.and_then(field));
        let of_gpus =
            |field: fn(&Gpu) -> Option<String>| sides.map(|side| of_each_gpu(side, field));
        self.must_match("GPU", of(|side| side.gpus.as_deref().map(describe_gpus)));
        let limits = of_gpus(|gpu| Some(format!("{:.0} W", gpu.power_limit_watts?)));
        self.must_match_if_given("GPU power limit", limits);
        self.must_match_if_given("MIG", of_gpus(|gpu| gpu.mig.map(on_or_off)));
        self.may_differ_if_given("GPU firmware", of_gpus(|gpu| gpu.vbios.clone()));
        let correction = of_gpus(|gpu| gpu.ecc.map(on_or_off));
        self.may_differ_if_given("GPU memory correction (ECC)", correction);
        let clocks = of(|side| {
            let words = if side.clocks_locked? {
                "steady"
            } else {
                "moving"
            };
            Some(format!("{words} under load"))
        });
        self.may_differ_if_given("GPU clocks", clocks);
        self.may_differ_if_given("host class", of(|side| side.host_class.clone()));
        let cpus = of(|side| {
            let cpu = side.cpu.as_ref()?;
            let count = side.cpus.map(|count| format!("{count} × "));
            Some(count.unwrap_or_default() + cpu)
        });
        // With a GPU the CPU may differ; without one the CPU is the hardware.
        let is_on_cpu = |side: Option<&Environment>| side?.gpus.as_ref().map(Vec::is_empty);
        if sides.iter().all(|side| is_on_cpu(*side) == Some(true)) {
            self.must_match("CPU", cpus);
        } else {
            self.may_differ("CPU", cpus);
        }
        self.may_differ("driver", of(|side| side.driver.clone()));
        self.may_differ("CUDA", of(|side| side.cuda.clone()));
        self.may_differ("host", of(|side| side.host.clone()));
        self.may_differ("kernel", of(|side| side.kernel.clone()));
    }
}

/// `2 × NVIDIA H100 80GB HBM3 (79.6 GiB)`, or `none`.
pub(crate) fn describe_gpus(gpus: &[Gpu]) -> String {
    if gpus.is_empty() {
        return "none".to_owned();
    }
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
    words.join(", ")
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
