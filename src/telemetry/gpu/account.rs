//! Collects the samples of the GPUs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::super::larger;
use super::process_owner::{self, Owner};
use super::reading::{Facts, Reading, State};
use super::summary::{Clock, GpuSummary, MigSummary, Pcie, Power, Process, Temperature};
use super::throttle::Throttle;
use super::{NO_GPU, SourceName};
use crate::process_table::ProcessEntry;
use crate::stats;

/// Samples under load that are needed to decide whether a clock is steady.
const LEAST_BUSY: usize = 10;

/// A clock that changes by less than this share under load is steady.
const STEADY: f64 = 0.01;

/// All samples so far.
#[derive(Debug)]
pub(in crate::telemetry) struct Account {
    source: Option<SourceName>,
    gpus: Vec<OneGpu>,
    processes: BTreeMap<u32, Seen>,
    /// The server's processes, if known.
    server: Option<BTreeSet<u32>>,
    looks: u32,
    /// Failed samples, and the reason of the last failure.
    blind: (u32, String),
    /// Why there are no samples at all, or none from some moment on.
    over: Option<String>,
    since_drained: Moment,
}

#[derive(Debug, Default)]
struct OneGpu {
    facts: Facts,
    memory_peak: Option<f64>,
    server_peak: Option<f64>,
    utilization: Vec<f64>,
    clock_sm: Vec<f64>,
    clock_memory: Vec<f64>,
    power: Vec<f64>,
    temperature: Vec<f64>,
    throttle_looks: u32,
    throttled: BTreeMap<Throttle, u32>,
    ecc: Option<(u64, u64)>,
    pcie: Pcie,
    xids: Vec<u64>,
    processes: BTreeMap<u32, Option<f64>>,
    mig_devices: Vec<MigSummary>,
}

#[derive(Debug)]
struct Seen {
    name: Option<String>,
    owner: Owner,
    from_the_first: bool,
}

/// All GPUs together between two moments of the series.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::telemetry) struct Moment {
    /// Bytes, of the fullest GPU.
    pub(in crate::telemetry) memory: Option<f64>,
    /// Ratio, mean of all GPUs.
    pub(in crate::telemetry) utilization: Option<f64>,
    /// MHz, of the slowest GPU.
    pub(in crate::telemetry) clock_sm: Option<f64>,
    /// Watts, of all GPUs together.
    pub(in crate::telemetry) power: Option<f64>,
    /// °C, of the hottest GPU.
    pub(in crate::telemetry) temperature: Option<f64>,
}

impl Account {
    pub(in crate::telemetry) fn new(server: Option<BTreeSet<u32>>) -> Self {
        Self {
            source: None,
            gpus: Vec::new(),
            processes: BTreeMap::new(),
            server,
            looks: 0,
            blind: (0, String::new()),
            over: None,
            since_drained: Moment::default(),
        }
    }

    /// Ends the samples.
    pub(in crate::telemetry) fn end(&mut self, reason: String) {
        self.over.get_or_insert(reason);
    }

    /// Takes a sample, or why it failed.
    pub(in crate::telemetry) fn take(
        &mut self,
        source: SourceName,
        look: Result<Vec<Reading>, String>,
    ) {
        self.source = Some(source);
        self.looks += 1;
        match look {
            Ok(readings) => {
                self.note_processes(&readings);
                self.since_drained.take(&readings);
                for reading in readings {
                    self.take_gpu(reading);
                }
            }
            Err(reason) => {
                // A lost device does not return by itself.
                if is_loss(&reason) {
                    self.end(reason.clone());
                }
                self.blind = (self.blind.0 + 1, reason);
            }
        }
    }

    fn note_processes(&mut self, readings: &[Reading]) {
        let proc = Path::new("/proc");
        let all = readings
            .iter()
            .filter_map(|reading| reading.now.processes.as_ref());
        for process in all.flatten() {
            self.processes.entry(process.id).or_insert_with(|| Seen {
                name: ProcessEntry::name_of(process.id),
                owner: process_owner::owner(proc, process.id, self.server.as_ref()),
                from_the_first: self.looks == 1,
            });
        }
    }

    fn take_gpu(&mut self, Reading { facts, now }: Reading) {
        let same = |gpu: &OneGpu| {
            (gpu.facts.index, &gpu.facts.uuid, &gpu.facts.slice)
                == (facts.index, &facts.uuid, &facts.slice)
        };
        let at = self.gpus.iter().position(same).unwrap_or_else(|| {
            self.gpus.push(OneGpu::default());
            self.gpus.len() - 1
        });
        let servers = now.processes.as_ref().and_then(|processes| {
            let is_server = |id| {
                let seen = self.processes.get(id);
                seen.is_some_and(|seen| seen.owner == Owner::Server)
            };
            let own = processes.iter().filter(|process| is_server(&process.id));
            sum(own.filter_map(|process| process.memory))
        });
        let gpu = &mut self.gpus[at];
        gpu.facts = facts;
        gpu.server_peak = larger(gpu.server_peak, servers);
        gpu.take(now);
    }

    /// Samples since the last call.
    pub(in crate::telemetry) fn drain(&mut self) -> Moment {
        std::mem::take(&mut self.since_drained)
    }

    /// Why there are no GPU figures, or no reliable ones: with too many failed samples a peak is too low.
    pub(in crate::telemetry) fn reason(&self) -> Option<String> {
        let (failed, reason) = &self.blind;
        if self.over.is_some() {
            return self.over.clone();
        }
        if self.gpus.is_empty() {
            return Some(if *failed > 0 { reason } else { NO_GPU }.to_owned());
        }
        (failed * 2 > self.looks)
            .then(|| format!("{failed} of {} GPU samples failed: {reason}", self.looks))
    }

    /// The message about a lost GPU.
    pub(in crate::telemetry) fn lost(&self) -> Option<&str> {
        self.over.as_deref().filter(|reason| is_loss(reason))
    }

    /// Facts of each GPU; empty if none was found.
    pub(in crate::telemetry) fn facts(&self) -> impl Iterator<Item = &Facts> {
        self.gpus.iter().map(|gpu| &gpu.facts)
    }

    /// Summary of each GPU.
    pub(in crate::telemetry) fn summaries(&self) -> Vec<GpuSummary> {
        // If no id matches, the ids are of another pid namespace, and do not identify the owner of a process.
        let can_tell = self
            .processes
            .values()
            .any(|seen| seen.owner == Owner::Server);
        let process = |id: u32, memory: Option<f64>| {
            let seen = self.processes.get(&id)?;
            Some(Process {
                pid: id,
                name: seen.name.clone(),
                memory_peak_bytes: memory,
                foreign: match seen.owner {
                    Owner::Server => false,
                    Owner::Other if can_tell => true,
                    Owner::Other | Owner::Unknown => !seen.from_the_first,
                },
            })
        };
        let summary = |gpu: &OneGpu| {
            let processes = gpu.processes.iter();
            GpuSummary {
                source: self.source.map(SourceName::name),
                looks: self.looks,
                failed_looks: self.blind.0,
                processes: processes
                    .filter_map(|(id, memory)| process(*id, *memory))
                    .collect(),
                ..gpu.summary()
            }
        };
        self.gpus.iter().map(summary).collect()
    }
}

impl OneGpu {
    fn take(&mut self, now: State) {
        let busy = now.utilization.is_none_or(|share| share > 0.0);
        self.memory_peak = larger(self.memory_peak, now.memory_used);
        self.utilization.extend(now.utilization);
        self.power.extend(now.power);
        self.temperature.extend(now.temperature);
        if busy {
            self.clock_sm.extend(now.clock_sm);
            self.clock_memory.extend(now.clock_memory);
            // Both fall when no kernel runs.
            self.pcie.generation = self.pcie.generation.max(now.pcie_generation);
            self.pcie.width = self.pcie.width.max(now.pcie_width);
        }
        if let Some(throttles) = now.throttles {
            self.throttle_looks += 1;
            for reason in throttles.reasons() {
                *self.throttled.entry(reason).or_default() += 1;
            }
        }
        if let Some(errors) = now.ecc_uncorrected {
            let first = self.ecc.map_or(errors, |(first, _)| first);
            self.ecc = Some((first, errors));
        }
        self.xids.extend(now.xids);
        for process in now.processes.into_iter().flatten() {
            let peak = self.processes.entry(process.id).or_default();
            *peak = larger(*peak, process.memory);
        }
        for device in now.mig_devices {
            let mut known = self.mig_devices.iter_mut();
            match known.find(|known| known.uuid == device.uuid) {
                Some(known) => {
                    known.memory_peak_bytes = larger(known.memory_peak_bytes, device.memory_used);
                }
                None => self.mig_devices.push(MigSummary {
                    uuid: device.uuid,
                    memory_bytes: device.memory,
                    memory_peak_bytes: device.memory_used,
                }),
            }
        }
    }

    fn summary(&self) -> GpuSummary {
        let clock = |values: &[f64], highest: Option<f64>| {
            let least = |share| stats::quantile(values, share);
            Some(Clock {
                median: least(0.5)?,
                p5: least(0.05)?,
                min: least(0.0)?,
                max: least(1.0)?,
                highest,
            })
        };
        let share = |count: u32| f64::from(count) / f64::from(self.throttle_looks.max(1));
        let facts = &self.facts;
        let steady = |clock: &Clock| clock.max - clock.min <= STEADY * clock.median;
        let clock_sm = clock(&self.clock_sm, facts.clock_sm_max);
        GpuSummary {
            label: facts.label(),
            index: facts.index,
            uuid: facts.uuid.clone(),
            name: facts.name.clone(),
            memory_bytes: facts.memory,
            memory_peak_bytes: self.memory_peak,
            server_memory_peak_bytes: self.server_peak,
            utilization_mean: stats::mean(&self.utilization),
            clock_steady: (self.clock_sm.len() >= LEAST_BUSY)
                .then(|| clock_sm.as_ref().is_some_and(steady)),
            clock_sm_mhz: clock_sm,
            clock_memory_mhz: clock(&self.clock_memory, facts.clock_memory_max),
            power_watts: stats::mean(&self.power).map(|mean| Power {
                mean,
                max: self.power.iter().copied().fold(mean, f64::max),
                limit: facts.power_limit,
            }),
            temperature_celsius: self.temperature.first().map(|start| Temperature {
                start: *start,
                max: self.temperature.iter().copied().fold(*start, f64::max),
            }),
            throttled: (self.throttle_looks > 0).then(|| {
                let counts = self.throttled.iter();
                counts
                    .map(|(reason, count)| (*reason, share(*count)))
                    .collect()
            }),
            ecc_uncorrected_new: self.ecc.map(|(first, last)| last.saturating_sub(first)),
            xids: self.xids.clone(),
            pcie: Pcie {
                generation_max: facts.pcie_generation_max,
                width_max: facts.pcie_width_max,
                ..self.pcie
            },
            persistence: facts.persistence,
            mig_devices: self.mig_devices.clone(),
            ..GpuSummary::default()
        }
    }
}

impl Moment {
    fn take(&mut self, readings: &[Reading]) {
        let all = |field: fn(&State) -> Option<f64>| {
            readings
                .iter()
                .filter_map(move |reading| field(&reading.now))
        };
        let utilization: Vec<f64> = all(|now| now.utilization).collect();
        let newest = |old: Option<f64>, new: Option<f64>| new.or(old);
        self.memory = larger(self.memory, all(|now| now.memory_used).reduce(f64::max));
        self.temperature = larger(
            self.temperature,
            all(|now| now.temperature).reduce(f64::max),
        );
        self.utilization = newest(self.utilization, stats::mean(&utilization));
        self.clock_sm = newest(self.clock_sm, all(|now| now.clock_sm).reduce(f64::min));
        self.power = newest(self.power, sum(all(|now| now.power)));
    }
}

/// The text that the library's reader and `nvidia-smi` have for a lost device.
fn is_loss(reason: &str) -> bool {
    reason.contains("is lost")
}

fn sum(values: impl Iterator<Item = f64>) -> Option<f64> {
    values.reduce(|a, b| a + b)
}

#[cfg(test)]
mod tests {
    use super::super::reading::GpuProcess;
    use super::super::throttle::Throttles;
    use super::*;

    fn reading(now: State) -> Reading {
        Reading {
            facts: Facts {
                index: Some(0),
                name: "NVIDIA H100".to_owned(),
                ..Facts::default()
            },
            now,
        }
    }

    fn account(looks: impl IntoIterator<Item = State>) -> Account {
        let mut account = Account::new(None);
        for now in looks {
            account.take(SourceName::Nvml, Ok(vec![reading(now)]));
        }
        account
    }

    fn busy(clock: f64) -> State {
        State {
            utilization: Some(1.0),
            clock_sm: Some(clock),
            ..State::default()
        }
    }

    #[test]
    fn peaks_shares_and_differences_cover_all_samples() {
        let looks = (0..20_u32).map(|look| State {
            memory_used: Some(f64::from(look % 7)),
            power: Some(100.0 + f64::from(look)),
            temperature: Some(40.0 + f64::from(look)),
            throttles: Some(Throttles(if look < 5 { 0x44 } else { 0 })),
            ecc_uncorrected: Some(3 + u64::from(look / 10)),
            ..busy(1500.0)
        });
        let summary = account(looks).summaries().remove(0);
        assert_eq!(summary.memory_peak_bytes, Some(6.0));
        assert_eq!(summary.utilization_mean, Some(1.0));
        let throttled = summary.throttled.unwrap();
        assert!((throttled[&Throttle::PowerCap] - 0.25).abs() < 1e-9);
        assert!((throttled[&Throttle::HardwareThermal] - 0.25).abs() < 1e-9);
        assert_eq!(summary.ecc_uncorrected_new, Some(1));
        let power = summary.power_watts.unwrap();
        assert_eq!((power.mean, power.max), (109.5, 119.0));
        let temperature = summary.temperature_celsius.unwrap();
        assert_eq!((temperature.start, temperature.max), (40.0, 59.0));
        assert_eq!((summary.looks, summary.clock_steady), (20, Some(true)));
    }

    #[test]
    fn an_unreported_figure_is_not_zero() {
        let summary = account(vec![State::default(); 20]).summaries().remove(0);
        assert_eq!(summary.memory_peak_bytes, None);
        assert_eq!(summary.throttled, None);
        assert_eq!(summary.ecc_uncorrected_new, None);
        assert_eq!(
            (summary.clock_steady, summary.utilization_mean),
            (None, None)
        );
    }

    #[test]
    fn a_clock_that_falls_when_idle_is_steady_under_load() {
        let idle = State {
            utilization: Some(0.0),
            clock_sm: Some(345.0),
            ..State::default()
        };
        let looks = || {
            vec![busy(1500.0), idle.clone()]
                .into_iter()
                .cycle()
                .take(24)
        };
        assert_eq!(account(looks()).summaries()[0].clock_steady, Some(true));
        let moved = looks().chain([busy(1400.0)]);
        assert_eq!(account(moved).summaries()[0].clock_steady, Some(false));
        assert_eq!(account(looks().take(8)).summaries()[0].clock_steady, None);
    }

    #[test]
    fn without_matching_ids_only_later_processes_are_foreign() {
        let with = |ids: &[u32]| State {
            processes: Some(
                ids.iter()
                    .map(|id| GpuProcess {
                        id: *id,
                        memory: None,
                    })
                    .collect(),
            ),
            ..State::default()
        };
        let foreign = |account: &Account| -> Vec<u32> {
            let processes = account.summaries().remove(0).processes;
            let foreign = processes.iter().filter(|process| process.foreign);
            foreign.map(|process| process.pid).collect()
        };
        let later = account([with(&[4_000_001]), with(&[4_000_001, 4_000_002])]);
        assert_eq!(foreign(&later), [4_000_002]);
        // If one id is known to be the server's, the others are foreign.
        let mut known = Account::new(Some([4_000_001].into()));
        known.take(
            SourceName::Nvml,
            Ok(vec![reading(with(&[4_000_001, 4_000_003]))]),
        );
        assert_eq!(foreign(&known), [4_000_003]);
        // If none is, the ids are of another pid namespace.
        let mut elsewhere = Account::new(Some([4_000_009].into()));
        elsewhere.take(SourceName::Nvml, Ok(vec![reading(with(&[4_000_001]))]));
        assert_eq!(foreign(&elsewhere), [0_u32; 0]);
    }

    #[test]
    fn a_lost_device_leaves_no_figure_even_if_lost_at_the_end() {
        let mut account = account(vec![busy(1500.0); 50]);
        assert_eq!(account.reason(), None);
        account.take(
            SourceName::Nvml,
            Err("GPU 0 is lost: it fell off the bus".to_owned()),
        );
        assert_eq!(
            account.reason().as_deref(),
            Some("GPU 0 is lost: it fell off the bus")
        );
        assert_eq!(account.lost(), Some("GPU 0 is lost: it fell off the bus"));
    }
}
