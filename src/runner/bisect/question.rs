//! The question for a commit: its base, its rules, and earlier answers.

use std::path::Path;

use super::super::evidence::{EvidenceFile, EvidenceFolder};
use super::bisect_run::{BisectRun, Good};
use super::noise::in_sessions;
use super::session::{RecordedStep, key};
use crate::bisect::{Role, Step, StepOutcome};
use crate::config::{DockerPlan, Plan, ServerPlan};
use crate::failure::Failure;
use crate::files;
use crate::policy::rule::Policy;
use crate::policy::searched;
use crate::record::Run;

/// Name of the alternately measured good end.
const GOOD_END: &str = "the good end";

/// The base of a comparison.
#[derive(Clone)]
pub(crate) struct Base {
    /// Its plan; `None` for an earlier result.
    pub(crate) plan: Option<Plan>,
    /// Its commit, if known.
    pub(crate) commit: Option<String>,
    /// The tree to build it in; `None` if it was built or measured before.
    pub(crate) tree: Option<&'static str>,
    /// Its name in messages.
    pub(crate) name: String,
    /// Identifies it.
    pub(crate) identity: String,
}

impl BisectRun<'_> {
    /// The base for a commit, ready except for its build.
    pub(crate) fn base(
        &self,
        role: Role,
        plan: &Plan,
        parent: Option<&str>,
    ) -> Result<Base, Failure> {
        if let (Role::Confirmation, Some(parent)) = (role, parent) {
            return self.built_commit("its parent", "parent", parent);
        }
        let good = self.good_commit.as_deref();
        Ok(match &self.good {
            Good::Result(result) if !self.is_alternating() => Base {
                plan: None,
                commit: None,
                tree: None,
                name: result.path.display().to_string(),
                identity: result.digest.clone(),
            },
            Good::Image(image) => {
                let own = match good {
                    Some(good) => {
                        let tree = self.tree("good");
                        tree.check_out(&self.repository, good)?;
                        self.criteria.of_commit(self.options, &tree, good)?
                    }
                    None => plan.clone(),
                };
                Base {
                    plan: Some(with_image(own, image)),
                    commit: good.map(str::to_owned),
                    tree: None,
                    name: image.clone(),
                    identity: image.clone(),
                }
            }
            Good::Commit | Good::Result(_) => return self.good_end(),
        })
    }

    /// The good end, built from its commit and measured alternately.
    pub(crate) fn good_end(&self) -> Result<Base, Failure> {
        let good = self
            .good_commit
            .as_deref()
            .ok_or_else(|| Failure::usage("the good commit is unknown"))?;
        self.built_commit(GOOD_END, "good", good)
    }

    fn built_commit(
        &self,
        called: &str,
        name: &'static str,
        commit: &str,
    ) -> Result<Base, Failure> {
        let tree = self.tree(name);
        tree.check_out(&self.repository, commit)?;
        let short: String = commit.chars().take(10).collect();
        Ok(Base {
            plan: Some(self.criteria.of_commit(self.options, &tree, commit)?),
            commit: Some(commit.to_owned()),
            tree: Some(name),
            name: format!("{called} {short}"),
            identity: commit.to_owned(),
        })
    }

    /// Whether the earlier result of the good end left a step undecided; it would leave the next one undecided too.
    fn is_alternating(&self) -> bool {
        let mut steps = self.session.all();
        steps.any(|kept| kept.step.against.starts_with(GOOD_END))
    }

    /// Whether the earlier result of the good end leaves the answer undecided, so that only alternating measurement can
    /// decide: it cancels differences of machine and time.
    pub(crate) fn may_alternate(&self, kept: &RecordedStep, plan: &Plan, base: &Base) -> bool {
        // An external server cannot also be the good end.
        let is_started = !matches!(plan.server, Some(ServerPlan::Url(_)));
        let can = base.plan.is_none() && self.good_commit.is_some() && is_started;
        can && kept.step.answer == StepOutcome::Undecided
    }

    /// The rules: those that the bad end violates, once known. A bad end that does not start violates none.
    pub(crate) fn policy(&self, role: Role) -> Result<Policy, Failure> {
        let (Role::Search | Role::Confirmation, Some(bad_end)) = (role, &self.session.bad_end)
        else {
            return Ok(self.criteria.policy.clone());
        };
        if bad_end.step.answer == StepOutcome::TargetFailed {
            return Ok(self.criteria.policy.clone());
        }
        let evidence = EvidenceFolder::at(self.results().join(&bad_end.folder));
        let comparison = evidence.last_look()?;
        Ok(comparison.map_or_else(
            || self.criteria.policy.clone(),
            |comparison| searched(&self.criteria.policy, &comparison),
        ))
    }

    /// A name that is equal for equal questions: commit, good end, configuration, load, rules, build and perfgate version.
    pub(crate) fn folder_name(
        &self,
        role: Role,
        commit: &str,
        plan: &Plan,
        base: &Base,
        policy: &Policy,
    ) -> String {
        let text = format!(
            "{}\n{}\n{plan:?}\n{:?}\n{policy:?}\n{:?}\n{:?}\n{}\n{}",
            env!("CARGO_PKG_VERSION"),
            base.identity,
            base.plan,
            self.options.build,
            self.options.ledger,
            self.options.max_pairs,
            // The check of the good end against itself is a separate question.
            role == Role::GoodEnd
        );
        let short: String = commit.chars().take(12).collect();
        let of = match role {
            Role::Confirmation => {
                format!("confirmation-{}-", crate::clock::unix_time().as_millis())
            }
            Role::GoodEnd | Role::BadEnd | Role::Search => String::new(),
        };
        format!("{of}{short}-{}", key(&text))
    }

    /// Earlier results of the good end, in sessions to estimate the noise.
    pub(crate) fn ledger(&self) -> Vec<Run> {
        let mut sessions = match &self.good {
            Good::Result(result) => result.ledger.clone(),
            Good::Commit | Good::Image(_) => Vec::new(),
        };
        for kept in self.session.all() {
            let evidence = EvidenceFolder::at(self.results().join(&kept.folder));
            let sides: &[EvidenceFile] = if kept.step.role == Role::GoodEnd {
                &[EvidenceFile::PairBaseline, EvidenceFile::PairCandidate]
            } else {
                &[EvidenceFile::PairBaseline]
            };
            for side in sides.iter().filter(|_| !kept.folder.is_empty()) {
                if let Ok(Some(run)) = evidence.run(*side) {
                    sessions.extend(in_sessions(&run));
                }
            }
        }
        sessions
    }
}

/// The earlier answer for the commit. Failures are not reused, because they may be temporary.
pub(crate) fn known(path: &Path, role: Role) -> Option<Step> {
    let bytes = files::read(&path.join("step.json")).ok()?;
    let step: Step = serde_json::from_slice(&bytes).ok()?;
    let is_answer = matches!(
        step.answer,
        StepOutcome::Good | StepOutcome::Bad | StepOutcome::Undecided
    );
    is_answer.then_some(Step {
        role,
        reused: true,
        ..step
    })
}

/// The same plan with that image.
pub(crate) fn with_image(plan: Plan, image: &str) -> Plan {
    let server = match plan.server {
        Some(ServerPlan::Docker(docker)) => ServerPlan::Docker(DockerPlan {
            image: image.to_owned(),
            ..docker
        }),
        _ => ServerPlan::Docker(DockerPlan::of(image)),
    };
    Plan {
        server: Some(server),
        ..plan
    }
}
