//! One commit: checked out, built, measured, compared.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::super::author::Author;
use super::super::deciding::{Care, Commits, Decided, Deciding, Stored};
use super::super::evidence::{EvidenceFolder, Side};
use super::super::failing::{cannot_keep, record_failure};
use super::super::measuring::own_program;
use super::super::progress::note;
use super::super::Failure;
use super::bar::Words;
use super::hunt::{Good, Hunt};
use super::noise::in_sessions;
use super::session::{Kept, key};
use super::tree::Tree;
use crate::bisect::{Answer, Role, Step, StepChange};
use crate::config::{DockerPlan, Plan, ServerPlan};
use crate::exit::{BisectStatus, ExitStatus};
use crate::files;
use crate::launch::{Build, BuildError, build};
use crate::policy::comparison::{Comparison, Judgement};
use crate::policy::rule::{Action, Policy};
use crate::policy::{BISECT_LEVELS, BisectAnswer, GATE_LEVELS, bisect_answer, searched};
use crate::record::{self, Run};
use crate::record::format::Source;
use crate::stats::{SELF_LOOKS, search_looks};

/// A target that fails is started once more before it is said of its commit.
const ATTEMPTS: u32 = 2;

/// What a commit is compared with.
struct Base {
    /// Its plan; none where it was measured before.
    plan: Option<Plan>,
    /// Its commit, where one is known.
    commit: Option<String>,
    /// How it is called.
    name: String,
    /// What distinguishes it from another one.
    identity: String,
}

/// A commit that is ready to be measured.
struct Ready {
    plan: Plan,
    base: Base,
    policy: Policy,
    evidence: EvidenceFolder,
    path: PathBuf,
}

impl Hunt<'_> {
    /// Judges a commit in that role; `parent` is what a confirmation compares with.
    pub(super) async fn judge(
        &self,
        role: Role,
        commit: &str,
        parent: Option<&str>,
    ) -> Result<Kept, Failure> {
        let began = Instant::now();
        let described = self.repository.described(commit)?;
        let tree = self.tree(if role == Role::GoodEnd { "good" } else { "commit" });
        note(&format!(
            "{}: {} {}",
            in_words(role),
            described.short(),
            crate::render::inert::line(&described.subject)
        ));
        let mut step = Step {
            role,
            commit: described,
            against: String::new(),
            answer: Answer::NoConfiguration,
            reason: String::new(),
            change: None,
            seconds: 0.0,
            server_starts: 0,
            reused: false,
        };
        let nowhere = |step: Step| Kept {
            folder: String::new(),
            step,
        };
        tree.check_out(&self.repository, commit)?;
        let plan = match self.bar.of_commit(self.options, &tree, commit) {
            Ok(plan) => plan,
            // The ends have one that can be read: what is wrong is this commit's.
            Err(failure) if role == Role::Search => {
                step.reason = format!("{:#}", failure.error);
                step.seconds = began.elapsed().as_secs_f64();
                return Ok(nowhere(step));
            }
            Err(failure) => return Err(failure),
        };
        let base = self.base(role, &plan, parent)?;
        step.against.clone_from(&base.name);
        let policy = self.policy(role)?;
        let name = self.folder_name(role, commit, &plan, &base, &policy);
        let path = self.results().join(&name);
        // What confirms must be new: a search that is asked again at its end asks for it again.
        if role != Role::Confirmation
            && let Some(known) = self.known(&path, role)
        {
            note(&format!("measured before: {}", known.reason));
            return Ok(Kept {
                folder: name,
                step: known,
            });
        }
        files::create_folder(&path).map_err(cannot_keep)?;
        let ready = Ready {
            evidence: EvidenceFolder::at(path.clone()),
            plan,
            base,
            policy,
            path,
        };
        self.measure(&ready, &tree, &mut step).await?;
        step.seconds = began.elapsed().as_secs_f64();
        let json = serde_json::to_vec_pretty(&step)
            .map_err(|error| Failure::new(ExitStatus::Bug, error))?;
        files::write_atomically(&ready.path.join("step.json"), &json).map_err(cannot_keep)?;
        Ok(Kept { folder: name, step })
    }

    /// Builds and measures, and writes into the step what came of it.
    async fn measure(&self, ready: &Ready, tree: &Tree, step: &mut Step) -> Result<(), Failure> {
        let role = step.role;
        if role == Role::Confirmation
            && let Some(parent) = &ready.base.commit
        {
            self.build(&self.tree("parent"), parent, &ready.path)
                .await
                .map_err(|failure| failure.failure())?;
        }
        if role != Role::Confirmation {
            self.build_good().await?;
        }
        match self.build(tree, &step.commit.id, &ready.path).await {
            Ok(()) => {}
            Err(NotBuilt::OfCommit(said)) if role == Role::Search => {
                step.answer = Answer::BuildFailed;
                step.reason = said;
                return Ok(());
            }
            Err(failure) => return Err(failure.failure()),
        }
        let ledger = self.ledger();
        let looks = match role {
            Role::GoodEnd => SELF_LOOKS.to_vec(),
            Role::BadEnd | Role::Search | Role::Confirmation => {
                search_looks(self.options.max_pairs)
            }
        };
        let care = Care {
            levels: if role == Role::GoodEnd {
                GATE_LEVELS
            } else {
                BISECT_LEVELS
            },
            pair_looks: &looks,
            ledger: &ledger,
        };
        let mut attempt = 1;
        let decided = loop {
            let before = counted(&ready.evidence)?;
            match self.decide(ready, care, step).await {
                Ok(decided) => {
                    step.server_starts += decided.starts;
                    break Ok(decided.comparison);
                }
                Err(failure) => {
                    // Those that ended in a repeat, and the one that did not.
                    step.server_starts += counted(&ready.evidence)? - before + 1;
                    if !is_of_commit(&failure) || attempt == ATTEMPTS {
                        break Err(failure);
                    }
                    attempt += 1;
                    note(&format!("{:#}; once more", failure.error));
                }
            }
        };
        match decided {
            Ok(comparison) => take(&comparison, step),
            Err(failure) if is_of_commit(&failure) && role == Role::Search => {
                step.answer = Answer::TargetFailed;
                step.reason = format!("{:#}", failure.error);
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    async fn decide(&self, ready: &Ready, care: Care<'_>, step: &Step) -> Result<Decided, Failure> {
        let of = |commit: Option<&String>| {
            commit.map(|commit| Source {
                commit: Some(commit.clone()),
                branch: None,
                dirty: Some(false),
            })
        };
        let stored = match &self.good {
            Good::Result(result) if step.role != Role::Confirmation => Some(Stored {
                run: result.run.clone(),
                path: result.path.display().to_string(),
                ledger: result.ledger.clone(),
                ledger_path: None,
                release: None,
            }),
            Good::Result(_) | Good::Image(_) | Good::Commit => None,
        };
        let mut plan = ready.plan.clone();
        plan.base = ready.base.plan.as_ref().and_then(|base| base.server.clone());
        let find_stored = |_: &Run| Ok(stored.clone());
        let deciding = Deciding {
            plan: &plan,
            policy: &ready.policy,
            care,
            evidence: &ready.evidence,
            may_have_stored: stored.is_some(),
            find_stored: &find_stored,
            author: &Author::SILENT,
            scale: None,
            base_plan: ready.base.plan.as_ref(),
            commits: Commits {
                base: of(ready.base.commit.as_ref()),
                candidate: of(Some(&step.commit.id)),
            },
            logs: &ready.path,
            environment: self.context.environment,
            progress: self.progress,
            interrupt: self.interrupt,
        };
        deciding.run().await
    }

    /// The build of a commit in that tree, unless it is there from before.
    async fn build(&self, tree: &Tree, commit: &str, logs: &Path) -> Result<(), NotBuilt> {
        let Some(command) = &self.options.build else {
            return Ok(());
        };
        let words = Words { commit };
        let command = words.put_into(command);
        let done = format!("{commit}\n{command}\n");
        let mark = tree.mark();
        if std::fs::read_to_string(&mark).is_ok_and(|text| text == done) {
            return Ok(());
        }
        note(&format!("building {}", commit.get(..10).unwrap_or(commit)));
        // A build that fails half-way leaves no build of the commit before.
        tree.forget_build();
        let own_program = own_program().map_err(|error| {
            NotBuilt::Failure(Failure::new(ExitStatus::SurroundingsFailed, error))
        })?;
        let short: String = commit.chars().take(10).collect();
        let log = logs.join(format!("build-{short}.log"));
        let variables = [
            ("PERFGATE_BISECT_COMMIT", commit.to_owned()),
            ("PERFGATE_BISECT_IMAGE", words.image()),
            (
                "PERFGATE_BISECT_TOP",
                self.repository.top.display().to_string(),
            ),
        ];
        let building = Build {
            command: &command,
            folder: &tree.path,
            variables: &variables,
            log: &log,
            own_program: &own_program,
        };
        let built = build(&building, &self.interrupt.token()).await;
        built.map_err(|error| {
            let message = error.to_string();
            match error {
                BuildError::Failed { .. } => {
                    NotBuilt::OfCommit(format!("{message}\nits whole output: `{}`", log.display()))
                }
                BuildError::Surroundings { .. } => {
                    NotBuilt::Failure(Failure::message(ExitStatus::SurroundingsFailed, message))
                }
                BuildError::Cancelled => {
                    NotBuilt::Failure(Failure::message(ExitStatus::Interrupted, message))
                }
            }
        })?;
        files::write_atomically(&mark, done.as_bytes())
            .map_err(|error| NotBuilt::Failure(cannot_keep(error)))
    }

    /// What the commit is compared with, ready to be started but for its build.
    fn base(&self, role: Role, plan: &Plan, parent: Option<&str>) -> Result<Base, Failure> {
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
    fn policy(&self, role: Role) -> Result<Policy, Failure> {
        let bad_end = match (role, &self.session.bad_end) {
            (Role::Search | Role::Confirmation, Some(bad_end)) => bad_end,
            _ => return Ok(self.bar.policy.clone()),
        };
        let evidence = EvidenceFolder::at(self.results().join(&bad_end.folder));
        let comparison = evidence.last_look()?;
        Ok(comparison.map_or_else(
            || self.bar.policy.clone(),
            |comparison| searched(&self.bar.policy, &comparison),
        ))
    }

    /// Equal for equal questions: commit, good end, configuration, load, rules, build and version of perfgate.
    fn folder_name(
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
            Role::Confirmation => format!("confirmation-{}-", crate::clock::unix_time().as_millis()),
            Role::GoodEnd | Role::BadEnd | Role::Search => String::new(),
        };
        format!("{of}{short}-{}", key(&text))
    }

    /// What was said of the commit before, if that was an answer. What failed may have been the day's fault.
    fn known(&self, path: &Path, role: Role) -> Option<Step> {
        let bytes = files::read(&path.join("step.json")).ok()?;
        let step: Step = serde_json::from_slice(&bytes).ok()?;
        let is_answer = matches!(step.answer, Answer::Good | Answer::Bad | Answer::Undecided);
        is_answer.then_some(Step {
            role,
            reused: true,
            ..step
        })
    }

    /// The good end as it was measured so far in this search, in sessions from which the noise is learnt.
    fn ledger(&self) -> Vec<Run> {
        let mut sessions = Vec::new();
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

    pub(super) fn results(&self) -> PathBuf {
        self.repository.state.join("results")
    }

    pub(super) fn tree(&self, name: &str) -> Tree {
        Tree::named(&self.repository, name)
    }

    /// Builds the good end, where it is to be started.
    pub(super) async fn build_good(&self) -> Result<(), Failure> {
        let (Good::Commit, Some(good)) = (&self.good, &self.good_commit) else {
            return Ok(());
        };
        let tree = self.tree("good");
        tree.check_out(&self.repository, good)?;
        let logs = self.results();
        files::create_folder(&logs).map_err(cannot_keep)?;
        let built = self.build(&tree, good, &logs).await;
        built.map_err(|failure| {
            let mut failure = failure.failure();
            failure.error = failure.error.context("the good end cannot be built");
            failure
        })
    }
}

/// Why there is nothing to measure.
enum NotBuilt {
    /// The commit does not build; what was said.
    OfCommit(String),
    /// Another commit would not do either.
    Failure(Failure),
}

impl NotBuilt {
    fn failure(self) -> Failure {
        match self {
            Self::OfCommit(said) => Failure::message(ExitStatus::TargetFailed, said),
            Self::Failure(failure) => failure,
        }
    }
}

/// Whether another commit might do, so that it is this one's fault.
fn is_of_commit(failure: &Failure) -> bool {
    let skips = BisectStatus::of(failure.status) == BisectStatus::Skip;
    !failure.is_of_base && (skips || failure.is_of_version)
}

/// Repeats on disk.
fn counted(evidence: &EvidenceFolder) -> Result<u32, Failure> {
    let mut count = 0;
    for side in [Side::Candidate, Side::PairBaseline, Side::PairCandidate] {
        let run = evidence.run(side)?;
        let most = run.map_or(0, |run| {
            let repeats = run.scenarios.iter().map(|scenario| scenario.repeats.len());
            repeats.max().unwrap_or(0)
        });
        count += u32::try_from(most).unwrap_or(u32::MAX);
    }
    Ok(count)
}

/// What the comparison says, in the step's words.
fn take(comparison: &Comparison, step: &mut Step) -> Result<(), Failure> {
    step.answer = match bisect_answer(comparison) {
        BisectAnswer::Good => Answer::Good,
        BisectAnswer::Bad => Answer::Bad,
        BisectAnswer::Undecided => Answer::Undecided,
        BisectAnswer::NotComparable => {
            let message = format!(
                "{} cannot be compared with {}: {}",
                step.commit.short(),
                step.against,
                comparison.headline
            );
            return Err(Failure::message(ExitStatus::NotComparable, message)
                .hint("both must be measured on one machine, under one load, with every metric that a rule names; perfgate.yaml and thresholds.yaml of the bad end say which"));
        }
    };
    step.reason.clone_from(&comparison.headline);
    step.change = worst_change(comparison);
    Ok(())
}

/// The change that lies furthest towards or beyond its limit.
fn worst_change(comparison: &Comparison) -> Option<StepChange> {
    let share = |row: &&Judgement| {
        let change = row.change?;
        Some(change.value / row.rule.regression?)
    };
    let row = comparison
        .judgements
        .iter()
        .filter(|row| row.rule.action != Action::Warn && share(row).is_some())
        .max_by(|one, other| {
            let key = |row| share(row).unwrap_or(f64::NEG_INFINITY);
            key(one).total_cmp(&key(other))
        })?;
    let change = row.change?;
    Some(StepChange {
        metric: row.metric,
        scenario: row.scenario.clone(),
        value: change.value,
        low: change.low,
        high: change.high,
        confidence: change.confidence,
    })
}

fn with_image(plan: Plan, image: &str) -> Plan {
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

fn in_words(role: Role) -> &'static str {
    match role {
        Role::GoodEnd => "checking the good end against itself",
        Role::BadEnd => "checking the bad end against the good one",
        Role::Search => "judging",
        Role::Confirmation => "confirming",
    }
}

/// The runs of a ledger, or those that a result itself makes.
pub(super) fn sessions_of(run: &Run, ledger: Option<&Path>) -> Result<Vec<Run>, Failure> {
    match ledger {
        Some(path) => record::load_ledger(path).map_err(|error| record_failure(&error)),
        None => Ok(in_sessions(run)),
    }
}
