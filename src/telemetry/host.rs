//! The machine, from `/proc` and `/sys`.

use std::path::Path;

use super::sampler::Observed;
use crate::record::format::{Environment, Gpu};

/// This machine, with the GPUs that were found (`Some` and empty: none was; `None`: nobody looked).
pub fn environment(gpus: Option<Vec<Gpu>>, driver: Option<String>) -> Environment {
    Environment {
        gpus,
        driver,
        ..read(Path::new("/proc"))
    }
}

impl Observed {
    /// This machine, with the GPUs that were observed.
    pub fn environment(&self) -> Environment {
        Environment {
            cuda: self.cuda.clone(),
            clocks_locked: self.clocks_steady,
            ..environment(self.gpus.clone(), self.driver.clone())
        }
    }
}

fn read(proc: &Path) -> Environment {
    let text = |path: &str| std::fs::read_to_string(proc.join(path)).ok();
    let line = |path: &str| {
        text(path)
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
    };
    let cpuinfo = text("cpuinfo").unwrap_or_default();
    Environment {
        cpu: field(&cpuinfo, "model name")
            // Arm has no such line.
            .or_else(|| field(&cpuinfo, "Hardware"))
            .map(str::to_owned),
        cpus: std::thread::available_parallelism()
            .ok()
            .and_then(|cpus| u32::try_from(cpus.get()).ok()),
        memory_bytes: text("meminfo").and_then(|text| memory(&text)),
        kernel: line("sys/kernel/osrelease"),
        host: line("sys/kernel/hostname"),
        ..Environment::default()
    }
}

/// The value of the first line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim())
    })
}

/// `MemTotal: 24689764 kB`, where kB means KiB.
fn memory(meminfo: &str) -> Option<u64> {
    let kibibytes = field(meminfo, "MemTotal")?.strip_suffix("kB")?;
    kibibytes.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_kernel_a_name_and_memory() {
        let environment = environment(Some(Vec::new()), None);
        assert!(environment.kernel.is_some() && environment.host.is_some());
        assert!(environment.memory_bytes.unwrap() > 1 << 20);
        assert!(environment.cpus.unwrap() > 0);
        assert_eq!(environment.gpus, Some(Vec::new()));
    }

    #[test]
    fn what_cannot_be_read_is_absent() {
        let folder = tempfile::tempdir().unwrap();
        let environment = read(folder.path());
        assert_eq!(environment.cpu, None);
        assert_eq!(environment.memory_bytes, None);
        assert_eq!(environment.kernel, None);
    }

    #[test]
    fn memory_is_counted_in_bytes() {
        assert_eq!(
            memory("MemTotal:       24689764 kB\nMemFree: 1 kB"),
            Some(25_282_318_336)
        );
        assert_eq!(memory("MemTotal: much"), None);
    }
}
