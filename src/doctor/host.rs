//! The machine itself: properties that make latencies longer or results differ between runs.

use super::check::{Check, Group, Level};
use crate::metric::Unit;
use crate::runner::early_end;
use crate::stats::number;
use crate::telemetry::HostFacts;
use crate::text::number::value;

/// Share of the CPUs that other work may use before it affects latencies.
const BUSY: f64 = 0.25;

/// With less free space the results and logs of a long run do not fit, nor does an image.
const LEAST_FREE_DISK: u64 = 5 << 30;

/// Swapped-out memory up to this size belongs to idle programs.
const LITTLE_SWAP: u64 = 256 << 20;

/// Connections of a sweep, with a reserve for other files.
const LEAST_FILES: u64 = 4096;

pub(crate) fn checks(host: &HostFacts, may_be_real_time: bool) -> Group {
    let checks = [
        Some(processor(host)),
        load(host),
        Some(governor(host)),
        quota(host),
        memory(host),
        swap(host),
        disk(host),
        clock(host),
        Some(priority(may_be_real_time)),
        files(host),
    ];
    Group {
        name: "machine",
        checks: checks.into_iter().flatten().collect(),
    }
}

fn bytes(bytes: u64) -> String {
    value(number(bytes), Unit::Bytes)
}

fn processor(host: &HostFacts) -> Check {
    let name = host.cpu.as_deref().unwrap_or("unknown processor");
    Check::good("processor", format!("{} × {name}", host.cpus)).warn_if(
        host.cpus < 3,
        "a server here shares its CPUs with the load generator: give the server all but one (taskset -c 1- …)",
    )
}

fn load(host: &HostFacts) -> Option<Check> {
    let running = host.load?;
    let share = running / f64::from(host.cpus.max(1));
    let stalled = host
        .cpu_pressure
        .map(|percent| format!(", tasks waited for a CPU {percent:.1} % of the last 10 s"))
        .unwrap_or_default();
    let found = format!("{running:.2} tasks on average over the last minute{stalled}");
    Some(Check::good("other work", found).warn_if(
        share > BUSY,
        "end other programs (top -o %CPU), or wait: they make latencies longer and noisier",
    ))
}

fn governor(host: &HostFacts) -> Check {
    if host.governors.is_empty() {
        return Check::new(
            "governor",
            Level::Note,
            "not reported by the kernel (a virtual machine): the host decides",
        );
    }
    Check::good("governor", host.governors.join(", ")).warn_if(
        host.governors != ["performance"],
        "sudo cpupower frequency-set -g performance",
    )
}

fn quota(host: &HostFacts) -> Option<Check> {
    let cpus = host.cpu_quota?;
    Some(Check::warning(
        "CPU quota",
        format!("this control group may use {cpus:.2} CPUs"),
        "run without the limit: throttled CPUs stop in the middle of a request",
    ))
}

fn memory(host: &HostFacts) -> Option<Check> {
    let (total, available) = (host.memory?, host.memory_available?);
    Some(Check::good(
        "memory",
        format!("{} of {} available", bytes(available), bytes(total)),
    ))
}

fn swap(host: &HostFacts) -> Option<Check> {
    let used = host.swap_used?;
    (used > LITTLE_SWAP).then(|| {
        Check::warning(
            "swap",
            format!("{} are swapped out", bytes(used)),
            "sudo swapoff -a && sudo swapon -a, once enough memory is free",
        )
    })
}

fn disk(host: &HostFacts) -> Option<Check> {
    let free = host.disk_free?;
    Some(
        Check::good("disk", format!("{} free here", bytes(free))).warn_if(
            free < LEAST_FREE_DISK,
            "free disk space for results, logs and images (docker system df)",
        ),
    )
}

fn clock(host: &HostFacts) -> Option<Check> {
    let source = host.clock_source.as_deref()?;
    let is_quick = [
        "tsc",
        "kvm-clock",
        "arch_sys_counter",
        "hyperv_clocksource_tsc_page",
    ]
    .contains(&source);
    Some(if is_quick {
        Check::good("clock", source)
    } else {
        Check::warning(
            "clock",
            format!("{source}: reading the time is a system call"),
            "echo tsc | sudo tee /sys/devices/system/clocksource/clocksource0/current_clocksource, if the kernel offers it",
        )
    })
}

fn priority(may_be_real_time: bool) -> Check {
    if may_be_real_time {
        Check::good("priority", "the load generator has real-time priority")
    } else {
        Check::warning(
            "priority",
            "the load generator may not use real-time priority: with a server that keeps every CPU busy, repeats are void",
            early_end::RIGHT_TO_REAL_TIME,
        )
    }
}

fn files(host: &HostFacts) -> Option<Check> {
    let limit = host.open_files?;
    (limit < LEAST_FILES).then(|| {
        Check::warning(
            "open files",
            format!("at most {limit}: each request in flight needs one"),
            "ulimit -n 65536",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::check::page;
    use super::*;

    fn quiet() -> HostFacts {
        HostFacts {
            cpu: Some("AMD EPYC 9654".to_owned()),
            cpus: 96,
            load: Some(0.5),
            cpu_pressure: Some(0.0),
            governors: vec!["performance".to_owned()],
            cpu_quota: None,
            memory: Some(512 << 30),
            memory_available: Some(500 << 30),
            swap_used: Some(0),
            disk_free: Some(900 << 30),
            clock_source: Some("tsc".to_owned()),
            open_files: Some(1 << 20),
        }
    }

    #[test]
    fn a_quiet_machine_has_no_problem() {
        insta::assert_snapshot!(page(&[checks(&quiet(), true)]));
    }

    #[test]
    fn every_disturbance_is_reported_with_its_fix() {
        let busy = HostFacts {
            cpus: 2,
            load: Some(1.9),
            cpu_pressure: Some(12.5),
            governors: vec!["powersave".to_owned(), "schedutil".to_owned()],
            cpu_quota: Some(1.5),
            swap_used: Some(3 << 30),
            disk_free: Some(1 << 30),
            clock_source: Some("hpet".to_owned()),
            open_files: Some(1024),
            ..quiet()
        };
        insta::assert_snapshot!(page(&[checks(&busy, false)]));
        let unknown = HostFacts::default();
        insta::assert_snapshot!(page(&[checks(&unknown, true)]));
    }
}
