//! `perfgate baseline show`: shows one baseline.

use super::super::Context;
use super::{Opened, list};
use crate::app::output::print;
use crate::baseline::Part;
use crate::cli::baseline::WhichArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::git::work_tree;
use crate::record::Run;
use crate::render;
use crate::terminal::Output;
use crate::text::sanitize;

pub(super) fn run(which: &WhichArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let opened = Opened::of(&which.storage, context)?;
    let chosen = opened.chosen(which)?;
    let stored_runs = chosen.place.read()?;
    opened.warn_of_copies();
    let mut text = format!(
        "{} on {}: {}{}\n",
        chosen.name,
        chosen.hardware,
        match stored_runs.sessions().len() {
            1 => "1 session".to_owned(),
            count => format!("{count} sessions"),
        },
        if stored_runs.ledger.is_empty() {
            ", no ledger yet"
        } else {
            " in the ledger"
        }
    );
    let baseline = stored_runs.baseline.as_ref();
    for (what, part, run) in [
        ("baseline", Part::Baseline, baseline),
        ("release", Part::Release, stored_runs.release.as_ref()),
    ] {
        if let Some(run) = run {
            text.push_str(&format!("\n{what}: {}\n", chosen.place.shown(part)));
            text.push_str(&facts(run));
            text.push_str(&render::terminal::run(&run.file));
        }
    }
    if baseline.is_none() {
        text.push_str("\nthere is a ledger without a baseline: see `perfgate baseline verify`\n");
    }
    print(Output::Text, text.trim_end())?;
    Ok(ExitStatus::Pass)
}

fn facts(run: &Run) -> String {
    let file = &run.file;
    let source = file.source.as_ref();
    let server = file.server.as_ref();
    let promotion = file.promotion.as_ref();
    let commit = source.and_then(|source| source.commit.as_deref());
    let since = commit.and_then(work_tree::commits_since);
    let measured = file
        .created
        .as_deref()
        .map(|created| format!("{created} ({} ago)", list::age(Some(created))));
    let known = [
        ("measured", measured),
        (
            "commit",
            commit.map(|commit| match since {
                Some(since) => format!("{commit} ({since} commits ago)"),
                None => commit.to_owned(),
            }),
        ),
        ("model", server.and_then(|server| server.model.clone())),
        ("image", server.and_then(|server| server.image.clone())),
        ("version", server.and_then(|server| server.version.clone())),
        (
            "workload",
            file.workload
                .as_ref()
                .and_then(|workload| workload.digest.clone()),
        ),
        (
            "release",
            promotion.and_then(|promotion| promotion.release.clone()),
        ),
        (
            "because",
            promotion.and_then(|promotion| promotion.because.clone()),
        ),
        (
            "accepted by",
            promotion.and_then(|promotion| promotion.by.clone()),
        ),
    ];
    let lines = known
        .into_iter()
        .filter_map(|(name, value)| Some(format!("  {name}: {}\n", sanitize::line(&value?))));
    let despite = promotion
        .into_iter()
        .flat_map(|promotion| &promotion.despite);
    lines
        .chain(despite.map(|objection| format!("  despite: {}\n", sanitize::line(objection))))
        .collect()
}
