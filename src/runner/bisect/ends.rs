//! The check of both ends before a search: the good one must pass against itself, and the bad one must be bad.

use super::bisect_run::{BisectRun, Good};
use super::judging::is_of_commit;
use crate::bisect::{Role, Step, StepOutcome};
use crate::config::ServerPlan;
use crate::exit::ExitStatus;
use crate::failure::Failure;

/// Minimum repeats of a good result to estimate its own noise: sessions of three, ten degrees of freedom.
const MIN_REPEATS_FOR_NOISE: u32 = 15;

impl BisectRun<'_> {
    /// Checks that the good end passes against itself and that the bad end blocks, unless this search already did.
    pub(crate) async fn check_ends(&mut self) -> Result<(), Failure> {
        if let Some(good) = self.good_commit.clone()
            && self.session.good_end.is_none()
        {
            self.refuse_one_server_for_both(&good)?;
            let kept = Box::pin(self.judge(Role::GoodEnd, &good, None)).await?;
            self.emit_judged(&kept.step);
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
            self.emit_judged(&kept.step);
            bad_end_is_bad(&kept.step).map_err(|failure| self.with_repeats(failure))?;
            self.session.bad_end = Some(kept);
            self.session.save(&self.repository)?;
        }
        Ok(())
    }

    /// Adds a hint if the good result has few repeats.
    fn with_repeats(&self, failure: Failure) -> Failure {
        match &self.good {
            Good::Result(result) if result.run.counting_repeats() < MIN_REPEATS_FOR_NOISE => failure.hint(format!(
                "`{}` has {} repeats: a noise estimate needs at least {MIN_REPEATS_FOR_NOISE} (`perfgate bench --repeat {MIN_REPEATS_FOR_NOISE}`) or `--ledger`; without `--good-result` the good end is measured alternately with each commit",
                result.path.display(),
                result.run.counting_repeats()
            )),
            Good::Result(_) | Good::Commit | Good::Image(_) => failure,
        }
    }

    /// An external server cannot alternate between the good end and a commit.
    fn refuse_one_server_for_both(&self, good: &str) -> Result<(), Failure> {
        let tree = self.tree("good");
        tree.check_out(&self.repository, good)?;
        let plan = self.criteria.of_commit(self.options, &tree, good)?;
        let message = match (&plan.server, &self.good) {
            (Some(ServerPlan::Url(_)), Good::Commit | Good::Image(_)) => {
                "an external server cannot be restarted for each commit and for the good end"
            }
            (None, _) => "no server is configured",
            (Some(_), _) => return Ok(()),
        };
        Err(Failure::usage(message).hint(
            "set how the server starts in the commit's perfgate.yaml or in `--config FILE`, or use `--image`",
        ))
    }
}

fn good_end_is_good(step: &Step) -> Result<(), Failure> {
    let said = &step.reason;
    let (message, hint) = match step.answer {
        StepOutcome::Good => return Ok(()),
        StepOutcome::Bad => (
            format!("the good end is slower than {}: {said}", step.against),
            "it must pass against itself: other load on this machine or a varying server makes one start slower than another (see `perfgate selftest` and `perfgate doctor`)",
        ),
        StepOutcome::Undecided
        | StepOutcome::BuildFailed
        | StepOutcome::TargetFailed
        | StepOutcome::NoConfiguration => (
            format!(
                "the comparison of the good end with {} is undecided: {said}",
                step.against
            ),
            "the noise is too large for these limits: send more requests, use a metric with less noise (P50), raise the limit, or see `perfgate doctor`",
        ),
    };
    Err(Failure::message(ExitStatus::NotComparable, message).hint(hint))
}

fn bad_end_is_bad(step: &Step) -> Result<(), Failure> {
    let said = &step.reason;
    let (message, hint) = match step.answer {
        // A target that does not start counts only with `--startup-failure bad`.
        StepOutcome::Bad | StepOutcome::TargetFailed => return Ok(()),
        StepOutcome::Good => (
            format!("the bad end has no regression: {said}"),
            "select other commits, or lower the limit (`--threshold 3%`)",
        ),
        StepOutcome::Undecided | StepOutcome::BuildFailed | StepOutcome::NoConfiguration => (
            format!("the bad end is undecided: {said}"),
            "a search needs decided ends: send more requests, allow more pairs (`--max-pairs`), reduce noise on the machine (`perfgate doctor`), or use a slower commit",
        ),
    };
    Err(Failure::message(ExitStatus::NotComparable, message).hint(hint))
}

/// Adds a hint for a bad end that does not start.
fn with_other_search(failure: Failure) -> Failure {
    if is_of_commit(&failure) {
        failure.hint("`--startup-failure bad` searches for the commit that broke the start")
    } else {
        failure
    }
}
