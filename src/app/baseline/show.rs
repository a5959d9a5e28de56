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
use crate::text::count::count;
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
        count(stored_runs.sessions().len(), "session"),
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
    let source = file.source.clone().unwrap_or_default();
    let server = file.server.clone().unwrap_or_default();
    let promotion = file.promotion.clone().unwrap_or_default();
    let measured = file.created.as_deref();
    let commit = source.commit.map(|commit| {
        let since = work_tree::commits_since(&commit);
        let since = since.map(|since| format!(" ({} ago)", count(since, "commit")));
        commit + &since.unwrap_or_default()
    });
    let facts = [
        (
            "measured",
            measured.map(|created| format!("{created} ({} ago)", list::age(Some(created)))),
        ),
        ("commit", commit),
        ("model", server.model),
        ("image", server.image),
        ("version", server.version),
        (
            "workload",
            file.workload.clone().and_then(|workload| workload.digest),
        ),
        ("release", promotion.release),
        ("because", promotion.because),
        ("accepted by", promotion.by),
    ];
    let facts = facts
        .into_iter()
        .filter_map(|(name, fact)| Some((name, fact?)));
    let despite = promotion
        .despite
        .into_iter()
        .map(|objection| ("objection overruled", objection));
    facts
        .chain(despite)
        .map(|(name, fact)| format!("  {name}: {}\n", sanitize::line(&fact)))
        .collect()
}
