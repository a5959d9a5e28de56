//! Simulated gates: the trial that ships, with drawn server starts.

use serde::Serialize;

use super::draws::{Day, Machine};
use super::unit_price::UnitPrice;
use crate::policy::rule::Policy;
use crate::record::format::ResultFile;
use crate::record::{RecordError, Run, checked};
use crate::report::comparison::Verdict;
use crate::report::price::Price;
use crate::stats::{base_starts_first, number};
use crate::trial::{Author, ErrorsLeft, Evidence, Protocol, Step, StoredBaseline, Trial};

/// The mean of simulated gates of one kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Change {
    /// By how much the candidate is slower; 0 for an innocent one.
    pub(crate) slower: f64,
    /// Server starts.
    pub(crate) starts: f64,
    /// Measurements on them, of both versions.
    pub(crate) repeats: f64,
    /// Server time in seconds; absent without a price in the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seconds: Option<f64>,
    /// GPU-hours; absent without a GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gpu_hours: Option<f64>,
    /// Share of gates that pass, with or without warnings.
    pub(crate) passed: f64,
    pub(crate) blocked: f64,
    pub(crate) undecided: f64,
    pub(crate) not_comparable: f64,
}

/// How the server of a gate starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerStarts {
    /// For every repeat.
    EachRepeat,
    /// Once for all repeats of an interim look without the base version.
    EachLook,
    /// perfgate does not start it.
    Never,
}

/// What is the same in all simulated gates.
pub(crate) struct Gates<'a> {
    pub(crate) protocol: &'a Protocol,
    pub(crate) policy: &'a Policy,
    pub(crate) stored: &'a StoredBaseline,
    pub(crate) starts: ServerStarts,
    pub(crate) unit: Option<UnitPrice>,
    /// Seed of the order in pairs.
    pub(crate) order_seed: u64,
}

/// What one gate measured.
#[derive(Default)]
struct Measured {
    candidate: ResultFile,
    base_halves: ResultFile,
    halves: ResultFile,
    /// Server starts, counted as a price does.
    starts: u32,
    repeats: u32,
}

impl Gates<'_> {
    /// So many gates of a change that is slower by that share.
    pub(crate) fn of_change(
        &self,
        machine: &mut Machine,
        slower: f64,
        count: u32,
    ) -> Result<Change, RecordError> {
        let mut verdicts = Vec::new();
        let (mut starts, mut repeats) = (0, 0);
        for _ in 0..count {
            let (verdict, measured) = self.gate(machine, slower)?;
            verdicts.push(verdict);
            starts += u64::from(measured.starts);
            repeats += u64::from(measured.repeats);
        }
        let all = f64::from(count.max(1));
        let share = |wanted: &[Verdict]| {
            let found = verdicts.iter().filter(|verdict| wanted.contains(verdict));
            number(found.count() as u64) / all
        };
        let (starts, repeats) = (number(starts) / all, number(repeats) / all);
        let seconds = self.unit.map(|unit| unit.seconds(starts, repeats));
        Ok(Change {
            slower,
            starts,
            repeats,
            seconds,
            gpu_hours: self.unit.zip(seconds).and_then(|(unit, seconds)| {
                let price = Price {
                    load: seconds,
                    ..unit.price(0, 0)
                };
                price.gpu_hours()
            }),
            passed: share(&[Verdict::Pass, Verdict::Warn]),
            blocked: share(&[Verdict::Block, Verdict::Report]),
            undecided: share(&[Verdict::Inconclusive]),
            not_comparable: share(&[Verdict::Incomparable]),
        })
    }

    /// One gate against a baseline that is drawn anew, because the next one will be another.
    fn gate(&self, machine: &mut Machine, slower: f64) -> Result<(Verdict, Measured), RecordError> {
        let (accepted, today) = (machine.day(), machine.day());
        let mut baseline = machine.begin();
        for repeat in 0..machine.stored_repeats {
            let start = self.start_of("accepted", repeat);
            machine.repeat(&mut baseline, &accepted, 0.0, start.as_deref());
        }
        let mut evidence = Evidence {
            stored: Some(StoredBaseline {
                run: run(&baseline)?,
                ..self.stored.clone()
            }),
            ..Evidence::default()
        };
        let mut measured = Measured {
            candidate: machine.begin(),
            base_halves: machine.begin(),
            halves: machine.begin(),
            ..Measured::default()
        };
        let author = Author::default();
        let mut trial = Trial::new(self.protocol, self.policy, author, None, ErrorsLeft::ALL);
        loop {
            match trial.next(&evidence) {
                Step::Tell(_) | Step::Keep(_) => {}
                Step::Measure { repeats } => {
                    self.measure(machine, &today, slower, repeats, &mut measured);
                    evidence.candidate = Some(run(&measured.candidate)?);
                }
                Step::Pairs { pairs } => {
                    for pair in evidence.pairs() + 1..=pairs {
                        self.pair(machine, &today, slower, pair, &mut measured);
                    }
                    let halves = (run(&measured.base_halves)?, run(&measured.halves)?);
                    evidence.pairs = Some(halves);
                }
                Step::Done(comparison) => {
                    let verdict = comparison.map(|comparison| comparison.verdict);
                    return Ok((verdict.unwrap_or(Verdict::Incomparable), measured));
                }
            }
        }
    }

    /// Repeats of the candidate until there are so many.
    fn measure(
        &self,
        machine: &mut Machine,
        today: &Day,
        slower: f64,
        until: u32,
        measured: &mut Measured,
    ) {
        let have = measured.repeats;
        for repeat in have..until {
            let start = self.start_of("candidate", have);
            machine.repeat(&mut measured.candidate, today, slower, start.as_deref());
            let is_fresh = self.starts == ServerStarts::EachRepeat || repeat == have;
            measured.count(is_fresh && self.starts != ServerStarts::Never);
        }
    }

    fn pair(
        &self,
        machine: &mut Machine,
        today: &Day,
        slower: f64,
        pair: u32,
        measured: &mut Measured,
    ) {
        let is_base_first = base_starts_first(self.order_seed, pair);
        for is_base in [is_base_first, !is_base_first] {
            let attached = self.starts == ServerStarts::Never;
            let (half, slower, name) = if is_base {
                (&mut measured.base_halves, 0.0, "attached-base")
            } else {
                (&mut measured.halves, slower, "candidate")
            };
            machine.repeat(half, today, slower, attached.then_some(name));
            measured.count(!attached);
        }
    }

    /// The name of the server start of a repeat; `None`: a start of its own.
    fn start_of(&self, side: &str, look: u32) -> Option<String> {
        match self.starts {
            ServerStarts::EachRepeat => None,
            ServerStarts::EachLook if side == "accepted" => Some(side.to_owned()),
            ServerStarts::EachLook => Some(format!("{side}-{look}")),
            ServerStarts::Never => Some(side.to_owned()),
        }
    }
}

impl Measured {
    fn count(&mut self, is_started: bool) {
        self.repeats += 1;
        self.starts += u32::from(is_started);
    }
}

fn run(file: &ResultFile) -> Result<Run, RecordError> {
    checked("a simulated result", file.clone())
}
