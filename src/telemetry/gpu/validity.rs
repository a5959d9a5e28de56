//! Decides from the GPU samples whether a repeat counts. Pure; it does not see the results, so that a bad result is never
//! discarded for being bad.

use super::summary::{GpuSummary, Process};
use super::throttle::Throttle;
use crate::measure::{Concerns, Warning};
use crate::text::count::count;

/// Largest share of the samples with clocks reduced by a reason that voids a repeat.
const MOST_THROTTLED: f64 = 0.01;

/// Checks all GPUs. `lost`: the message about a lost one.
pub fn concerns(gpus: &[GpuSummary], lost: Option<&str>) -> Concerns {
    let voids = gpus.iter().find_map(|gpu| {
        broken(gpu)
            .or_else(|| foreign(gpu))
            .or_else(|| throttled(gpu))
    });
    Concerns {
        void: lost.map(str::to_owned).or(voids),
        warnings: gpus.iter().flat_map(warnings).collect(),
        ..Concerns::default()
    }
}

/// Hardware errors.
fn broken(gpu: &GpuSummary) -> Option<String> {
    let label = &gpu.label;
    if let Some(code) = gpu.xids.first() {
        let name = if *code == 0 {
            "a critical error with an unknown code".to_owned()
        } else {
            format!("the critical error Xid {code}")
        };
        return Some(format!("{label} reported {name}; `dmesg` shows more"));
    }
    let errors = gpu.ecc_uncorrected_new.filter(|errors| *errors > 0)?;
    let errors = count(errors, "uncorrected memory error");
    Some(format!("{label} had {errors} (ECC) during the repeat"))
}

/// Another program on the device.
fn foreign(gpu: &GpuSummary) -> Option<String> {
    let others: Vec<String> = gpu
        .processes
        .iter()
        .filter(|process| process.foreign)
        .map(named)
        .collect();
    (!others.is_empty()).then(|| format!("{} was also used by {}", gpu.label, others.join(", ")))
}

/// `process 41213 (python3)`.
fn named(process: &Process) -> String {
    let name = process.name.as_ref().map(|name| format!(" ({name})"));
    format!("process {}{}", process.pid, name.unwrap_or_default())
}

/// Clocks reduced by heat or the power supply. A specific reason goes before the general one, which accompanies it.
fn throttled(gpu: &GpuSummary) -> Option<String> {
    let reasons = [
        (Throttle::HardwareThermal, "hardware thermal"),
        (Throttle::PowerBrake, "power brake"),
        (Throttle::SoftwareThermal, "software thermal"),
        (Throttle::HardwareSlowdown, "hardware slowdown"),
    ];
    reasons.into_iter().find_map(|(reason, name)| {
        let share = percent(share(gpu, reason)?);
        Some(format!(
            "{} was throttled ({name}) in {share} of the repeat",
            gpu.label
        ))
    })
}

/// Share of the samples with clocks reduced by that reason, unless it is negligible.
fn share(gpu: &GpuSummary, reason: Throttle) -> Option<f64> {
    let share = gpu.throttled.as_ref()?.get(&reason).copied();
    share.filter(|share| *share > MOST_THROTTLED)
}

/// `12 %`.
fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn warnings(gpu: &GpuSummary) -> Vec<Warning> {
    let label = &gpu.label;
    let mut found = Vec::new();
    let mut warn = |about: &str, message: String| {
        found.push(Warning {
            about: format!("{label}: {about}"),
            message,
        });
    };
    if let Some(share) = share(gpu, Throttle::PowerCap) {
        let limit = gpu.power_watts.as_ref().and_then(|power| power.limit);
        let limit = limit.map_or(String::new(), |watts| format!(" ({watts:.0} W)"));
        warn(
            "power cap",
            format!(
                "{label} ran at its power limit{limit} in {} of the repeat",
                percent(share)
            ),
        );
    }
    if let (Some(false), Some(clock)) = (gpu.clock_steady, &gpu.clock_sm_mhz) {
        warn(
            "clocks",
            format!(
                "{label}'s SM clock changed from {:.0} to {:.0} MHz under load; `nvidia-smi -lgc MHZ,MHZ` locks it and makes results steadier",
                clock.min, clock.max
            ),
        );
    }
    if gpu.persistence == Some(false) {
        warn(
            "persistence",
            format!(
                "{label}'s driver is unloaded while the GPU is unused; `nvidia-smi -pm 1` keeps it loaded"
            ),
        );
    }
    let link = &gpu.pcie;
    for (what, seen, most) in [
        ("generation", link.generation, link.generation_max),
        ("width", link.width, link.width_max),
    ] {
        if let (Some(seen), Some(most)) = (seen, most)
            && seen < most
        {
            warn(
                what,
                format!("{label}'s PCI Express {what} is {seen} under load; the maximum is {most}"),
            );
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::summary::{Clock, Pcie, Power};
    use super::*;

    fn gpu() -> GpuSummary {
        GpuSummary {
            label: "GPU 0".to_owned(),
            ..GpuSummary::default()
        }
    }

    fn throttled_by(shares: &[(Throttle, f64)]) -> GpuSummary {
        GpuSummary {
            throttled: Some(shares.iter().copied().collect()),
            ..gpu()
        }
    }

    fn void(gpu: &GpuSummary) -> String {
        concerns(std::slice::from_ref(gpu), None)
            .void
            .unwrap_or_else(|| "counts".to_owned())
    }

    #[test]
    fn every_reason_that_voids_a_repeat_is_reported() {
        let stranger = Process {
            pid: 41_213,
            name: Some("python3".to_owned()),
            foreign: true,
            ..Process::default()
        };
        let own = Process {
            pid: 7,
            ..Process::default()
        };
        let messages: Vec<String> = [
            gpu(),
            throttled_by(&[
                (Throttle::HardwareSlowdown, 0.12),
                (Throttle::HardwareThermal, 0.12),
            ]),
            throttled_by(&[(Throttle::HardwareSlowdown, 0.12)]),
            throttled_by(&[(Throttle::PowerBrake, 0.02)]),
            throttled_by(&[(Throttle::SoftwareThermal, 0.9)]),
            throttled_by(&[(Throttle::SoftwareThermal, 0.01), (Throttle::PowerCap, 1.0)]),
            GpuSummary {
                processes: vec![own, stranger],
                ..gpu()
            },
            GpuSummary {
                ecc_uncorrected_new: Some(1),
                ..throttled_by(&[(Throttle::PowerBrake, 0.5)])
            },
            GpuSummary {
                xids: vec![79],
                ..gpu()
            },
        ]
        .iter()
        .map(void)
        .collect();
        insta::assert_snapshot!(messages.join("\n"), @"
        counts
        GPU 0 was throttled (hardware thermal) in 12 % of the repeat
        GPU 0 was throttled (hardware slowdown) in 12 % of the repeat
        GPU 0 was throttled (power brake) in 2 % of the repeat
        GPU 0 was throttled (software thermal) in 90 % of the repeat
        counts
        GPU 0 was also used by process 41213 (python3)
        GPU 0 had 1 uncorrected memory error (ECC) during the repeat
        GPU 0 reported the critical error Xid 79; `dmesg` shows more
        ");
    }

    #[test]
    fn a_lost_gpu_goes_before_everything_else() {
        let found = concerns(
            &[throttled_by(&[(Throttle::PowerBrake, 0.5)])],
            Some("GPU 1 is lost"),
        );
        assert_eq!(found.void.as_deref(), Some("GPU 1 is lost"));
    }

    #[test]
    fn other_problems_are_warnings() {
        let clock = Clock {
            median: 1_900.0,
            p5: 1_500.0,
            min: 1_410.0,
            max: 1_980.0,
            highest: Some(1_980.0),
        };
        let found = concerns(
            &[GpuSummary {
                clock_steady: Some(false),
                clock_sm_mhz: Some(clock),
                persistence: Some(false),
                power_watts: Some(Power {
                    mean: 650.0,
                    max: 702.0,
                    limit: Some(700.0),
                }),
                pcie: Pcie {
                    generation: Some(4),
                    generation_max: Some(5),
                    width: Some(16),
                    width_max: Some(16),
                },
                ..throttled_by(&[(Throttle::PowerCap, 0.34)])
            }],
            None,
        );
        assert_eq!(found.void, None);
        let messages: Vec<String> = found
            .warnings
            .into_iter()
            .map(|warning| warning.message)
            .collect();
        insta::assert_snapshot!(messages.join("\n"), @"
        GPU 0 ran at its power limit (700 W) in 34 % of the repeat
        GPU 0's SM clock changed from 1410 to 1980 MHz under load; `nvidia-smi -lgc MHZ,MHZ` locks it and makes results steadier
        GPU 0's driver is unloaded while the GPU is unused; `nvidia-smi -pm 1` keeps it loaded
        GPU 0's PCI Express generation is 4 under load; the maximum is 5
        ");
    }

    #[test]
    fn an_unknown_figure_is_not_a_reason() {
        let unknown = GpuSummary {
            clock_steady: None,
            pcie: Pcie {
                generation: None,
                generation_max: Some(5),
                ..Pcie::default()
            },
            ..gpu()
        };
        assert_eq!(concerns(&[unknown], None), Concerns::default());
    }
}
