//! From rules and numbers to judgements and a verdict. Pure.
//!
//! ```text
//! thresholds.yaml ─▶ config ─▶ rule::Policy ───────────┐
//! runs ─▶ compare::usable ─▶ ComparableInputs ─────────┴▶ judge_all ─▶ judge (one rule, one scenario) ─▶ Judgement
//!                                                          │             └ stats: estimate, decision at this look
//!                                                          ▼
//!                            verdict + headline + warnings + figures ─▶ report::Comparison
//! ```
//!
//! [`compare_evidence`] is one look at all evidence. `judge_all` shares α among the rules that may block, keeps the
//! decisions of earlier looks, and lowers the level of warnings so that few of them are false. `judge` asks `stats` for the
//! estimate and the answer; `budget`, `errors` and `too_good` are the rules without a baseline. `verdict` takes the worst
//! judgement and converts it to the published verdict and exit code. [`complete`] adds by whose files it was judged, and
//! who accepted what; nothing changes a comparison after that. `promotion` decides whether a run may become the baseline.

mod acceptance;
mod advice;
mod baseline_noise;
mod bisecting;
mod budget;
mod checked;
mod completion;
mod curves;
mod errors;
mod first_run;
#[cfg(test)]
mod fixture;
mod headline;
mod history;
mod judge;
mod judge_all;
mod judged;
mod look;
mod noise;
mod outcome;
mod power;
mod promotion;
mod reasons;
mod release;
pub mod rule;
mod sentence;
mod shown;
mod too_good;
mod undecided;
mod verdict;
mod warning;

pub use baseline_noise::too_noisy;
pub use bisecting::searched;
pub use checked::{ComparisonError, parse_comparison};
pub use completion::{Base, Circumstances, JudgedBy, accept, complete, is_judged_by_own_files};
pub use first_run::first_run;
pub use headline::deciding_row;
pub(crate) use judge_all::family;
pub(crate) use look::ALPHA;
pub use look::{GATE_LEVELS, Labels, LookAt, ThisLook};
pub(crate) use noise::{assumed, step};
pub use outcome::{MergeEffect, bisect_outcome, effect, only_a_reason_is_missing};
pub use power::{Needs, needs};
pub use promotion::{Accepted, FEWEST_REPEATS, Objection, ObjectionKind, objections};
pub use reasons::{with_analysis, with_explanation};
pub use sentence::{percent, signed_percent};
pub use shown::identity;
pub use verdict::{compare_evidence, compare_runs};
