//! `perfgate simulate`: serve until interrupted.

use super::Failure;
use crate::cli::simulate::SimulateArgs;
use crate::exit::ExitStatus;

pub(super) fn run(_args: &SimulateArgs) -> Result<ExitStatus, Failure> {
    Ok(ExitStatus::Pass)
}
