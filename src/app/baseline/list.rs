//! `perfgate baseline list`: all baselines with their age.

use serde::Serialize;

use super::super::Context;
use super::{Chosen, Opened};
use crate::app::output::print;
use crate::cli::TextOrJson;
use crate::cli::baseline::ListArgs;
use crate::clock;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::git::work_tree;
use crate::render;
use crate::terminal::Output;
use crate::text::number;

/// One baseline.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    hardware: String,
    sessions: usize,
    created: Option<String>,
    commit: Option<String>,
    /// Number of later commits; unknown if git does not have the commit.
    commits_since: Option<u64>,
    release: Option<String>,
}

pub(super) fn run(args: &ListArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let opened = Opened::of(&args.storage, context)?;
    let listed = opened
        .all(None)?
        .into_iter()
        .map(listed)
        .collect::<Result<Vec<Listed>, Failure>>()?;
    opened.warn_of_copies();
    let (output, text) = match args.format {
        TextOrJson::Json => (Output::Json, serde_json::to_string_pretty(&listed)?),
        TextOrJson::Text => {
            let rows = listed.iter().map(|listed| {
                let since = listed.commits_since.map(|count| count.to_string());
                let commit = listed.commit.as_deref().map(render::short_commit);
                [
                    listed.name.clone(),
                    listed.sessions.to_string(),
                    age(listed.created.as_deref()),
                    since.unwrap_or_else(unknown),
                    commit.unwrap_or_else(unknown),
                    listed.release.clone().unwrap_or_else(unknown),
                    listed.hardware.clone(),
                ]
            });
            (Output::Text, render::history::list(rows))
        }
    };
    print(output, &text)?;
    Ok(ExitStatus::Pass)
}

fn unknown() -> String {
    "–".to_owned()
}

fn listed(chosen: Chosen) -> Result<Listed, Failure> {
    let stored_runs = chosen.place.read()?;
    let baseline = stored_runs.baseline.as_ref().or(stored_runs.ledger.last());
    let commit = baseline.and_then(|run| run.file.source.as_ref()?.commit.clone());
    let release = stored_runs
        .release
        .as_ref()
        .and_then(|run| run.file.promotion.as_ref()?.release.clone());
    Ok(Listed {
        sessions: stored_runs.sessions().len(),
        created: baseline.and_then(|run| run.file.created.clone()),
        commits_since: commit.as_deref().and_then(work_tree::commits_since),
        commit,
        release,
        name: chosen.name,
        hardware: chosen.hardware,
    })
}

/// The age of a time stamp, `4 d`.
pub(super) fn age(created: Option<&str>) -> String {
    let age = created.and_then(clock::age);
    age.map_or_else(unknown, number::age)
}
