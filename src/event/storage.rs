//! What happens while accepted runs are read or written.

/// An event of `baseline/`; each carries the data to word it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageEvent {
    /// A bucket takes its time.
    Waiting {
        /// The bucket.
        address: String,
        /// What it was asked to do: `list` it, `get` an object.
        action: String,
    },
    /// What was read cannot be kept for the time without network.
    CopiesNotKept {
        /// Why.
        reason: String,
    },
    /// Another promotion was faster, and this one is tried again.
    PromotionAgain {
        /// The file that the other one wrote.
        file: String,
    },
}
