//! Events of the storage of accepted runs.

/// An event of `baseline/`, with the data for its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageEvent {
    /// Waiting for a bucket.
    Waiting {
        /// The bucket.
        address: String,
        /// The requested action, such as `list its objects`.
        action: String,
    },
    /// The local copy for use without network cannot be written.
    CopiesNotKept {
        /// Why.
        reason: String,
    },
    /// Another promotion finished first, and this one is retried.
    PromotionAgain {
        /// The file that the other promotion wrote.
        file: String,
    },
}
