//! The codes of warnings and problems: stable names in kebab-case. Published files contain them as text; the documentation has
//! one heading for each.

/// The page of the documentation that explains every code, below `docs/`.
const PAGE: &str = "reference/warnings.md";

/// Address of the folder `docs/` of the release that this binary was built from. The release workflow sets it; a binary of an
/// unknown repository has none, and shows codes without links.
const DOCUMENTATION: Option<&str> = option_env!("PERFGATE_DOCUMENTATION_URL");

macro_rules! codes {
    ($($(#[doc = $meaning:literal])* $code:ident = $name:literal,)*) => {
        /// What a warning or a problem is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $($(#[doc = $meaning])* $code,)*
        }

        impl Code {
            /// All codes, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$code),*];

            /// Its stable name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$code => $name,)*
                }
            }
        }
    };
}

codes! {
    /// The candidate is implausibly fast; the verdict waits for a reason.
    CheckBeforeBelieving = "check-before-believing",
    /// An undecided verdict passes, because the policy allows it.
    PassedUndecided = "passed-undecided",
    /// The budget of a gate ended before its evidence decided.
    BudgetEnded = "budget-ended",
    /// A `warn` rule could not be judged.
    NotJudged = "not-judged",
    /// A regression needs an explanation by the author.
    ExplanationWanted = "explanation-wanted",
    /// The author explained a regression.
    Explained = "explained",
    /// There is no baseline yet, so nothing was compared.
    FirstRun = "first-run",
    /// A metric is worse than in the last release by more than its limit.
    SlowerThanRelease = "slower-than-release",
    /// The last release was measured on other hardware or with another workload.
    ReleaseNotComparable = "release-not-comparable",
    /// The change edits the files it is judged by.
    BarEdited = "bar-edited",
    /// The change edits what is measured.
    QuestionEdited = "question-edited",
    /// The base commit has no configuration, so the change's own was used.
    FirstConfiguration = "first-configuration",
    /// The change was judged by files that it can edit.
    JudgedByOwnFiles = "judged-by-own-files",
    /// The bucket could not be reached, so a local copy of the baseline was used.
    BaselineCopy = "baseline-copy",
    /// The stored baseline cannot be compared, so the alternating repeats decide alone.
    StoredBaselineNotUsed = "stored-baseline-not-used",
    /// The stored baseline and the alternating repeats give different results.
    StoredBaselineDisagrees = "stored-baseline-disagrees",
    /// The stored baseline is of a machine that the ledger does not know.
    UnknownMachine = "unknown-machine",
    /// Sessions of the ledger with other hardware, workload or model were left out.
    LedgerLinesNotUsed = "ledger-lines-not-used",
    /// The ledger contains a session more than once.
    LedgerLinesRepeated = "ledger-lines-repeated",
    /// Today's repeats differ more than those in the ledger.
    NoisierThanLedger = "noisier-than-ledger",
    /// The candidate's starts differ far more than those in the ledger.
    UnstableStarts = "unstable-starts",
    /// One repeat is far from the others and was clipped.
    OutlierRepeat = "outlier-repeat",
    /// Alternating repeats without a partner were left out.
    UnpairedRepeats = "unpaired-repeats",
    /// A repeat does not count.
    VoidRepeat = "void-repeat",
    /// Something unusual was seen during a repeat that counts.
    RepeatWarning = "repeat-warning",
    /// Requests failed or were truncated.
    FailedRequests = "failed-requests",
    /// The two sides sent unequal numbers of requests.
    UnequalRequestCounts = "unequal-request-counts",
    /// Chunks carry unequal numbers of tokens on the two sides.
    UnlikeChunks = "unlike-chunks",
    /// One side does not record what it ran on or what it was sent.
    UnknownIdentity = "unknown-identity",
    /// The candidate has a scenario that the baseline lacks.
    NewScenario = "new-scenario",
    /// Load points that only one search measured are not compared.
    OtherLoadPoints = "other-load-points",
    /// The baseline has metrics that the candidate lacks.
    LostMetrics = "lost-metrics",
    /// The KV cache shrank, and no rule covers it.
    MemoryGrowthNotJudged = "memory-growth-not-judged",
    /// The two versions of vLLM size the KV cache by different rules.
    CacheSizedDifferently = "cache-sized-differently",
    /// Both runs have a capacity, and no rule covers it.
    CapacityNotJudged = "capacity-not-judged",
    /// A file is not valid YAML, or uses a YAML feature that perfgate does not read.
    Syntax = "syntax",
    /// A key that the format does not have.
    UnknownKey = "unknown-key",
    /// A key that is given twice.
    DuplicateKey = "duplicate-key",
    /// A required key is missing.
    MissingKey = "missing-key",
    /// A value has the wrong type, no unit, or is out of range.
    InvalidValue = "invalid-value",
    /// A metric that is not in the catalogue.
    UnknownMetric = "unknown-metric",
    /// Two settings that contradict each other.
    Contradiction = "contradiction",
}

impl Code {
    /// The code of that name. A file of a newer version may contain others.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }

    /// Its address in the documentation, below `docs/`.
    pub fn anchor(self) -> String {
        format!("{PAGE}#{}", self.name())
    }

    /// The address of its explanation; `None` if the binary has no documentation address.
    pub fn address(self) -> Option<String> {
        self.address_below(DOCUMENTATION?)
    }

    fn address_below(self, documentation: &str) -> Option<String> {
        let is_web = documentation.starts_with("https://");
        is_web.then(|| format!("{}/{}", documentation.trim_end_matches('/'), self.anchor()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_a_unique_name_in_kebab_case() {
        for code in Code::ALL {
            assert_eq!(Code::named(code.name()), Some(*code));
            let is_kebab = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(code.name().chars().all(is_kebab), "{}", code.name());
            let kebab: String = format!("{code:?}")
                .chars()
                .flat_map(|c| {
                    let dash = c.is_ascii_uppercase().then_some('-');
                    dash.into_iter().chain([c.to_ascii_lowercase()])
                })
                .collect();
            assert_eq!(format!("-{}", code.name()), kebab);
        }
        assert_eq!(Code::named("of-a-newer-version"), None);
    }

    #[test]
    fn an_address_is_on_the_web_and_ends_at_the_heading() {
        let code = Code::UnstableStarts;
        assert_eq!(
            code.address_below("https://example.org/docs/").as_deref(),
            Some("https://example.org/docs/reference/warnings.md#unstable-starts")
        );
        assert_eq!(code.address_below("javascript:alert(1)"), None);
    }
}
