//! The policy that a command judges by: of its flags, of `thresholds.yaml`, or the standard one.

use std::path::Path;

use super::base_ref::{AtRef, BaseRef};
use crate::cli::compare::PolicyArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::failure::of_adapters::unreadable;
use crate::policy::rule::Policy;
use crate::{config, files};

/// The policy that is read where none is named and this file is there.
const DEFAULT_POLICY: &str = "thresholds.yaml";

/// A line that every policy has.
const RULES_LINE: &str = "^[{ ]*[\"']?rules[\"']?[[:space:]]*:";

/// The policy of the flags, of `thresholds.yaml`, or the standard one.
pub(crate) fn policy_for(args: &PolicyArgs) -> Result<Policy, Failure> {
    policy_at(args, None)
}

/// The file in which the policy stands, where there is one.
pub(crate) fn policy_path(args: &PolicyArgs) -> &Path {
    args.thresholds
        .as_deref()
        .unwrap_or_else(|| Path::new(DEFAULT_POLICY))
}

/// The same as it stands at a commit.
pub(crate) fn policy_at(args: &PolicyArgs, base_ref: Option<&BaseRef>) -> Result<Policy, Failure> {
    let path = policy_path(args);
    let called = path.display().to_string();
    let at_ref = base_ref.map(|base_ref| base_ref.read(path)).transpose()?;
    let text = match (at_ref, base_ref) {
        (Some(AtRef::There(bytes)), _) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        // What a commit does not have holds there as where it was never written.
        (Some(AtRef::Absent), Some(base_ref)) if args.thresholds.is_some() => {
            moved_policy(path, base_ref)?
        }
        (Some(AtRef::Absent), _) => None,
        _ if args.thresholds.is_some() => Some(files::read_text(path).map_err(unreadable)?),
        _ => files::read_text_if_there(path).map_err(unreadable)?,
    };
    let policy = match text {
        Some(text) => config::read_policy(&called, &text).map_err(|problems| {
            let failure = Failure::new(ExitStatus::Usage, problems);
            match base_ref {
                Some(base_ref) => failure.hint(format!(
                    "this is the file of {}, by which the change is judged; `--baseline-ref` names another commit",
                    base_ref.name()
                )),
                None => failure,
            }
        })?,
        None => Policy::standard(),
    };
    Ok(match args.threshold {
        Some(regression) => policy.with_threshold(regression),
        None => policy,
    })
}

/// The thresholds that a change calls by another name, unchanged; none where the commit has none at all. Those that the
/// change brings beside them do not judge it.
fn moved_policy(path: &Path, base_ref: &BaseRef) -> Result<Option<String>, Failure> {
    let own = files::read_text(path).map_err(unreadable)?;
    let mut known = None;
    for other in base_ref.with_line(RULES_LINE)? {
        let AtRef::There(bytes) = base_ref.read(&other)? else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if text == own {
            return Ok(Some(text));
        }
        if config::read_policy("", &text).is_ok() {
            known = known.or(Some(other));
        }
    }
    let Some(known) = known else { return Ok(None) };
    let message = format!(
        "{} has no `{}`, but other thresholds (`{}`): a change is not judged by limits of its own",
        base_ref.name(),
        path.display(),
        known.display()
    );
    Err(Failure::message(ExitStatus::EnvironmentFailed, message)
        .hint(format!(
            "judge it by those: `--thresholds {}`",
            known.display()
        ))
        .hint("new thresholds count once they are merged; an unchanged file may move at any time"))
}
