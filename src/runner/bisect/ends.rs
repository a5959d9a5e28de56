//! The check of both ends before a search: the good one must pass against itself, and the bad one must be bad.

use super::bisect_run::{BisectRun, Good};
use super::judging::{is_of_commit, judged};
use crate::bisect::{Role, Step, StepOutcome};
use crate::config::ServerPlan;
use crate::exit::ExitStatus;
use crate::failure::Failure;

/// Repeats of a good result from which its own noise is learnt: sessions of three, ten degrees of freedom.
const NOISE_IS_LEARNT_FROM: u32 = 15;

impl BisectRun<'_> {
    /// Checks that the good end passes against itself and that the bad end blocks, unless that was done for this search.
    pub(crate) async fn check_ends(&mut self) -> Result<(), Failure> {
        if let Some(good) = self.good_commit.clone()
            && self.session.good_end.is_none()
        {
            self.refuse_one_server_for_both(&good)?;
            let kept = Box::pin(self.judge(Role::GoodEnd, &good, None)).await?;
            self.events.emit(judged(&kept.step));
            good_end_is_good(&kept.step)?;
            self.session.good_end = Some(kept);
            self.session.save(&self.repository)?;
        }
        if let Some(bad) = self.bad_commit.clone()
            && self.session.bad_end.is_none()
        {
            let kept = Box::pin(self.judge(Role::BadEnd, &bad, None))
                .await
                .map_err(with_other_search)?;
            self.events.emit(judged(&kept.step));
            bad_end_is_bad(&kept.step).map_err(|failure| self.with_repeats(failure))?;
            self.session.bad_end = Some(kept);
            self.session.save(&self.repository)?;
        }
        Ok(())
    }

    /// A good result of few repeats decides little.
    fn with_repeats(&self, failure: Failure) -> Failure {
        match &self.good {
            Good::Result(result) if result.run.counting_repeats() < NOISE_IS_LEARNT_FROM => failure.hint(format!(
                "`{}` has {} repeats: noise is learnt from {NOISE_IS_LEARNT_FROM} and more (`perfgate bench --repeat {NOISE_IS_LEARNT_FROM}`), or from `--ledger`; without `--good-result` the good end is measured alternately with each commit",
                result.path.display(),
                result.run.counting_repeats()
            )),
            Good::Result(_) | Good::Commit | Good::Image(_) => failure,
        }
    }

    /// A server that runs already cannot be the good end and a commit by turns.
    fn refuse_one_server_for_both(&self, good: &str) -> Result<(), Failure> {
        let tree = self.tree("good");
        tree.check_out(&self.repository, good)?;
        let plan = self.criteria.of_commit(self.options, &tree, good)?;
        let message = match (&plan.server, &self.good) {
            (Some(ServerPlan::Url(_)), Good::Commit | Good::Image(_)) => {
                "a server that runs already is not started anew for each commit, and not the good end by turns"
            }
            (None, _) => "no server is configured",
            (Some(_), _) => return Ok(()),
        };
        Err(Failure::message(ExitStatus::Usage, message).hint(
            "let the commit's perfgate.yaml, or `--config FILE`, say how its server is started; or give `--image`",
        ))
    }
}

fn good_end_is_good(step: &Step) -> Result<(), Failure> {
    let said = &step.reason;
    let (message, hint) = match step.answer {
        StepOutcome::Good => return Ok(()),
        StepOutcome::Bad => (
            format!("the good end is not as fast as {}: {said}", step.against),
            "it must pass against itself: something else on this machine, or a server that changes by itself, makes one start slower than another (perfgate selftest, perfgate doctor)",
        ),
        StepOutcome::Undecided
        | StepOutcome::BuildFailed
        | StepOutcome::TargetFailed
        | StepOutcome::NoConfiguration => (
            format!("the good end cannot be told from {}: {said}", step.against),
            "the noise is too large for these limits: send more requests, take a quieter metric (P50), raise the limit, or see `perfgate doctor`",
        ),
    };
    Err(Failure::message(ExitStatus::NotComparable, message).hint(hint))
}

fn bad_end_is_bad(step: &Step) -> Result<(), Failure> {
    let said = &step.reason;
    let (message, hint) = match step.answer {
        // That it does not serve is an answer only where that is what is searched for.
        StepOutcome::Bad | StepOutcome::TargetFailed => return Ok(()),
        StepOutcome::Good => (
            format!("the bad end has no regression: {said}"),
            "there is nothing to search for: compare other commits, or lower the limit (`--threshold 3%`)",
        ),
        StepOutcome::Undecided | StepOutcome::BuildFailed | StepOutcome::NoConfiguration => (
            format!("the bad end is not certainly bad: {said}"),
            "a search needs ends that are clear: send more requests, allow more pairs (`--max-pairs`), quieten the machine (`perfgate doctor`), or take a worse commit",
        ),
    };
    Err(Failure::message(ExitStatus::NotComparable, message).hint(hint))
}

/// A bad end that does not serve is for another search.
fn with_other_search(failure: Failure) -> Failure {
    if is_of_commit(&failure) {
        failure.hint("`--startup-failure bad` searches for the commit that broke the start")
    } else {
        failure
    }
}
