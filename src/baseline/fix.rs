//! Commands that fix damaged files.

use super::location::Cloud;
use super::place::{Backend, Part, Place};
use crate::record::Run;
use crate::text::sanitize;

/// How to restore a missing or broken file.
pub(super) fn restore(place: &Place, part: Part) -> String {
    let file = sanitize::shell(&place.shown(part));
    match place.backend {
        Backend::Folder(_) => format!(
            "restore it from an earlier commit: `git log -- {file}`, then `git checkout COMMIT -- {file}`"
        ),
        Backend::Bucket(_) => {
            format!("restore an earlier version of {file}, if the bucket keeps versions")
        }
    }
}

/// How to restore baseline and ledger from one commit.
pub(super) fn both_of_one_commit(place: &Place) -> String {
    let files = [Part::Baseline, Part::Ledger].map(|part| sanitize::shell(&place.shown(part)));
    format!(
        "restore both files from one commit: `git checkout COMMIT -- {}`",
        files.join(" ")
    )
}

/// How to restore a ledger that is broken, empty or missing.
pub(super) fn restore_ledger(place: &Place) -> String {
    match place.backend {
        Backend::Folder(_) => format!(
            "restore the file with `git checkout -- {}`",
            sanitize::shell(&place.shown(Part::Ledger))
        ),
        Backend::Bucket(_) => restore(place, Part::Ledger),
    }
}

/// How to restore a missing ledger or begin a new one.
pub(super) fn begin_anew(place: &Place) -> String {
    format!(
        "{}; if it is lost, begin a new one: `perfgate baseline update RESULT --because TEXT`",
        restore(place, Part::Ledger)
    )
}

/// Removes an empty ledger.
pub(super) fn remove_ledger(place: &Place) -> String {
    let file = sanitize::shell(&place.shown(Part::Ledger));
    match &place.backend {
        Backend::Folder(_) => format!("`rm {file}`"),
        Backend::Bucket(bucket) => match bucket.address().cloud {
            Cloud::S3 => format!("`aws s3 rm {file}`"),
            Cloud::Google => format!("`gcloud storage rm {file}`"),
            Cloud::Azure => format!("`az storage blob delete {}`", blob(place)),
        },
    }
}

/// The promotion that makes a session the baseline again; it needs the session's own result.
pub(super) fn promote_again(session: &Run) -> String {
    format!(
        "promote the result {} again with `perfgate baseline update RESULT`",
        identified(session)
    )
}

/// Identifies a result: `of 2026-03-02T10:00:00Z, commit 0123456789`.
fn identified(run: &Run) -> String {
    let created = run.file.created.as_deref().unwrap_or("of unknown time");
    let source = run.file.source.as_ref();
    let commit = source.and_then(|source| source.commit.as_deref());
    let commit = commit.map(|commit| commit.chars().take(10).collect::<String>());
    match commit {
        Some(commit) => sanitize::line(&format!("of {created}, commit {commit},")),
        None => sanitize::line(&format!("of {created}")),
    }
}

/// One command that deletes all those lines, because line numbers change after a first deletion.
pub(super) fn drop_lines(place: &Place, numbers: &[usize]) -> String {
    let lines: Vec<String> = numbers
        .chunk_by(|one, next| one + 1 == *next)
        .filter_map(|run| match run {
            [] => None,
            [only] => Some(format!("{only}d")),
            [first, .., last] => Some(format!("{first},{last}d")),
        })
        .collect();
    edited(place, &format!("sed -i '{}'", lines.join(";")))
}

/// A command that edits the stored ledger, given a command for a local file.
fn edited(place: &Place, edit: &str) -> String {
    let file = sanitize::shell(&place.shown(Part::Ledger));
    let here = "ledger.jsonl";
    let bucket = match &place.backend {
        Backend::Folder(_) => return format!("`{edit} {file}`"),
        Backend::Bucket(bucket) => bucket.address(),
    };
    match bucket.cloud {
        Cloud::S3 => {
            format!("`aws s3 cp {file} {here} && {edit} {here} && aws s3 cp {here} {file}`")
        }
        Cloud::Google => format!(
            "`gcloud storage cp {file} {here} && {edit} {here} && gcloud storage cp {here} {file}`"
        ),
        Cloud::Azure => {
            let blob = format!("{} --file {here}", blob(place));
            format!(
                "`az storage blob download {blob} && {edit} {here} && az storage blob upload --overwrite {blob}`"
            )
        }
    }
}

/// The ledger's name for Azure's command line.
fn blob(place: &Place) -> String {
    let Backend::Bucket(bucket) = &place.backend else {
        return String::new();
    };
    let address = bucket.address();
    let name = [address.prefix.as_str(), &place.object(Part::Ledger)].join("/");
    format!(
        "--container-name {} --name {}",
        sanitize::shell(&address.bucket),
        sanitize::shell(name.trim_start_matches('/'))
    )
}
