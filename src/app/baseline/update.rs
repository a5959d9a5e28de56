//! `perfgate baseline update`: makes a run the baseline, unless there are objections.

use super::super::Context;
use super::reason::Reasons;
use super::{Chosen, Opened, checked};
use crate::app::output::print;
use crate::baseline::{self, Change, Ended, Part, StoredRuns};
use crate::cli::baseline::UpdateArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::inputs::main_branch::{MainBranch, main_branch_of};
use crate::inputs::policy::policy_for;
use crate::inputs::result_file::result_given;
use crate::policy::rule::Policy;
use crate::policy::{Accepted, Objection, ObjectionKind, objections, too_noisy};
use crate::record::format::{Promotion, ResultFile};
use crate::record::{self, Run};
use crate::terminal::Output;
use crate::text::sanitize;
use crate::{clock, history};

/// The outcome of a promotion, given the stored runs.
struct Decided {
    promotion: Promotion,
    /// Number of the run's session in the ledger, from 1.
    number: usize,
    nothing_new: bool,
    /// Limits below its noise.
    too_noisy: Vec<String>,
}

pub(super) fn run(args: &UpdateArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let policy = policy_for(&args.policy)?;
    let run = result_given(&args.result)?;
    let name = args.name.as_deref().or(run.file.name.as_deref());
    let Some(name) = name else {
        let message = format!(
            "`{}` does not contain the name of its gate",
            args.result.display()
        );
        return Err(Failure::usage(message).hint("set `--name NAME`"));
    };
    let hardware = baseline::hardware_name(run.file.environment.as_ref());
    let opened = Opened::of(&args.storage, context)?;
    let chosen = opened.place(checked(name)?, &hardware);
    let updating = Updating {
        args,
        policy: &policy,
        run: &run,
        reasons: Reasons::of(args, &run, name)?,
        chosen: &chosen,
        environment: context.environment,
    };
    let (decided, ended) = if args.dry_run {
        let stored_runs = chosen.place.read()?;
        opened.warn_of_copies();
        (updating.decide(&stored_runs)?.0, Ended::Current)
    } else {
        chosen
            .place
            .promote(|stored_runs| updating.decide(stored_runs))?
    };
    print(Output::Text, &in_words(&chosen, args, &decided, ended))?;
    Ok(ExitStatus::Pass)
}

/// A run to accept.
struct Updating<'a> {
    args: &'a UpdateArgs,
    policy: &'a Policy,
    run: &'a Run,
    reasons: Reasons,
    chosen: &'a Chosen,
    environment: &'a dyn Fn(&str) -> Option<String>,
}

impl Updating<'_> {
    /// The change, or the objections.
    fn decide(&self, stored_runs: &StoredRuns) -> Result<(Decided, Change), Failure> {
        let (args, run) = (self.args, self.run);
        let known = stored_runs
            .ledger
            .iter()
            .position(|session| record::is_same_run(&session.file, &run.file));
        let mut promotion = match known {
            // After an interrupted earlier attempt, its promotion of the run is kept.
            Some(session) => stored_runs.ledger[session]
                .file
                .promotion
                .clone()
                .unwrap_or_default(),
            None => self.judged(stored_runs)?,
        };
        if args.release.is_some() {
            promotion.release.clone_from(&args.release);
        }
        let accepted = ResultFile {
            name: Some(self.chosen.name.clone()),
            promotion: Some(promotion.clone()),
            ..run.file.clone()
        };
        let is_baseline = stored_runs
            .baseline
            .as_ref()
            .is_some_and(|baseline| record::is_same_run(&baseline.file, &run.file));
        // Running an old command again must not restore an old session as the baseline.
        let is_older = known.is_some_and(|session| session + 1 < stored_runs.ledger.len());
        let number = known.unwrap_or(stored_runs.ledger.len()) + 1;
        if is_older && args.release.is_none() {
            let message = format!(
                "this run is session {number} of the ledger, and later runs have been accepted"
            );
            return Err(Failure::message(ExitStatus::Blocked, message).hint(
                "to go back to it, restore the files of its commit: `git checkout COMMIT -- FILES`",
            ));
        }
        let kept = record::as_baseline(&accepted);
        let change = Change {
            session: known.is_none().then(|| record::as_session(&accepted)),
            baseline: (!is_baseline && !is_older).then(|| kept.clone()),
            release: args.release.is_some().then_some(kept),
        };
        let decided = Decided {
            promotion,
            number,
            nothing_new: known.is_some() && is_baseline,
            too_noisy: too_noisy(self.policy, run, history::last_segment(&stored_runs.ledger)),
        };
        Ok((decided, change))
    }

    /// The promotion of the run, or all objections.
    fn judged(&self, stored_runs: &StoredRuns) -> Result<Promotion, Failure> {
        let of = self.run.file.source.as_ref();
        let main = match &self.args.branch {
            Some(branch) => MainBranch {
                name: branch.clone(),
                is_of_it: of.and_then(|of| of.branch.as_ref()) == Some(branch),
            },
            None => main_branch_of(of, self.environment),
        };
        let found = objections(
            self.policy,
            self.run,
            Accepted {
                baseline: stored_runs.accepted_last(),
                segment: history::last_segment(&stored_runs.ledger),
                main: &main.name,
                is_of_main: main.is_of_it,
            },
        );
        let left = self.reasons.left(&found);
        if !left.is_empty() {
            return Err(refused(self.chosen, &left));
        }
        let is_any = |kind| found.iter().any(|objection| objection.kind == kind);
        let mut promotion = Promotion {
            promoted: clock::timestamp(),
            new_segment: is_any(ObjectionKind::Change),
            older: is_any(ObjectionKind::Older),
            despite: found.iter().map(|found| found.reason.clone()).collect(),
            ..Promotion::default()
        };
        self.reasons.write(&found, &mut promotion);
        Ok(promotion)
    }
}

fn refused(chosen: &Chosen, found: &[&Objection]) -> Failure {
    let may_be_accepted = found.iter().all(|objection| objection.can_be_overruled());
    let listed: String = found
        .iter()
        .map(|objection| format!("\n  - {}", objection.reason))
        .collect();
    let message = format!(
        "the run is not accepted as the baseline of `{}` on `{}`:{listed}",
        chosen.name, chosen.hardware
    );
    let failure = Failure::message(ExitStatus::Blocked, message);
    if may_be_accepted {
        failure.hint("fix it and measure again, or accept it with a reason: `--because TEXT` (the ledger keeps it)")
    } else {
        failure.hint("measure again: this run contains no usable measurement")
    }
}

fn in_words(chosen: &Chosen, args: &UpdateArgs, decided: &Decided, ended: Ended) -> String {
    let promotion = &decided.promotion;
    let did = match (args.dry_run, decided.nothing_new, ended) {
        (_, _, Ended::Overtaken) => "was accepted as",
        (true, _, Ended::Current) => "would be",
        (false, true, Ended::Current) => "was already",
        (false, false, Ended::Current) => "is now",
    };
    let place = &chosen.place;
    let mut text = format!(
        "`{}` {did} the baseline of {} on {}, session {} of its ledger\n",
        args.result.display(),
        chosen.name,
        chosen.hardware,
        decided.number
    );
    if ended == Ended::Overtaken {
        text.push_str("  another run was accepted right after it and is now the baseline\n");
    }
    for objection in &promotion.despite {
        text.push_str(&format!(
            "  objection overruled: {}\n",
            sanitize::line(objection)
        ));
    }
    if let Some(because) = &promotion.because {
        let by = promotion.by.as_ref();
        let by = by.map_or_else(String::new, |by| format!(" ({})", sanitize::line(by)));
        text.push_str(&format!("  because: {}{by}\n", sanitize::line(because)));
    }
    for limit in &decided.too_noisy {
        text.push_str(&format!("  warning: {}\n", sanitize::line(limit)));
    }
    if !decided.too_noisy.is_empty() {
        text.push_str(
            "  hint: measure again on a quieter machine or with more repeats (`repeat`), or gate with the base version available \
             (`--base-image`, `server.base`): else gates against this baseline end undecided\n",
        );
    }
    if promotion.new_segment {
        text.push_str("  it begins a new segment of the history\n");
    }
    let mut parts = vec![Part::Baseline, Part::Ledger];
    if let Some(release) = &args.release {
        text.push_str(&format!(
            "  it is the release {}; later runs are also compared with it\n",
            sanitize::line(release)
        ));
        parts.push(Part::Release);
    }
    // Files in a bucket need no commit.
    let files: Vec<String> = parts
        .into_iter()
        .filter_map(|part| place.file(part))
        .map(|path| sanitize::shell(&path.display().to_string()))
        .collect();
    if !args.dry_run && !decided.nothing_new && !files.is_empty() {
        text.push_str(&format!("next: git add {}\n", files.join(" ")));
    }
    text
}
