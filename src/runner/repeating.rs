//! Measures the wanted number of repeats or pairs; void ones are measured again.

use super::arm::{Arm, INTERRUPTED};
use super::repeat_context::RepeatContext;
use super::run_in_progress::OtherEvidence;
use crate::event::GateEvent;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::record::format::ResultFile;
use crate::stats::base_starts_first;

/// Maximum number of additional repeats for void ones.
pub(super) const MAX_VOID: u32 = 3;

/// Measures all repeats of a plan, void ones anew. The result is on disk after each of them, whatever comes later.
pub(crate) async fn measure_all(context: RepeatContext<'_>) -> Result<ResultFile, Failure> {
    let repeats = context.plan.repeat;
    let mut arm = Arm::begin(context, None)?;
    measure_repeats(&mut arm, repeats).await?;
    Ok(arm.run.result)
}

/// Measures until `wanted` repeats are valid, earlier ones included.
pub(crate) async fn measure_repeats(arm: &mut Arm<'_>, wanted: u32) -> Result<(), Failure> {
    let void = |arm: &Arm<'_>| arm.run.repeats() - arm.run.result.counting_repeats();
    let void_before = void(arm);
    loop {
        let have = arm.run.result.counting_repeats();
        if have >= wanted || void(arm) - void_before > MAX_VOID {
            return Ok(());
        }
        arm.repeat(arm.run.repeats() + wanted - have).await?;
    }
}

/// Both arms of a gate with the base version at hand.
pub(crate) struct Arms<'a> {
    pub(crate) base: Arm<'a>,
    pub(crate) candidate: Arm<'a>,
}

/// A side of a pair.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Base,
    Candidate,
}

/// How a half of a pair ended.
enum Ended {
    Counts,
    /// Void, or failed in a way that may not happen again.
    Spoiled(Failure),
}

impl<'a> Arms<'a> {
    /// Measures until `wanted` pairs are valid. The order inside each pair is a lot drawn from `seed`, so that no neighbour that
    /// comes and goes in step slows one side only.
    pub(crate) async fn measure_pairs(&mut self, wanted: u32, seed: u64) -> Result<(), Failure> {
        // Half of an interrupted pair has no partner measured at the same time.
        self.fill_up(INTERRUPTED);
        loop {
            let done = (self.base.run.result).counting_pairs(&self.candidate.run.result);
            if done >= wanted {
                return Ok(());
            }
            let pair = done + 1;
            let order = if base_starts_first(seed, pair) {
                [Half::Base, Half::Candidate]
            } else {
                [Half::Candidate, Half::Base]
            };
            self.pair(order, pair).await?;
        }
    }

    /// Measures one pair. A half that is void or fails is measured again at once; if that fails too, both halves are measured anew,
    /// once.
    async fn pair(&mut self, order: [Half; 2], pair: u32) -> Result<(), Failure> {
        let mut last = None;
        for _ in 0..2 {
            match self.both_halves(order, pair).await? {
                Ended::Counts => return Ok(()),
                Ended::Spoiled(failure) => last = Some(failure),
            }
            self.fill_up("not measured: its partner in the pair was void twice");
        }
        let failure = last.unwrap_or_else(|| Failure::environment("a pair was not measured"));
        Err(failure.hint(format!(
            "pair {pair} was measured twice, each time with one half again; complete pairs are kept: the same command continues after them"
        )))
    }

    async fn both_halves(&mut self, order: [Half; 2], pair: u32) -> Result<Ended, Failure> {
        for (place, half) in order.into_iter().enumerate() {
            let mut ended = self.half(half, pair).await?;
            if let Ended::Spoiled(failure) = &ended {
                self.emit(GateEvent::HalfAgain {
                    pair,
                    of_base: half == Half::Base,
                    reason: failure.reason(),
                });
                ended = self.half(half, pair).await?;
            }
            if let Ended::Spoiled(_) = ended {
                return Ok(ended);
            }
            // The partner of the second half was measured before it was measured again.
            let (measured, other) = self.arms(half);
            let reason = "not measured: its partner in the pair was void";
            let late = measured.run.repeats().saturating_sub(1);
            let had = other.run.repeats();
            if place == 0 && had < late {
                other.run.fill_up(late, reason);
                other.keep()?;
            }
            if place == 1 && had <= late {
                other.run.put_last_at(late, reason);
                other.keep()?;
            }
        }
        Ok(Ended::Counts)
    }

    /// One half, as it ends.
    async fn half(&mut self, half: Half, pair: u32) -> Result<Ended, Failure> {
        let (arm, _) = self.arms(half);
        let before = arm.run.repeats();
        let measured = arm.repeat(pair).await;
        let measured = match half {
            Half::Base => measured.map_err(Failure::of_base),
            Half::Candidate => measured,
        };
        match measured {
            Err(failure) if may_not_happen_again(&failure) => {
                arm.run
                    .fill_up(arm.run.repeats(), "not measured: the server failed");
                Ok(Ended::Spoiled(failure))
            }
            Err(failure) => Err(failure),
            Ok(()) => Ok(match arm.run.void_since(before) {
                None => Ended::Counts,
                Some(reason) => Ended::Spoiled(void(&reason)),
            }),
        }
    }

    fn arms(&mut self, half: Half) -> (&mut Arm<'a>, &mut Arm<'a>) {
        match half {
            Half::Base => (&mut self.base, &mut self.candidate),
            Half::Candidate => (&mut self.candidate, &mut self.base),
        }
    }

    /// Repeats *i* of both arms form a pair: missing ones are void.
    fn fill_up(&mut self, reason: &str) {
        let most = self.base.run.repeats().max(self.candidate.run.repeats());
        self.base.run.fill_up(most, reason);
        self.candidate.run.fill_up(most, reason);
    }

    fn emit(&self, event: GateEvent) {
        self.candidate.context.command.events.emit(event);
    }
}

/// Whether another start may succeed: servers and machines fail now and then.
fn may_not_happen_again(failure: &Failure) -> bool {
    let statuses = [ExitStatus::TargetFailed, ExitStatus::EnvironmentFailed];
    statuses.contains(&failure.status) && !failure.error.is::<OtherEvidence>()
}

/// The failure of a repeat that is void.
fn void(reason: &str) -> Failure {
    Failure::environment(format!("a repeat of the pair is void: {reason}"))
}

/// Fails if all repeats of a result are void.
pub(crate) fn nothing_counts(result: &ResultFile) -> Result<(), Failure> {
    if result.counting_repeats() > 0 {
        return Ok(());
    }
    let mut repeats = result
        .scenarios
        .iter()
        .flat_map(|scenario| &scenario.repeats);
    let last = repeats.rfind(|repeat| repeat.void.is_some());
    let last = last.and_then(|repeat| repeat.void.as_deref());
    let message = format!(
        "all repeats are void; the last one because {}",
        last.unwrap_or("it was not measured")
    );
    Err(
        Failure::environment(message).hint(
            "if the load generator was the cause, reserve a CPU for it or lower the load; `perfgate doctor` measures the load that this machine can generate",
        ),
    )
}
