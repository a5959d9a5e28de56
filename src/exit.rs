//! The documented exit codes: one public enum, the source for `--help` and the README.

use std::process::ExitCode;

/// The outcome of an invocation, as its exit code.
///
/// The numbers are a contract: `action.yml`, scripts and `git bisect run` read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// The command succeeded; a gate passed, possibly with warnings.
    Pass = 0,
    /// A `block` rule regressed, or a `report` rule regressed and no report was given.
    Blocked = 1,
    /// Flags, `perfgate.yaml`, `thresholds.yaml`, or a result file are invalid.
    Usage = 2,
    /// The evidence is inconclusive, and the policy fails inconclusive gates.
    Inconclusive = 3,
    /// No baseline, other hardware, other workload, or a gated metric missing or not finite.
    NotComparable = 4,
    /// The server under test did not start, died, or failed too many requests.
    TargetFailed = 5,
    /// No container engine, a requested GPU is missing, disk full, registry unreachable.
    EnvironmentFailed = 6,
    /// A bug in perfgate.
    Bug = 70,
    /// Interrupted; everything that perfgate started is removed.
    Interrupted = 130,
}

impl ExitStatus {
    /// All codes in the order of their numbers, each with one line for `--help` and the README.
    pub const ALL: [(Self, &'static str); 9] = [
        (Self::Pass, "pass (warnings included)"),
        (
            Self::Blocked,
            "blocked: a `block` rule regressed, or a `report` rule regressed and no report was given",
        ),
        (
            Self::Usage,
            "usage: invalid flags, perfgate.yaml, thresholds.yaml, or an unreadable result file",
        ),
        (
            Self::Inconclusive,
            "inconclusive, and the policy fails inconclusive gates",
        ),
        (
            Self::NotComparable,
            "not comparable: no baseline, other hardware, other workload, a gated metric missing or not finite",
        ),
        (
            Self::TargetFailed,
            "the target failed: did not start, died, too many failed requests",
        ),
        (
            Self::EnvironmentFailed,
            "the environment failed: no container engine, no GPU, disk full, registry unreachable",
        ),
        (Self::Bug, "a bug in perfgate"),
        (
            Self::Interrupted,
            "interrupted; everything that perfgate started is removed",
        ),
    ];

    /// The exit code of the process.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

/// The outcome of a step of `git bisect run`. Git reads every code from 1 to 127 except 125 as *bad*, so each answer has
/// its own code, and all other outcomes stop the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BisectStatus {
    /// As fast as the good end.
    Good = 0,
    /// Slower than the good end, beyond a limit.
    Bad = 1,
    /// This commit cannot be judged; git tries another one.
    Skip = 125,
    /// No further commit can be judged.
    Stop = 128,
    /// Interrupted; everything that perfgate started is removed.
    Interrupted = 130,
}

impl BisectStatus {
    /// All codes in the order of their numbers, each with one line for `--help` and the documentation.
    pub const ALL: [(Self, &'static str); 5] = [
        (
            Self::Good,
            "good: no regression beyond a limit, compared with the good end",
        ),
        (Self::Bad, "bad: a regression beyond a limit"),
        (
            Self::Skip,
            "cannot be judged, git tries another commit: the build fails, the target does not start, or the evidence does not decide",
        ),
        (
            Self::Stop,
            "stops the search: invalid configuration, no engine, not comparable with the good end, a good end that is slow or a bad end that is fast, an unconfirmed culprit, a bug",
        ),
        (
            Self::Interrupted,
            "interrupted; everything that perfgate started is removed",
        ),
    ];

    /// The exit code of the process.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Converts an exit code of the other commands: once both ends are measured, a failed target or an undecided comparison
    /// is a property of the commit, and everything else a property of the environment.
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

    /// The code for a failure, which must not count as an answer.
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
        let codes: Vec<u8> = ExitStatus::ALL
            .iter()
            .map(|(status, _)| status.code())
            .collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 70, 130]);
    }

    #[test]
    fn git_never_reads_another_outcome_as_bad() {
        for (status, _) in ExitStatus::ALL {
            let code = BisectStatus::of(status).code();
            let means_bad = (1..=127).contains(&code) && code != 125;
            assert_eq!(means_bad, status == ExitStatus::Blocked, "{status:?}");
            // The shell's own codes, which git attributes to the script.
            assert!(!matches!(code, 126 | 127));
        }
    }

    #[test]
    fn a_commit_that_cannot_be_judged_is_skipped_and_general_problems_stop() {
        let codes = ExitStatus::ALL.map(|(status, _)| BisectStatus::of(status).code());
        assert_eq!(codes, [0, 1, 128, 125, 128, 125, 128, 128, 130]);
    }
}
