//! The machine, from `/proc` and `/sys`.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::observed::Observed;
use crate::record::format::{Environment, Gpu};

/// This machine, with the GPUs that were found (empty: none; `None`: not checked).
pub fn environment(gpus: Option<Vec<Gpu>>, driver: Option<String>) -> Environment {
    Environment {
        gpus,
        driver,
        host_class: host_class(Path::new("/sys/class/dmi/id")),
        ..read(Path::new("/proc"))
    }
}

impl Observed {
    /// This machine, with its GPUs. `named` is its name if it has no other (`PERFGATE_MACHINE`).
    pub fn environment(&self, named: Option<&str>) -> Environment {
        Environment {
            machine: machine(self.gpus.as_deref().unwrap_or_default(), named),
            cuda: self.cuda.clone(),
            clocks_locked: self.clocks_steady,
            ..environment(self.gpus.clone(), self.driver.clone())
        }
    }
}

/// Identifies the physical machine for the statistics; `None` if unknown.
pub fn machine(gpus: &[Gpu], named: Option<&str>) -> Option<String> {
    machine_below(Path::new("/"), gpus, named)
}

fn machine_below(root: &Path, gpus: &[Gpu], named: Option<&str>) -> Option<String> {
    let mut uuids: Vec<&str> = gpus.iter().filter_map(|gpu| gpu.uuid.as_deref()).collect();
    if !uuids.is_empty() {
        uuids.sort_unstable();
        return Some(uuids.join(","));
    }
    let named = named.map(str::trim).filter(|name| !name.is_empty());
    if let Some(name) = named {
        return Some(name.to_owned());
    }
    // In a container that file belongs to the image, and is the same on every machine.
    let in_container = [
        ".dockerenv",
        "run/.containerenv",
        "run/secrets/kubernetes.io",
    ]
    .iter()
    .any(|mark| root.join(mark).exists());
    if in_container {
        return None;
    }
    let files = ["etc/machine-id", "var/lib/dbus/machine-id"];
    let id = files.iter().find_map(|file| {
        let text = std::fs::read_to_string(root.join(file)).ok()?;
        let id = text.trim();
        let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then(|| id.to_ascii_lowercase())
    })?;
    // machine-id(5): it is confidential, so a derived value is shown.
    let digest = format!("{:x}", Sha256::digest(format!("perfgate machine {id}")));
    Some(format!("machine-{}", digest.get(..16)?))
}

/// Properties of this machine that can disturb a measurement. `None` or empty: not reported by the kernel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostFacts {
    /// CPU model.
    pub cpu: Option<String>,
    /// Logical CPUs that this process may use.
    pub cpus: u32,
    /// Running or runnable tasks, mean over the last minute.
    pub load: Option<f64>,
    /// Percentage of the last 10 s in which some task waited for a CPU.
    pub cpu_pressure: Option<f64>,
    /// Frequency governors of all CPUs, each once.
    pub governors: Vec<String>,
    /// CPUs that the control group may use, if limited.
    pub cpu_quota: Option<f64>,
    /// Main memory, bytes.
    pub memory: Option<u64>,
    /// Main memory available to a new program, bytes.
    pub memory_available: Option<u64>,
    /// Memory that is swapped out, bytes.
    pub swap_used: Option<u64>,
    /// Free space in the working folder for this user, bytes.
    pub disk_free: Option<u64>,
    /// The kernel's clock source.
    pub clock_source: Option<String>,
    /// The hard limit of open files of a process.
    pub open_files: Option<u64>,
}

impl HostFacts {
    /// Reads this machine.
    pub fn read() -> Self {
        Self::below(Path::new("/"))
    }

    fn below(root: &Path) -> Self {
        let text = |path: &str| std::fs::read_to_string(root.join(path)).ok();
        let line = |path: &str| text(path).map(|text| text.trim().to_owned());
        let environment = read(&root.join("proc"));
        let meminfo = text("proc/meminfo").unwrap_or_default();
        let kibibytes = |name: &str| size(&meminfo, name);
        let mut governors: Vec<String> = std::fs::read_dir(root.join("sys/devices/system/cpu"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|cpu| {
                std::fs::read_to_string(cpu.path().join("cpufreq/scaling_governor")).ok()
            })
            .map(|governor| governor.trim().to_owned())
            .collect();
        governors.sort();
        governors.dedup();
        Self {
            cpu: environment.cpu,
            cpus: environment.cpus.unwrap_or(1),
            load: text("proc/loadavg").and_then(|text| text.split(' ').next()?.parse().ok()),
            cpu_pressure: text("proc/pressure/cpu").as_deref().and_then(pressure),
            governors,
            cpu_quota: text("sys/fs/cgroup/cpu.max").as_deref().and_then(quota),
            memory: environment.memory_bytes,
            memory_available: kibibytes("MemAvailable"),
            swap_used: kibibytes("SwapTotal")
                .zip(kibibytes("SwapFree"))
                .map(|(total, free)| total.saturating_sub(free)),
            disk_free: rustix::fs::statvfs(".")
                .ok()
                .map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
            clock_source: line("sys/devices/system/clocksource/clocksource0/current_clocksource"),
            open_files: rustix::process::getrlimit(rustix::process::Resource::Nofile)
                .maximum
                .or(Some(u64::MAX)),
        }
    }
}

/// `avg10` of the line `some` of `/proc/pressure/cpu`.
fn pressure(text: &str) -> Option<f64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    some.split(' ')
        .find_map(|field| field.strip_prefix("avg10="))?
        .parse()
        .ok()
}

/// CPUs of `cpu.max` (`150000 100000`); `None` for `max`.
fn quota(text: &str) -> Option<f64> {
    let mut fields = text.split_whitespace().map(str::parse::<f64>);
    match (fields.next()?, fields.next()?) {
        (Ok(time), Ok(period)) if period > 0.0 => Some(time / period),
        _ => None,
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
            // On Arm this line does not exist.
            .or_else(|| field(&cpuinfo, "Hardware"))
            .map(str::to_owned),
        cpus: std::thread::available_parallelism()
            .ok()
            .and_then(|cpus| u32::try_from(cpus.get()).ok()),
        memory_bytes: text("meminfo").and_then(|text| size(&text, "MemTotal")),
        kernel: line("sys/kernel/osrelease"),
        host: line("sys/kernel/hostname"),
        ..Environment::default()
    }
}

/// Vendor and product from the firmware; `None` if missing, as in many virtual machines.
fn host_class(firmware: &Path) -> Option<String> {
    let named = ["sys_vendor", "product_name"].map(|name| {
        let text = std::fs::read_to_string(firmware.join(name)).unwrap_or_default();
        text.trim().to_owned()
    });
    let known: Vec<&str> = named
        .iter()
        .map(String::as_str)
        .filter(|name| !name.is_empty() && !name.starts_with("To be filled"))
        .collect();
    (!known.is_empty()).then(|| known.join(" "))
}

/// The value of the first line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim())
    })
}

/// `MemTotal: 24689764 kB`, where kB means KiB.
fn size(meminfo: &str, name: &str) -> Option<u64> {
    let kibibytes = field(meminfo, name)?.strip_suffix("kB")?;
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
    fn an_unreadable_file_is_absent() {
        let folder = tempfile::tempdir().unwrap();
        let environment = read(folder.path());
        assert_eq!(environment.cpu, None);
        assert_eq!(environment.memory_bytes, None);
        assert_eq!(environment.kernel, None);
    }

    #[test]
    fn pressure_and_quota_are_read_if_the_kernel_reports_them() {
        let text = "some avg10=1.25 avg60=0.50 avg300=0.10 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0";
        assert_eq!(pressure(text), Some(1.25));
        assert_eq!(pressure("rubbish"), None);
        assert_eq!(quota("150000 100000\n"), Some(1.5));
        assert_eq!(quota("max 100000\n"), None);
    }

    #[test]
    fn the_governors_of_all_cpus_are_listed_once() {
        let root = tempfile::tempdir().unwrap();
        for (cpu, governor) in [
            (0, "performance\n"),
            (1, "powersave\n"),
            (2, "performance\n"),
        ] {
            let path = root.path().join(format!(
                "sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"
            ));
            crate::files::create_folder(path.parent().unwrap()).unwrap();
            crate::files::write_atomically(&path, governor.as_bytes()).unwrap();
        }
        let facts = HostFacts::below(root.path());
        assert_eq!(facts.governors, ["performance", "powersave"]);
        assert_eq!(facts.memory_available, None);
        assert!(HostFacts::read().memory_available.is_some());
    }

    #[test]
    fn the_kind_of_host_comes_from_the_firmware() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            crate::files::write_atomically(&folder.path().join(name), text.as_bytes()).unwrap();
        };
        assert_eq!(host_class(folder.path()), None);
        write("product_name", "p5.48xlarge\n");
        write("sys_vendor", "Amazon EC2\n");
        assert_eq!(
            host_class(folder.path()).as_deref(),
            Some("Amazon EC2 p5.48xlarge")
        );
    }

    #[test]
    fn a_machine_is_its_gpus_else_its_name_else_its_id_and_a_container_has_none() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            crate::files::write_atomically(&root.path().join(name), text.as_bytes()).unwrap();
        };
        let gpu = |uuid: &str| Gpu {
            uuid: Some(uuid.to_owned()),
            ..Gpu::default()
        };
        let of = |gpus: &[Gpu], named: Option<&str>| machine_below(root.path(), gpus, named);
        assert_eq!(of(&[], None), None);
        assert_eq!(of(&[], Some("  ")), None);
        write("etc/machine-id", "uninitialized\n");
        assert_eq!(of(&[], None), None);
        write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        let by_id = of(&[], None).unwrap();
        assert!(by_id.starts_with("machine-") && !by_id.contains("0123456789abcdef"));
        assert_eq!(of(&[], Some("node-7")).as_deref(), Some("node-7"));
        let gpus = [gpu("GPU-b"), gpu("GPU-a")];
        assert_eq!(of(&gpus, Some("node-7")).as_deref(), Some("GPU-a,GPU-b"));
        assert_eq!(of(&[Gpu::default()], None), Some(by_id));
        write(".dockerenv", "");
        assert_eq!(of(&[], None), None);
        assert_eq!(of(&[], Some("node-7")).as_deref(), Some("node-7"));
    }

    #[test]
    fn memory_is_counted_in_bytes() {
        assert_eq!(
            size("MemTotal:       24689764 kB\nMemFree: 1 kB", "MemTotal"),
            Some(25_282_318_336)
        );
        assert_eq!(size("MemTotal: much", "MemTotal"), None);
    }
}
