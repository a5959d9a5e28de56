//! Errors of adapters as failures with exit codes: one place for the mapping.

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

const UNREADABLE: &str = "let this user read it, or correct what stands there: what cannot be read does not count as none";

/// Of starting or stopping a server.
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

/// Of driving the load.
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

/// Of writing a result or a report.
pub(crate) fn cannot_keep(error: impl std::error::Error) -> Failure {
    Failure::message(ExitStatus::EnvironmentFailed, in_words(&error))
        .hint("make room there or let this user write there, or give another place with `--output`")
}

/// Of writing to stdout.
pub(crate) fn cannot_print(error: std::io::Error) -> Failure {
    let error = anyhow::Error::new(error).context("cannot write to stdout");
    Failure::new(ExitStatus::EnvironmentFailed, error)
}

/// Of reading a result file.
pub(crate) fn record_failure(error: &RecordError) -> Failure {
    Failure::message(ExitStatus::Usage, in_words(error))
}

/// Of reading a file that decides, which is not the same as having none.
#[expect(clippy::needless_pass_by_value, reason = "an argument of map_err")]
pub(crate) fn unreadable(error: FileError) -> Failure {
    let hint = if error.kind() == std::io::ErrorKind::NotFound {
        "check the spelling of the path"
    } else {
        UNREADABLE
    };
    Failure::message(ExitStatus::Usage, in_words(&error)).hint(hint)
}

/// Of what git could not do, in its own words.
impl From<GitError> for Failure {
    fn from(error: GitError) -> Self {
        let status = if error.is_of_usage() {
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

/// Of reading or changing baselines.
impl From<BaselineError> for Failure {
    fn from(error: BaselineError) -> Self {
        baseline_failure(&error)
    }
}

fn baseline_failure(error: &BaselineError) -> Failure {
    let failure = |status| Failure::message(status, in_words(error));
    match error {
        BaselineError::Record(error) => record_failure(error).hint(
            "`perfgate baseline verify` says what is wrong with all files, and how to mend them",
        ),
        BaselineError::File(error) if error.is_read_error() => failure(ExitStatus::Usage).hint(UNREADABLE),
        BaselineError::File(_) | BaselineError::Lock { .. } => failure(ExitStatus::EnvironmentFailed)
            .hint("nothing was changed; make room there or let this user write there"),
        BaselineError::Bucket(error) => bucket_failure(error),
        BaselineError::Unfinished { .. } => failure(ExitStatus::EnvironmentFailed).hint(
            "nothing that was accepted is lost; when the cause is mended, run the same command again: it finishes what was begun and adds nothing twice",
        ),
        BaselineError::Locked { .. } => failure(ExitStatus::EnvironmentFailed)
            .hint("nothing was changed; see who holds it with `fuser` or `lslocks`"),
        BaselineError::Json(_) => failure(ExitStatus::Bug),
    }
}

fn bucket_failure(error: &BucketError) -> Failure {
    let usage = Failure::message(ExitStatus::Usage, in_words(error));
    let surroundings = Failure::message(ExitStatus::EnvironmentFailed, in_words(error));
    match error {
        BucketError::NotBuilt { scheme, .. } => usage.hint(format!(
            "build it with `cargo install --path . --locked --features {scheme}`; the released program and the default build have all of them"
        )),
        BucketError::Configuration { scheme, .. } => {
            usage.hint(format!("it is configured by {}", variables(scheme)))
        }
        BucketError::NoCredentials { scheme, .. } => {
            surroundings.hint(format!("set {}", variables(scheme)))
        }
        BucketError::Refused { scheme, .. } => surroundings
            .hint("reading needs the rights to list and to get objects, `baseline update` also the right to put them")
            .hint(format!("the credentials are those of {}", variables(scheme))),
        BucketError::NoBucket { .. } => {
            surroundings.hint("perfgate makes no buckets: correct the name, the account or the endpoint, or make it")
        }
        BucketError::Unreachable { .. } => surroundings.hint(
            "nothing was changed: a promotion needs the bucket itself, and no copy; run the same command again when it can be reached",
        ),
        BucketError::NoCopy { .. } => surroundings
            .hint("what was read once with network is kept here, and can be read again without"),
        BucketError::Contended { .. } => {
            surroundings.hint("nothing was changed; run the same command again when fewer promote at once")
        }
        BucketError::Answer { .. } | BucketError::Copy(_) => surroundings,
    }
}

/// What each cloud's own tools take from the environment.
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

/// The error and its causes that its own text does not already say.
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
