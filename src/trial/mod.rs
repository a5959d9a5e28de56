//! The sequential protocol of a gate as a value: what to measure next, when to look, when to stop. Pure.
//!
//! ```text
//!            ┌──────────────── evidence so far ◀────────────────┐
//!            ▼                                                  │
//! Trial::next ─▶ Measure / Pairs ─▶ (the runner measures) ──────┤
//!            ├─▶ Keep(comparison) ─▶ (spending, then the look) ─┘
//!            └─▶ Done(comparison)
//! ```
//!
//! A [`Trial`] holds the looks that are left ([`Protocol`] names them), judges the evidence at each of them by `policy`, and stops
//! as soon as the verdict is settled. `gate`, `bisect`, `selftest` and the calibration bench drive this one type, so the
//! published error rates apply to the shipped program. It measures nothing and stores nothing itself: the driver does, in that order.

mod evidence;
#[cfg(test)]
mod properties;
mod protocol;
mod sequence;
mod stage;

pub use evidence::{ErrorsLeft, Evidence, StoredBaseline};
pub use protocol::{Protocol, SEARCH_LEVELS};
pub use sequence::{Author, Step, Trial};
