//! Errors of buckets.

use crate::files::FileError;

/// A request that failed.
#[derive(Debug)]
pub struct FailedRequest {
    /// The bucket with its prefix.
    pub address: String,
    /// The requested action.
    pub action: String,
    /// The server's answer, or what happened instead of one.
    pub reason: String,
    /// The cloud whose credentials were used.
    pub scheme: &'static str,
}

/// Why a bucket cannot be read or changed. `address` is the bucket with its prefix.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// This build does not support the cloud.
    #[error("this build of perfgate does not support `{scheme}://`, so it cannot open `{address}`")]
    NotBuilt {
        /// The bucket.
        address: String,
        /// The scheme, which is also the name of the feature.
        scheme: &'static str,
    },
    /// The environment variables contradict each other.
    #[error("`{address}` cannot be opened: {reason}")]
    Configuration {
        /// The bucket.
        address: String,
        /// What is wrong.
        reason: String,
        /// The cloud whose variables they are.
        scheme: &'static str,
    },
    /// Neither the environment nor the machine has credentials.
    #[error(
        "no credentials for `{}`: the environment variables are not set, and this machine has no credentials ({})",
        .0.address, .0.reason
    )]
    NoCredentials(FailedRequest),
    /// The credentials are wrong or lack the permission.
    #[error("`{}` refuses to {}: {}", .0.address, .0.action, .0.reason)]
    Refused(FailedRequest),
    /// The bucket does not exist.
    #[error("the bucket `{}` does not exist: {}", .0.address, .0.reason)]
    NoBucket(FailedRequest),
    /// The server does not answer, or only with server errors.
    #[error("`{}` cannot be reached to {}: {}", .0.address, .0.action, .0.reason)]
    Unreachable(FailedRequest),
    /// The server's answer is not understood.
    #[error("`{}` does not {}: {}", .0.address, .0.action, .0.reason)]
    Answer(FailedRequest),
    /// The server does not answer, and there is no local copy.
    #[error("`{address}` cannot be reached ({reason}), and there is no local copy of {object}")]
    NoCopy {
        /// The bucket.
        address: String,
        /// The requested action.
        object: String,
        /// What happened.
        reason: String,
    },
    /// Other promotions always finished first.
    #[error(
        "other promotions changed `{object}` {rounds} times within {seconds} s, each time before this one"
    )]
    Contended {
        /// The object.
        object: String,
        /// Number of attempts.
        rounds: u32,
        /// Duration of the attempts.
        seconds: u64,
    },
    /// The local copy cannot be written.
    #[error("cannot write the local copy for use without network: {0}")]
    Copy(#[from] FileError),
}
