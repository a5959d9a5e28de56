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
    EnvironmentFailed = 6,
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
        Self::EnvironmentFailed,
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
            Self::EnvironmentFailed => {
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

/// How a step of `git bisect run` ended. Git takes every code from 1 to 127 but 125 for *bad*, so each answer has a code of
/// its own here, and whatever is no answer stops the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BisectStatus {
    /// As fast as the good end.
    Good = 0,
    /// Slower than the good end, beyond a limit.
    Bad = 1,
    /// This commit cannot be judged; another one in its place can.
    Skip = 125,
    /// No commit can be judged any more.
    Stop = 128,
    /// Interrupted; what was started has been removed.
    Interrupted = 130,
}

impl BisectStatus {
    /// All codes, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Good,
        Self::Bad,
        Self::Skip,
        Self::Stop,
        Self::Interrupted,
    ];

    /// The number that the process ends with.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// One line for `--help` and the documentation.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Good => "good: no regression beyond a limit, compared with the good end",
            Self::Bad => "bad: a regression beyond a limit",
            Self::Skip => {
                "cannot be judged, git tries another commit: the build fails, the target does not start, or the evidence does not decide"
            }
            Self::Stop => {
                "stops the search: bad configuration, no engine, not comparable with the good end, an end that is not what it is said to be, a culprit that is not confirmed, a bug"
            }
            Self::Interrupted => "interrupted; what it started has been removed",
        }
    }

    /// What a code of the other commands is within a search: once both ends have been measured, a target that fails or an
    /// undecided comparison says something of its commit, and everything else of the surroundings.
    pub const fn of(status: ExitStatus) -> Self {
        match status {
            ExitStatus::Pass => Self::Good,
            ExitStatus::Blocked => Self::Bad,
            ExitStatus::Inconclusive | ExitStatus::TargetFailed => Self::Skip,
            ExitStatus::Usage
            | ExitStatus::NotComparable
            | ExitStatus::EnvironmentFailed
            | ExitStatus::Bug => Self::Stop,
            ExitStatus::Interrupted => Self::Interrupted,
        }
    }
}

impl BisectStatus {
    /// The code of what could not be done at all, whatever went wrong: it must not be taken for an answer.
    pub const fn of_failure(status: ExitStatus) -> Self {
        match Self::of(status) {
            Self::Interrupted => Self::Interrupted,
            Self::Good | Self::Bad | Self::Skip | Self::Stop => Self::Stop,
        }
    }
}

impl From<BisectStatus> for ExitCode {
    fn from(status: BisectStatus) -> Self {
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

    #[test]
    fn git_never_takes_for_bad_what_is_not() {
        for status in ExitStatus::ALL {
            let code = BisectStatus::of(status).code();
            let means_bad = (1..=127).contains(&code) && code != 125;
            assert_eq!(means_bad, status == ExitStatus::Blocked, "{status:?}");
            // The shell's own, with which git suspects the script.
            assert!(!matches!(code, 126 | 127));
        }
    }

    #[test]
    fn what_cannot_be_judged_is_skipped_and_what_concerns_every_commit_stops() {
        let codes = ExitStatus::ALL.map(|status| BisectStatus::of(status).code());
        assert_eq!(codes, [0, 1, 128, 125, 128, 125, 128, 128, 130]);
    }
}
