//! Measures the wanted number of repeats or pairs; void ones are measured again.

use super::arm::Arm;
use crate::failure::Failure;

/// Maximum number of additional repeats for void ones.
pub(super) const MAX_VOID: u32 = 3;

/// Measures until `wanted` repeats are valid, earlier ones included.
pub(crate) async fn measure_repeats(arm: &mut Arm<'_>, wanted: u32) -> Result<(), Failure> {
    let void = |arm: &Arm<'_>| arm.repeats() - arm.result().counting_repeats();
    let void_before = void(arm);
    loop {
        let have = arm.result().counting_repeats();
        if have >= wanted || void(arm) - void_before > MAX_VOID {
            return Ok(());
        }
        arm.repeat(arm.repeats() + wanted - have).await?;
    }
}

/// Measures until `wanted` pairs are valid: A B, then B A, so that a drift of the machine affects both sides equally.
pub(crate) async fn measure_pairs(
    base: &mut Arm<'_>,
    candidate: &mut Arm<'_>,
    wanted: u32,
) -> Result<(), Failure> {
    // Half of an interrupted pair has no partner measured at the same time.
    let begun = base.repeats().max(candidate.repeats());
    base.fill_up(begun);
    candidate.fill_up(begun);
    let most = begun + wanted + MAX_VOID;
    loop {
        let have = base.result().counting_pairs(candidate.result());
        if have >= wanted || base.repeats() >= most {
            return Ok(());
        }
        let of = base.repeats() + wanted - have;
        if base.repeats().is_multiple_of(2) {
            base.repeat(of).await.map_err(Failure::of_base)?;
            candidate.repeat(of).await?;
        } else {
            candidate.repeat(of).await?;
            base.repeat(of).await.map_err(Failure::of_base)?;
        }
    }
}
