//! Why a bucket could not be read or changed.

use crate::files::FileError;

/// Why a bucket could not be read or changed. `address` is the bucket with its prefix.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// The program was built without this cloud.
    #[error("this perfgate was built without `{scheme}://`, so `{address}` cannot be opened")]
    NotBuilt {
        /// The bucket.
        address: String,
        /// The scheme, which is the name of the feature.
        scheme: &'static str,
    },
    /// The environment does not fit together.
    #[error("`{address}` cannot be opened: {reason}")]
    Configuration {
        /// The bucket.
        address: String,
        /// What is wrong.
        reason: String,
        /// Whose environment it is.
        scheme: &'static str,
    },
    /// The environment names no credentials, and the machine has none of its own.
    #[error(
        "there are no credentials for `{address}`: the environment names none, and this machine has none of its own ({reason})"
    )]
    NoCredentials {
        /// The bucket.
        address: String,
        /// What came of asking the machine.
        reason: String,
        /// Whose they are.
        scheme: &'static str,
    },
    /// The credentials are wrong, or do not allow it.
    #[error("`{address}` refuses to {action}: {reason}")]
    Refused {
        /// The bucket.
        address: String,
        /// What was asked for.
        action: String,
        /// What the server said.
        reason: String,
        /// Whose credentials they are.
        scheme: &'static str,
    },
    /// There is no such bucket.
    #[error("there is no bucket at `{address}`: {reason}")]
    NoBucket {
        /// The bucket.
        address: String,
        /// What the server said.
        reason: String,
    },
    /// Nobody answers, or only with errors of their own.
    #[error("`{address}` cannot be reached to {action}: {reason}")]
    Unreachable {
        /// The bucket.
        address: String,
        /// What was asked for.
        action: String,
        /// What happened.
        reason: String,
    },
    /// Nobody answers, and there is no copy of it here.
    #[error("`{address}` cannot be reached ({reason}), and there is no copy here of {object}")]
    NoCopy {
        /// The bucket.
        address: String,
        /// What was asked for.
        object: String,
        /// What happened.
        reason: String,
    },
    /// The server says something that is not understood.
    #[error("`{address}` does not {action}: {reason}")]
    Answer {
        /// The bucket.
        address: String,
        /// What was asked for.
        action: String,
        /// What the server said.
        reason: String,
    },
    /// Others always came first.
    #[error(
        "others have changed `{object}` {rounds} times within {seconds} s, each time before this promotion"
    )]
    Contended {
        /// The object.
        object: String,
        /// How often it was tried.
        rounds: u32,
        /// For how long.
        seconds: u64,
    },
    /// The copy could not be kept.
    #[error("a copy for the time without network cannot be kept: {0}")]
    Copy(#[from] FileError),
}
