//! Maps errors of adapters to failures with exit codes.

use super::Failure;
use crate::baseline::{BaselineError, BucketError};
use crate::exit::ExitStatus;
use crate::files::FileError;
use crate::git::GitError;
use crate::launch::{Fault, LaunchError};
use crate::load::LoadError;
use crate::record::RecordError;

const UNREADABLE: &str =
    "fix the file or its permissions; an unreadable file is not treated as missing";

/// A failure to start or stop a server.
impl From<LaunchError> for Failure {
    fn from(error: LaunchError) -> Self {
        let status = match error.fault() {
            Fault::Target => ExitStatus::TargetFailed,
            Fault::Environment => ExitStatus::EnvironmentFailed,
            Fault::Configuration => ExitStatus::Usage,
            Fault::Interrupted => ExitStatus::Interrupted,
        };
        Self {
            hints: error.hints(),
            is_of_version: error.is_of_this_version(),
            ..Self::message(status, in_words(&error))
        }
    }
}

/// A failure of the load generator.
impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        let status = match error {
            LoadError::Cancelled => ExitStatus::Interrupted,
            LoadError::ApiKey => ExitStatus::Usage,
            LoadError::Address { .. } => ExitStatus::TargetFailed,
            LoadError::TooManyStreams { .. } | LoadError::System(_) => {
                ExitStatus::EnvironmentFailed
            }
            LoadError::Body(_) | LoadError::Broken(_) => ExitStatus::Bug,
        };
        Self::message(status, in_words(&error))
    }
}

/// A failure to read a result file.
impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        Self::usage(in_words(&error))
    }
}

/// A failure to write perfgate's own data as JSON.
impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::new(ExitStatus::Bug, error)
    }
}

/// A failure to write a result or a report.
pub(crate) fn cannot_keep(error: impl std::error::Error) -> Failure {
    Failure::environment(in_words(&error))
        .hint("free disk space or fix the permissions, or write to another path")
}

/// The hint for a missing file.
pub(crate) const CHECK_PATH: &str = "check the spelling of the path";

/// A failure to read a file that affects the verdict; it is not treated as missing.
#[expect(clippy::needless_pass_by_value, reason = "an argument of map_err")]
pub(crate) fn unreadable(error: FileError) -> Failure {
    let hint = if error.kind() == std::io::ErrorKind::NotFound {
        CHECK_PATH
    } else {
        UNREADABLE
    };
    Failure::usage(in_words(&error)).hint(hint)
}

/// A failure of git, with git's message.
impl From<GitError> for Failure {
    fn from(error: GitError) -> Self {
        let status = if error.is_usage_error() {
            ExitStatus::Usage
        } else {
            ExitStatus::EnvironmentFailed
        };
        Self {
            hints: error.hint().into_iter().collect(),
            is_of_version: error.is_of_commit(),
            ..Self::new(status, error)
        }
    }
}

/// A failure to read or change baselines.
impl From<BaselineError> for Failure {
    fn from(error: BaselineError) -> Self {
        let message = in_words(&error);
        match error {
            BaselineError::Record(error) => Self::from(error).hint(
                "`perfgate baseline verify` checks all files and proposes fixes",
            ),
            BaselineError::File(error) if error.is_read_error() => Self::usage(message).hint(UNREADABLE),
            BaselineError::File(_) | BaselineError::Lock { .. } => Self::environment(message)
                .hint("nothing was changed; free disk space or fix the permissions"),
            BaselineError::Bucket(error) => bucket_failure(&error),
            BaselineError::Unfinished { .. } => Self::environment(message).hint(
                "all accepted runs are kept; fix the cause and run the same command again: it completes the promotion without duplicates",
            ),
            BaselineError::Locked { .. } => Self::environment(message)
                .hint("nothing was changed; find the process that holds the lock with `fuser` or `lslocks`"),
            BaselineError::Json(_) => Self::message(ExitStatus::Bug, message),
        }
    }
}

fn bucket_failure(error: &BucketError) -> Failure {
    let usage = Failure::usage(in_words(error));
    let environment = Failure::environment(in_words(error));
    match error {
        BucketError::NotBuilt { scheme, .. } => usage.hint(format!(
            "build it with `cargo install --path . --locked --features {scheme}`; releases and the default build support all clouds"
        )),
        BucketError::Configuration { scheme, .. } => {
            usage.hint(format!("configure it with {}", variables(scheme)))
        }
        BucketError::NoCredentials(failed) => {
            environment.hint(format!("set {}", variables(failed.scheme)))
        }
        BucketError::Refused(failed) => environment
            .hint("reading needs permission to list and get objects, `baseline update` also to put objects")
            .hint(format!("the credentials come from {}", variables(failed.scheme))),
        BucketError::NoBucket(_) => {
            environment.hint("correct the name, the account or the endpoint, or create the bucket: perfgate does not create buckets")
        }
        BucketError::Unreachable(_) => environment.hint(
            "nothing was changed: a promotion needs the bucket; run the same command again when it is reachable",
        ),
        BucketError::NoCopy { .. } => environment
            .hint("read it once with network: perfgate keeps a local copy for use without network"),
        BucketError::Contended { .. } => {
            environment.hint("nothing was changed; run the same command again when fewer promotions run at once")
        }
        BucketError::Answer(_) | BucketError::Copy(_) => environment,
    }
}

/// The environment variables of each cloud's own tools.
fn variables(scheme: &str) -> &'static str {
    match scheme {
        "gs" => {
            "GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT, a key file (for another server: GOOGLE_BASE_URL)"
        }
        "az" => {
            "AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_KEY or AZURE_CLIENT_ID, AZURE_CLIENT_SECRET and AZURE_TENANT_ID (for another server: AZURE_ENDPOINT)"
        }
        _ => {
            "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and AWS_REGION (for another server: AWS_ENDPOINT_URL, and AWS_ALLOW_HTTP=true without TLS)"
        }
    }
}

/// The error with the causes that its own message does not contain.
pub(super) fn in_words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
