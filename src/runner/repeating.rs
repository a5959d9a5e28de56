//! As many repeats or pairs as are wanted; void ones are measured again.

use super::arm::Arm;
use crate::failure::Failure;

/// Void repeats are measured again, so many times at most.
pub(super) const MOST_VOID: u32 = 3;

/// Measures until so many repeats count, those of before included.
pub(crate) async fn measure_repeats(arm: &mut Arm<'_>, wanted: u32) -> Result<(), Failure> {
    let void = |arm: &Arm<'_>| arm.repeats() - arm.result().counting_repeats();
    let void_before = void(arm);
    loop {
        let have = arm.result().counting_repeats();
        if have >= wanted || void(arm) - void_before > MOST_VOID {
            return Ok(());
        }
        arm.repeat(arm.repeats() + wanted - have).await?;
    }
}

/// Measures until so many pairs count: A B, then B A, so that a drift of the machine favours no side.
pub(crate) async fn measure_pairs(
    base: &mut Arm<'_>,
    candidate: &mut Arm<'_>,
    wanted: u32,
) -> Result<(), Failure> {
    // Half of a pair that was interrupted has no partner of its own hour.
    let begun = base.repeats().max(candidate.repeats());
    base.fill_up(begun);
    candidate.fill_up(begun);
    let most = begun + wanted + MOST_VOID;
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
