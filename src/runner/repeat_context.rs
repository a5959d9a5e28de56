//! How the repeats of one arm are measured: on which server, with which load, and where the result goes.

use std::path::{Path, PathBuf};

use crate::config::{Fresh, Plan, ServerPlan};
use crate::event::{Events, RepeatLabel};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::interrupt::Interrupt;

/// Everything that stays the same over the repeats of one arm.
#[derive(Clone)]
pub(crate) struct RepeatContext<'a> {
    pub(crate) plan: &'a Plan,
    /// Which server: the plan's own, or that of the base version.
    pub(crate) server: &'a ServerPlan,
    /// Whether each repeat gets a fresh server.
    pub(crate) fresh: Fresh,
    /// What the side is called in progress and in the names of logs; empty where there is only one.
    pub(crate) side: &'static str,
    /// Number of the first start and distance of the next, so that no two starts of a run are the same.
    pub(crate) ordinals: (u32, u32),
    /// Whether every repeat of a load draws arrivals of its own, as one must whose repeats are pooled: they say nothing
    /// new about a load whose bursts are the same ones. A gate's repeats share them, so that chance in them is no noise
    /// between repeats, nor between the sides of a comparison.
    pub(crate) own_arrivals: bool,
    /// Whether a load at which requests fail is an answer and not the end of the run, as in a sweep.
    pub(crate) may_fail: bool,
    /// Where the result goes, after every repeat.
    pub(crate) output: PathBuf,
    /// Where server logs go.
    pub(crate) logs: Option<PathBuf>,
    /// Perfgate's own environment.
    pub(crate) environment: &'a (dyn Fn(&str) -> Option<String> + Sync),
    pub(crate) events: &'a Events,
    pub(crate) interrupt: &'a Interrupt,
}

impl<'a> RepeatContext<'a> {
    /// One side alone: the plan's own server, the result at `output`, and the logs of servers beside it.
    pub(crate) fn of_plan(
        plan: &'a Plan,
        output: &Path,
        environment: &'a (dyn Fn(&str) -> Option<String> + Sync),
        events: &'a Events,
        interrupt: &'a Interrupt,
    ) -> Result<Self, Failure> {
        let server = server_of(plan)?;
        let logs = match server {
            ServerPlan::Docker(_) | ServerPlan::Process(_) => Some(output.with_extension("logs")),
            // One has nothing to say, and the other's log is somebody else's.
            ServerPlan::Simulator(_) | ServerPlan::Url(_) => None,
        };
        Ok(Self {
            plan,
            server,
            fresh: plan.fresh,
            side: "",
            ordinals: (0, 1),
            own_arrivals: false,
            may_fail: false,
            output: output.to_owned(),
            logs,
            environment,
            events,
            interrupt,
        })
    }

    /// Number of the server start of that repeat, unlike that of any other start of the run.
    pub(crate) fn ordinal(&self, repeat: u32) -> u32 {
        let (first, step) = self.ordinals;
        first + step * repeat
    }

    /// Where the log of the server of a repeat is kept.
    pub(crate) fn log_file(&self, repeat: u32) -> Option<PathBuf> {
        let dash = if self.side.is_empty() { "" } else { "-" };
        let name = format!("server{dash}{}-{}.log", self.side, repeat + 1);
        self.logs.as_ref().map(|folder| folder.join(name))
    }

    /// A failure of the server with the place of its log.
    pub(crate) fn with_log(&self, failure: Failure, repeat: u32) -> Failure {
        match self.log_file(repeat) {
            Some(log) if failure.status == ExitStatus::TargetFailed && log.is_file() => {
                failure.hint(format!("the server's whole log: `{}`", log.display()))
            }
            Some(_) | None => failure,
        }
    }

    /// How a repeat (from 0) is named in events.
    pub(crate) fn label(&self, repeat: u32, of: u32) -> RepeatLabel {
        RepeatLabel {
            side: self.side,
            number: repeat + 1,
            of,
        }
    }

    pub(crate) fn api_key(&self) -> Option<String> {
        crate::environment::api_key(self.environment)
    }
}

/// The server of the plan, or what to do where it has none.
pub(crate) fn server_of(plan: &Plan) -> Result<&ServerPlan, Failure> {
    plan.server.as_ref().ok_or_else(no_server)
}

fn no_server() -> Failure {
    Failure::message(ExitStatus::Usage, "nothing says which server to measure")
        .hint("give `--url`, `--image` or `--simulator`, or a `server` in perfgate.yaml")
}
