//! What is asked of a commit: compared with what, by which rules, and whether that was asked before.

use std::path::Path;

use super::super::Failure;
use super::super::evidence::{EvidenceFolder, Side};
use super::super::failing::record_failure;
use super::hunt::{Good, Hunt};
use super::noise::in_sessions;
use super::session::key;
use crate::bisect::{Answer, Role, Step};
use crate::config::{DockerPlan, Plan, ServerPlan};
use crate::exit::ExitStatus;
use crate::files;
use crate::policy::rule::Policy;
use crate::policy::searched;
use crate::record::{self, Run};

/// What a commit is compared with.
pub(super) struct Base {
    /// Its plan; none where it was measured before.
    pub(super) plan: Option<Plan>,
    /// Its commit, where one is known.
    pub(super) commit: Option<String>,
    /// How it is called.
    pub(super) name: String,
    /// What distinguishes it from another one.
    pub(super) identity: String,
}

impl Hunt<'_> {
    /// What the commit is compared with, ready to be started but for its build.
    pub(super) fn base(
        &self,
        role: Role,
        plan: &Plan,
        parent: Option<&str>,
    ) -> Result<Base, Failure> {
        let short = |commit: &str| commit.chars().take(10).collect::<String>();
        if let (Role::Confirmation, Some(parent)) = (role, parent) {
            let tree = self.tree("parent");
            tree.check_out(&self.repository, parent)?;
            return Ok(Base {
                plan: Some(self.bar.of_commit(self.options, &tree, parent)?),
                commit: Some(parent.to_owned()),
                name: format!("its parent {}", short(parent)),
                identity: parent.to_owned(),
            });
        }
        let good = self.good_commit.as_deref();
        Ok(match &self.good {
            Good::Result(result) => Base {
                plan: None,
                commit: None,
                name: result.path.display().to_string(),
                identity: result.digest.clone(),
            },
            Good::Image(image) => {
                let own = match good {
                    Some(good) => {
                        let tree = self.tree("good");
                        tree.check_out(&self.repository, good)?;
                        self.bar.of_commit(self.options, &tree, good)?
                    }
                    None => plan.clone(),
                };
                Base {
                    plan: Some(with_image(own, image)),
                    commit: good.map(str::to_owned),
                    name: image.clone(),
                    identity: image.clone(),
                }
            }
            Good::Commit => {
                let good = good.ok_or_else(|| {
                    Failure::message(ExitStatus::Usage, "nothing says which commit is good")
                })?;
                let tree = self.tree("good");
                tree.check_out(&self.repository, good)?;
                Base {
                    plan: Some(self.bar.of_commit(self.options, &tree, good)?),
                    commit: Some(good.to_owned()),
                    name: format!("the good end {}", short(good)),
                    identity: good.to_owned(),
                }
            }
        })
    }

    /// The rules: those that the bad end broke, once that is known.
    pub(super) fn policy(&self, role: Role) -> Result<Policy, Failure> {
        let (Role::Search | Role::Confirmation, Some(bad_end)) = (role, &self.session.bad_end)
        else {
            return Ok(self.bar.policy.clone());
        };
        let evidence = EvidenceFolder::at(self.results().join(&bad_end.folder));
        let comparison = evidence.last_look()?;
        Ok(comparison.map_or_else(
            || self.bar.policy.clone(),
            |comparison| searched(&self.bar.policy, &comparison),
        ))
    }

    /// Equal for equal questions: commit, good end, configuration, load, rules, build and version of perfgate.
    pub(super) fn folder_name(
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
            // The good end against itself is another question than itself in a search.
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

    /// The good end as it was measured before and so far in this search, in sessions from which the noise is learnt.
    pub(super) fn ledger(&self) -> Vec<Run> {
        let mut sessions = match &self.good {
            Good::Result(result) => result.ledger.clone(),
            Good::Commit | Good::Image(_) => Vec::new(),
        };
        for kept in self.session.all() {
            let evidence = EvidenceFolder::at(self.results().join(&kept.folder));
            let sides: &[Side] = if kept.step.role == Role::GoodEnd {
                &[Side::PairBaseline, Side::PairCandidate]
            } else {
                &[Side::PairBaseline]
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

/// What was said of the commit before, if that was an answer. What failed may have been the day's fault.
pub(super) fn known(path: &Path, role: Role) -> Option<Step> {
    let bytes = files::read(&path.join("step.json")).ok()?;
    let step: Step = serde_json::from_slice(&bytes).ok()?;
    let is_answer = matches!(step.answer, Answer::Good | Answer::Bad | Answer::Undecided);
    is_answer.then_some(Step {
        role,
        reused: true,
        ..step
    })
}

/// The same plan with that image.
pub(super) fn with_image(plan: Plan, image: &str) -> Plan {
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

/// The runs of a ledger, or those that a result itself makes.
pub(super) fn sessions_of(run: &Run, ledger: Option<&Path>) -> Result<Vec<Run>, Failure> {
    match ledger {
        Some(path) => record::load_ledger(path).map_err(|error| record_failure(&error)),
        None => Ok(in_sessions(run)),
    }
}
