//! Measures the wanted number of repeats or pairs; void ones are measured again.

use super::arm::Arm;
use super::repeat_context::RepeatContext;
use crate::failure::Failure;
use crate::record::format::ResultFile;

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

/// Measures until `wanted` pairs are valid: A B, then B A, so that a drift of the machine affects both sides equally.
pub(crate) async fn measure_pairs(
    base: &mut Arm<'_>,
    candidate: &mut Arm<'_>,
    wanted: u32,
) -> Result<(), Failure> {
    // Half of an interrupted pair has no partner measured at the same time.
    let begun = base.run.repeats().max(candidate.run.repeats());
    base.run.fill_up(begun);
    candidate.run.fill_up(begun);
    let most = begun + wanted + MAX_VOID;
    loop {
        let have = base.run.result.counting_pairs(&candidate.run.result);
        if have >= wanted || base.run.repeats() >= most {
            return Ok(());
        }
        let of = base.run.repeats() + wanted - have;
        if base.run.repeats().is_multiple_of(2) {
            base.repeat(of).await.map_err(Failure::of_base)?;
            candidate.repeat(of).await?;
        } else {
            candidate.repeat(of).await?;
            base.repeat(of).await.map_err(Failure::of_base)?;
        }
    }
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
