//! The end of a search: tests the found commit again and writes the summary.

use super::bisect_run::BisectRun;
use crate::bisect::{
    BisectOutcome, BisectReport, Cost, Role, SCHEMA, Step, StepOutcome, Sureness, steps_for,
};
use crate::event::BisectEvent;
use crate::exit::{BisectStatus, ExitStatus};
use crate::failure::Failure;
use crate::git::checkout::remove_all;
use crate::git::search::{CommitAnswer, Left, Search};
use crate::trial::SEARCH_LEVELS;

/// A search between a commit and what came before it finds nothing after it.
fn fixed_in_between(commit: &str, good: &str) -> Failure {
    let short = |id: &str| id.get(..10).unwrap_or(id).to_owned();
    let [commit, good] = [commit, good].map(short);
    let message = format!(
        "{commit} is bad, but its descendant {good} is good: the regression is older than {commit} and was fixed in between"
    );
    Failure::message(ExitStatus::NotComparable, message).hint(format!(
        "run `git bisect reset`, then `perfgate bisect start GOOD {commit}` with a good commit before it"
    ))
}

impl BisectRun<'_> {
    /// The answer to git for a judged commit. If no commit is left after it, concludes the search first.
    pub(crate) async fn conclude(
        &mut self,
        search: Option<&Search>,
        commit: &str,
        status: BisectStatus,
    ) -> Result<BisectStatus, Failure> {
        let Some(search) = search else {
            return Ok(status);
        };
        let said = match status {
            BisectStatus::Good => CommitAnswer::Good,
            BisectStatus::Bad => CommitAnswer::Bad,
            BisectStatus::Skip => CommitAnswer::Skip,
            BisectStatus::Stop | BisectStatus::Interrupted => return Ok(status),
        };
        if said == CommitAnswer::Bad
            && let Some(good) = search.good_after(commit)
        {
            return Err(fixed_in_between(commit, good));
        }
        match self.repository.left(search, commit, said)? {
            Left::More(count) => {
                self.emit(BisectEvent::MoreToJudge {
                    commits: count,
                    steps: steps_for(count),
                });
                Ok(status)
            }
            Left::OnlySkipped(candidates) => {
                self.write_summary(search, BisectOutcome::Several, None, &candidates, None)?;
                Ok(status)
            }
            Left::One(found) => Box::pin(self.confirm(search, &found, status)).await,
        }
    }

    /// Measures the found commit against its parent before reporting it.
    pub(crate) async fn confirm(
        &self,
        search: &Search,
        found: &str,
        status: BisectStatus,
    ) -> Result<BisectStatus, Failure> {
        let parents = self.repository.parents(found)?;
        let parent = parents.first().ok_or_else(|| {
            let message = "the found commit has no parent to compare with";
            Failure::message(ExitStatus::NotComparable, message)
        })?;
        let kept = Box::pin(self.judge(Role::Confirmation, found, Some(parent)))
            .await
            .map_err(|failure| {
                failure.context(format!(
                    "the search ended at {}, which could not be confirmed",
                    found.get(..10).unwrap_or(found)
                ))
            })?;
        self.emit_judged(&kept.step);
        let confirmed = matches!(
            kept.step.answer,
            StepOutcome::Bad | StepOutcome::TargetFailed
        );
        let outcome = if confirmed {
            BisectOutcome::Found
        } else {
            BisectOutcome::NotConfirmed
        };
        self.write_summary(search, outcome, Some(found), &[], Some(kept.step))?;
        if confirmed {
            // Measurements are kept; builds are no longer needed.
            remove_all(&self.repository, self.command.events);
            return Ok(status);
        }
        let message = "the found commit is not confirmed, so no culprit is reported";
        Err(Failure::message(ExitStatus::Inconclusive, message)
            .hint("possible causes: no single commit exceeds the limit (a slow decline), or one step was wrong (see the table above); `git bisect run perfgate bisect` tests the end again, a lower limit (`--threshold 3%`) detects smaller steps")
            .hint("`git bisect reset` ends the search"))
    }

    /// Writes the summary beside the results and shows it.
    fn write_summary(
        &self,
        search: &Search,
        outcome: BisectOutcome,
        found: Option<&str>,
        candidates: &[String],
        confirmation: Option<Step>,
    ) -> Result<(), Failure> {
        let described = |id: &String| self.repository.described(id);
        let steps: Vec<Step> = self
            .session
            .all()
            .map(|kept| kept.step.clone())
            .chain(confirmation)
            .collect();
        let decided = steps.iter().filter(|step| {
            step.role == Role::Search && matches!(step.answer, StepOutcome::Good | StepOutcome::Bad)
        });
        let parents = found.map(|found| self.repository.parents(found));
        let parents = parents.transpose()?.unwrap_or_default();
        let report = BisectReport {
            schema: SCHEMA.to_owned(),
            outcome,
            good: self.repository.described(&search.first_good)?,
            bad: self.repository.described(&search.first_bad)?,
            commit: found
                .map(|found| self.repository.described(found))
                .transpose()?,
            is_merge: parents.len() > 1,
            parents,
            first_parent: search.first_parent,
            candidates: candidates.iter().map(described).collect::<Result<_, _>>()?,
            cost: Cost::of(steps.iter()),
            sureness: Sureness::of(
                SEARCH_LEVELS.alpha,
                u32::try_from(decided.count()).unwrap_or(u32::MAX),
            ),
            steps,
        };
        (self.summarize)(&report, &self.repository.state)?;
        self.emit(BisectEvent::Summarized {
            summary: self.repository.state.join("summary.md"),
            results: self.results(),
        });
        Ok(())
    }
}
