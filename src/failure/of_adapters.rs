//! Maps errors of adapters to failures with exit codes.

use super::Failure;
use crate::baseline::{BaselineError, BucketError};
use crate::exit::ExitStatus;
use crate::files::FileError;
use crate::git::GitError;
use crate::launch::{Fault, LaunchError};
use crate::load::LoadError;
use crate::record::RecordError;

impl From<LaunchError> for Failure {
    fn from(error: LaunchError) -> Self {
        launch_failure(&error)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        load_failure(&error)
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        record_failure(&error)
    }
}

const UNREADABLE: &str =
    "fix the file or its permissions; an unreadable file is not treated as missing";

/// A failure to start or stop a server.
pub(crate) fn launch_failure(error: &LaunchError) -> Failure {
    let status = match error.fault() {
        Fault::Target => ExitStatus::TargetFailed,
        Fault::Environment => ExitStatus::EnvironmentFailed,
        Fault::Configuration => ExitStatus::Usage,
        Fault::Interrupted => ExitStatus::Interrupted,
    };
    let hints = error.hints();
    Failure {
        hints,
        is_of_version: error.is_of_this_version(),
        ..Failure::message(status, in_words(error))
    }
}

/// A failure of the load generator.
pub(crate) fn load_failure(error: &LoadError) -> Failure {
    let status = match error {
        LoadError::Cancelled => ExitStatus::Interrupted,
        LoadError::ApiKey => ExitStatus::Usage,
        LoadError::Address { .. } => ExitStatus::TargetFailed,
        LoadError::TooManyStreams { .. } | LoadError::System(_) => ExitStatus::EnvironmentFailed,
        LoadError::Body(_) | LoadError::Broken(_) => ExitStatus::Bug,
    };
    Failure::message(status, in_words(error))
}

/// A failure to write a result or a report.
pub(crate) fn cannot_keep(error: impl std::error::Error) -> Failure {
    Failure::message(ExitStatus::EnvironmentFailed, in_words(&error))
        .hint("free disk space or fix the permissions, or use another path with `--output`")
}

/// A failure to write to stdout.
pub(crate) fn cannot_print(error: std::io::Error) -> Failure {
    let error = anyhow::Error::new(error).context("cannot write to stdout");
    Failure::new(ExitStatus::EnvironmentFailed, error)
}

/// A failure to read a result file.
pub(crate) fn record_failure(error: &RecordError) -> Failure {
    Failure::message(ExitStatus::Usage, in_words(error))
}

/// A failure to read a file that affects the verdict; it is not treated as missing.
#[expect(clippy::needless_pass_by_value, reason = "an argument of map_err")]
pub(crate) fn unreadable(error: FileError) -> Failure {
    let hint = if error.kind() == std::io::ErrorKind::NotFound {
        "check the spelling of the path"
    } else {
        UNREADABLE
    };
    Failure::message(ExitStatus::Usage, in_words(&error)).hint(hint)
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
        baseline_failure(&error)
    }
}

fn baseline_failure(error: &BaselineError) -> Failure {
    let failure = |status| Failure::message(status, in_words(error));
    match error {
        BaselineError::Record(error) => record_failure(error).hint(
            "`perfgate baseline verify` checks all files and proposes fixes",
        ),
        BaselineError::File(error) if error.is_read_error() => failure(ExitStatus::Usage).hint(UNREADABLE),
        BaselineError::File(_) | BaselineError::Lock { .. } => failure(ExitStatus::EnvironmentFailed)
            .hint("nothing was changed; free disk space or fix the permissions"),
        BaselineError::Bucket(error) => bucket_failure(error),
        BaselineError::Unfinished { .. } => failure(ExitStatus::EnvironmentFailed).hint(
            "all accepted runs are kept; fix the cause and run the same command again: it completes the promotion without duplicates",
        ),
        BaselineError::Locked { .. } => failure(ExitStatus::EnvironmentFailed)
            .hint("nothing was changed; find the process that holds the lock with `fuser` or `lslocks`"),
        BaselineError::Json(_) => failure(ExitStatus::Bug),
    }
}

fn bucket_failure(error: &BucketError) -> Failure {
    let usage = Failure::message(ExitStatus::Usage, in_words(error));
    let surroundings = Failure::message(ExitStatus::EnvironmentFailed, in_words(error));
    match error {
        BucketError::NotBuilt { scheme, .. } => usage.hint(format!(
            "build it with `cargo install --path . --locked --features {scheme}`; releases and the default build support all clouds"
        )),
        BucketError::Configuration { scheme, .. } => {
            usage.hint(format!("configure it with {}", variables(scheme)))
        }
        BucketError::NoCredentials(failed) => {
            surroundings.hint(format!("set {}", variables(failed.scheme)))
        }
        BucketError::Refused(failed) => surroundings
            .hint("reading needs permission to list and get objects, `baseline update` also to put objects")
            .hint(format!("the credentials come from {}", variables(failed.scheme))),
        BucketError::NoBucket(_) => {
            surroundings.hint("correct the name, the account or the endpoint, or create the bucket: perfgate does not create buckets")
        }
        BucketError::Unreachable(_) => surroundings.hint(
            "nothing was changed: a promotion needs the bucket; run the same command again when it is reachable",
        ),
        BucketError::NoCopy { .. } => surroundings
            .hint("read it once with network: perfgate keeps a local copy for use without network"),
        BucketError::Contended { .. } => {
            surroundings.hint("nothing was changed; run the same command again when fewer promotions run at once")
        }
        BucketError::Answer(_) | BucketError::Copy(_) => surroundings,
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
fn in_words(error: &dyn std::error::Error) -> String {
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
