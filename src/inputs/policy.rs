//! The policy of a command: from its flags, from `thresholds.yaml`, or the standard policy.

use std::path::Path;

use super::base_ref::{AtRef, BaseRef};
use crate::cli::compare::PolicyArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::failure::of_adapters::unreadable;
use crate::policy::rule::Policy;
use crate::{config, files};

/// The default policy file.
const DEFAULT_POLICY: &str = "thresholds.yaml";

/// Pattern of a line that every policy has.
const RULES_LINE: &str = "^[{ ]*[\"']?rules[\"']?[[:space:]]*:";

/// The policy from the flags, from `thresholds.yaml`, or the standard policy.
pub(crate) fn policy_for(args: &PolicyArgs) -> Result<Policy, Failure> {
    policy_at(args, None)
}

/// The policy file.
pub(crate) fn policy_path(args: &PolicyArgs) -> &Path {
    args.thresholds
        .as_deref()
        .unwrap_or_else(|| Path::new(DEFAULT_POLICY))
}

/// The policy at the base commit.
pub(crate) fn policy_at(args: &PolicyArgs, base_ref: Option<&BaseRef>) -> Result<Policy, Failure> {
    let path = policy_path(args);
    let called = path.display().to_string();
    let at_ref = base_ref.map(|base_ref| base_ref.read(path)).transpose()?;
    let text = match (at_ref, base_ref) {
        (Some(AtRef::There(bytes)), _) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        // A file that the commit lacks counts as never written.
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
                    "this file of {} judges the change; select another commit with `--baseline-ref`",
                    base_ref.name
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

/// Thresholds that a change renames without edits; `None` if the commit has no thresholds. Additional thresholds of the
/// change do not judge it.
fn moved_policy(path: &Path, base_ref: &BaseRef) -> Result<Option<String>, Failure> {
    let own = files::read_text(path).map_err(unreadable)?;
    let mut known = None;
    for (other, text) in base_ref.with_line(RULES_LINE)? {
        if text == own {
            return Ok(Some(text));
        }
        if config::read_policy("", &text).is_ok() {
            known = known.or(Some(other));
        }
    }
    let Some(known) = known else { return Ok(None) };
    let message = format!(
        "{} has no `{}`, but other thresholds (`{}`): a change cannot set the limits it is judged by",
        base_ref.name,
        path.display(),
        known.display()
    );
    Err(Failure::message(ExitStatus::EnvironmentFailed, message)
        .hint(format!(
            "use those: `--thresholds {}`",
            known.display()
        ))
        .hint("new thresholds take effect after the merge; an unchanged file can be renamed at any time"))
}
