//! Reasons to accept a run in spite of objections, and which objections they cover.

use std::path::Path;

use crate::cli::baseline::UpdateArgs;
use crate::failure::Failure;
use crate::inputs::comparison::read_comparison;
use crate::metric::Metric;
use crate::policy::{Objection, identity};
use crate::record::Run;
use crate::record::format::Promotion;
use crate::report::comparison::{Acceptance, Comparison, Status};

/// Minimum length of a reason in characters.
const MIN_REASON: usize = 10;

/// The reasons from the flags.
#[derive(Clone, Debug, Default)]
pub(super) struct Reasons {
    /// `--because`, which covers every objection that a reason can cover.
    because: Option<String>,
    /// `--comparison`.
    maintainer: Option<Maintainer>,
}

/// A maintainer's acceptance of the regression in the pull request, which covers only that.
#[derive(Clone, Debug)]
struct Maintainer {
    acceptance: Acceptance,
    /// The accepted regressions.
    rows: Vec<(String, Metric)>,
}

impl Reasons {
    /// The reasons from the flags, for a run of the gate `name`.
    pub(super) fn of(args: &UpdateArgs, run: &Run, name: &str) -> Result<Self, Failure> {
        let maintainer = args.comparison.as_deref();
        Ok(Self {
            because: args.because.as_deref().map(checked).transpose()?,
            maintainer: maintainer
                .map(|path| Maintainer::of(path, args, run, name))
                .transpose()?,
        })
    }

    /// The objections that no reason covers.
    pub(super) fn left<'a>(&self, found: &'a [Objection]) -> Vec<&'a Objection> {
        let overrules = |objection: &Objection| {
            objection.can_be_overruled() && (self.because.is_some() || self.is_accepted(objection))
        };
        found
            .iter()
            .filter(|objection| !overrules(objection))
            .collect()
    }

    fn is_accepted(&self, objection: &Objection) -> bool {
        let mut rows = self.maintainer.iter().flat_map(|it| &it.rows);
        rows.any(|row| objection.row.as_ref() == Some(row))
    }

    /// Records only the reasons that were needed, so that each name belongs to its own acceptance.
    pub(super) fn write(&self, found: &[Objection], promotion: &mut Promotion) {
        let is_needed = found.iter().any(|objection| self.is_accepted(objection));
        let acceptance = self.maintainer.as_ref().map(|it| &it.acceptance);
        let acceptance = acceptance.filter(|_| is_needed);
        let because = self.because.as_ref().filter(|_| {
            let accepted = |objection| self.is_accepted(objection);
            !found.iter().all(accepted)
        });
        (promotion.because, promotion.by) = match (because, acceptance) {
            (Some(text), Some(accepted)) => (
                Some(format!(
                    "{text}; the regression ({}): {}",
                    accepted.by, accepted.reason
                )),
                None,
            ),
            (None, Some(accepted)) => (Some(accepted.reason.clone()), Some(accepted.by.clone())),
            (text, None) => (text.cloned(), None),
        };
    }
}

impl Maintainer {
    fn of(path: &Path, args: &UpdateArgs, run: &Run, name: &str) -> Result<Self, Failure> {
        let usage =
            |message: String| Failure::usage(message).hint("give a reason with `--because TEXT`");
        let comparison = read_comparison(path)?;
        let path = path.display();
        if !is_of(&comparison, run) {
            return Err(usage(format!(
                "`{path}` is not a comparison of `{}`: it accepts another run",
                args.result.display()
            )));
        }
        if let Some(gate) = comparison.name.as_deref().filter(|gate| *gate != name) {
            return Err(usage(format!(
                "`{path}` belongs to the gate `{gate}`, not to `{name}`"
            )));
        }
        let Some(acceptance) = comparison.accepted else {
            return Err(usage(format!("`{path}` contains no accepted regression")));
        };
        let regressed = comparison.judgements.into_iter();
        let regressed = regressed.filter(|row| row.status == Status::Regressed);
        Ok(Self {
            acceptance,
            rows: regressed.map(|row| (row.scenario, row.metric)).collect(),
        })
    }
}

/// Whether the comparison judges that run, alone or with its base version.
fn is_of(comparison: &Comparison, run: &Run) -> bool {
    let own = identity("", run);
    let mut judged = std::iter::once(&comparison.candidate).chain(&comparison.ab_candidate);
    // A run without a time of measurement cannot be identified.
    own.created.is_some() && judged.any(|judged| judged.is_same_run(&own))
}

fn checked(text: &str) -> Result<String, Failure> {
    let text = text.trim();
    if text.chars().count() >= MIN_REASON {
        return Ok(text.to_owned());
    }
    let message =
        format!("the reason `{text}` is too short: it needs at least {MIN_REASON} characters");
    Err(Failure::usage(message)
        .hint("the ledger keeps it; describe what changed and why it is worth it"))
}
