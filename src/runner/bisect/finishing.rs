//! The end of a search: the commit found is tested once more, and the summary written.

use super::bisect_run::BisectRun;
use super::judging::judged;
use crate::bisect::{
    BisectOutcome, BisectReport, Cost, Role, SCHEMA, Step, StepOutcome, Sureness, steps_for,
};
use crate::event::BisectEvent;
use crate::exit::{BisectStatus, ExitStatus};
use crate::failure::Failure;
use crate::git::checkout::remove_all;
use crate::git::search::{Left, Said, Search};
use crate::trial::SEARCH_LEVELS;

/// A search between a commit and what came before it finds nothing after it.
fn mended_in_between(commit: &str, good: &str) -> Failure {
    let short = |id: &str| id.get(..10).unwrap_or(id).to_owned();
    let [commit, good] = [commit, good].map(short);
    let message = format!(
        "{commit} is bad already, and {good}, which descends from it, is good: what is searched for came before {commit}, and was mended in between"
    );
    Failure::message(ExitStatus::NotComparable, message).hint(format!(
        "`git bisect reset`, then `perfgate bisect start GOOD {commit}` with a good commit before it"
    ))
}

impl BisectRun<'_> {
    /// What is to be told git of a judged commit. Where nothing is left to ask after it, the search is concluded first.
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
            BisectStatus::Good => Said::Good,
            BisectStatus::Bad => Said::Bad,
            BisectStatus::Skip => Said::Skip,
            BisectStatus::Stop | BisectStatus::Interrupted => return Ok(status),
        };
        if said == Said::Bad
            && let Some(good) = search.good_after(commit)
        {
            return Err(mended_in_between(commit, good));
        }
        match self.repository.left(search, commit, said)? {
            Left::More(count) => {
                self.events.emit(BisectEvent::MoreToJudge {
                    commits: count,
                    steps: steps_for(count),
                });
                Ok(status)
            }
            Left::OnlySkipped(candidates) => {
                self.tell(search, BisectOutcome::Several, None, &candidates, None)?;
                Ok(status)
            }
            Left::One(found) => Box::pin(self.confirm(search, &found, status)).await,
        }
    }

    /// Measures the commit found and its parent against each other before anybody is named.
    pub(crate) async fn confirm(
        &self,
        search: &Search,
        found: &str,
        status: BisectStatus,
    ) -> Result<BisectStatus, Failure> {
        let parents = self.repository.parents(found)?;
        let parent = parents.first().ok_or_else(|| {
            let message = "the commit found has no parent to be compared with";
            Failure::message(ExitStatus::NotComparable, message)
        })?;
        let kept = Box::pin(self.judge(Role::Confirmation, found, Some(parent)))
            .await
            .map_err(|mut failure| {
                failure.error = failure.error.context(format!(
                    "the search ended at {}, which could not be confirmed",
                    found.get(..10).unwrap_or(found)
                ));
                failure
            })?;
        self.events.emit(judged(&kept.step));
        let confirmed = matches!(
            kept.step.answer,
            StepOutcome::Bad | StepOutcome::TargetFailed
        );
        let outcome = if confirmed {
            BisectOutcome::Found
        } else {
            BisectOutcome::NotConfirmed
        };
        self.tell(search, outcome, Some(found), &[], Some(kept.step))?;
        if confirmed {
            // What was measured stays; what was built is not needed any more.
            remove_all(&self.repository, self.events);
            return Ok(status);
        }
        let message = "the commit at which the search ended is not confirmed, so nobody is named";
        Err(Failure::message(ExitStatus::Inconclusive, message)
            .hint("it may be that no single commit passes the limit (a slow decline), or that one step was wrong: see the table above; `git bisect run perfgate bisect` tests the end once more, a lower limit (`--threshold 3%`) sees smaller steps")
            .hint("`git bisect reset` ends the search"))
    }

    /// Writes the summary beside the results, and shows it.
    fn tell(
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
        self.events.emit(BisectEvent::Summarized {
            summary: self.repository.state.join("summary.md"),
            results: self.results(),
        });
        Ok(())
    }
}
