//! The documented exit codes: one public enum, from which `--help` and the README are written.

use std::process::ExitCode;

/// How an invocation ended, as its exit code says it.
///
/// The numbers are a contract: `action.yml`, scripts and `git bisect run` read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// Everything asked for was done; a gate passed (warnings included).
    Pass = 0,
    /// A `block` rule regressed, or a `report` rule regressed and no report was given.
    Blocked = 1,
    /// Flags, `perfgate.yaml`, `thresholds.yaml`, or a result file could not be understood.
    Usage = 2,
    /// The evidence does not decide, and the policy says that must not pass.
    Inconclusive = 3,
    /// No baseline, other hardware, other workload, or a gated metric missing or not finite.
    NotComparable = 4,
    /// The server under test did not start, died, or failed too many requests.
    TargetFailed = 5,
    /// No container engine, no GPU although one is asked for, disk full, registry unreachable.
    SurroundingsFailed = 6,
    /// A bug in perfgate.
    Bug = 70,
    /// Interrupted; what was started has been removed.
    Interrupted = 130,
}

impl ExitStatus {
    /// All codes, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Pass,
        Self::Blocked,
        Self::Usage,
        Self::Inconclusive,
        Self::NotComparable,
        Self::TargetFailed,
        Self::SurroundingsFailed,
        Self::Bug,
        Self::Interrupted,
    ];

    /// The number that the process ends with.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// One line for `--help` and the README.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Pass => "pass (warnings included)",
            Self::Blocked => {
                "blocked: a `block` rule regressed, or a `report` rule regressed and no report was given"
            }
            Self::Usage => {
                "usage: flags, perfgate.yaml, thresholds.yaml, or an unreadable result file"
            }
            Self::Inconclusive => "inconclusive, and the policy says that must not pass",
            Self::NotComparable => {
                "not comparable: no baseline, other hardware, other workload, a gated metric missing or not finite"
            }
            Self::TargetFailed => {
                "the target failed: did not start, died, too many failed requests"
            }
            Self::SurroundingsFailed => {
                "the surroundings failed: no container engine, no GPU, disk full, registry unreachable"
            }
            Self::Bug => "a bug in perfgate",
            Self::Interrupted => "interrupted; what it started has been removed",
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_listed_once_each_in_rising_order() {
        let codes: Vec<u8> = ExitStatus::ALL.iter().map(|status| status.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 70, 130]);
    }
}
