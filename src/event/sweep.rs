//! What happens while loads are measured one after the other.

/// An event of a sweep or of a scenario of MLPerf; each carries the data to word it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SweepEvent {
    /// A load is measured next.
    Load {
        /// Its name.
        load: String,
        /// Why this one.
        why: String,
    },
    /// A load was measured.
    Measured {
        /// Its name.
        load: String,
        /// The figures, as the report has them.
        words: String,
    },
    /// No more loads are measured; the sentence that the report has.
    Ended(String),
    /// A run was judged by the rules of its scenario.
    Valid {
        /// Name of its load.
        load: String,
        /// Whether it is valid.
        valid: bool,
        /// Why not.
        reasons: Vec<String>,
    },
    /// What makes the run invalid is the same at every rate, so the search ends.
    NoRateHelps,
}
