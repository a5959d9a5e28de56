//! Events while loads are measured one after the other.

/// An event of a sweep or of a scenario of MLPerf, with the data for its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SweepEvent {
    /// A load is measured next, or was measured.
    Load {
        /// Its name.
        load: String,
        /// Why it is measured, or its figures as in the report.
        words: String,
    },
    /// No more loads are measured; the sentence of the report.
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
    /// The run is invalid for a reason that is the same at every rate, so the search ends.
    NoRateHelps,
}
