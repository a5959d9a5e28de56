//! Settings for the repeats of one arm: server, load, and destination of the result.

use std::path::{Path, PathBuf};

use super::CommandContext;
use crate::config::{Fresh, Plan, ServerPlan};
use crate::event::{Event, RepeatLabel};
use crate::exit::ExitStatus;
use crate::failure::Failure;

/// Settings that are constant over the repeats of one arm.
#[derive(Clone)]
pub(crate) struct RepeatContext<'a> {
    pub(crate) plan: &'a Plan,
    /// The server: the plan's own, or that of the base version.
    pub(crate) server: &'a ServerPlan,
    /// Whether each repeat gets a fresh server.
    pub(crate) fresh: Fresh,
    /// The side's name in progress and in names of logs; empty if there is only one.
    pub(crate) side: &'static str,
    /// The number of the first start, and the step to the next: each start of a run has its own number.
    pub(crate) ordinals: (u32, u32),
    /// Whether every repeat of a load draws its own arrivals. Pooled repeats need this: with the same bursts they give no new
    /// information. A gate's repeats share their arrivals, so that these add no noise between repeats or sides.
    pub(crate) own_arrivals: bool,
    /// Whether failing requests are a result instead of the end of the run, as in a sweep.
    pub(crate) may_fail: bool,
    /// The path of the result, which is written after every repeat.
    pub(crate) output: PathBuf,
    /// The folder of server logs.
    pub(crate) logs: Option<PathBuf>,
    pub(crate) command: CommandContext<'a>,
}

impl<'a> RepeatContext<'a> {
    /// A single side: the plan's server, the result at `output`, and server logs beside it.
    pub(crate) fn of_plan(
        plan: &'a Plan,
        output: &Path,
        command: CommandContext<'a>,
    ) -> Result<Self, Failure> {
        let server = server_of(plan)?;
        let logs = match server {
            ServerPlan::Docker(_) | ServerPlan::Process(_) => Some(output.with_extension("logs")),
            // A simulator writes no log, and the log of a URL's server is not ours.
            ServerPlan::Simulator(_) | ServerPlan::Url(_) => None,
        };
        Ok(Self {
            logs,
            ..Self::new(plan, server, output.to_owned(), command)
        })
    }

    /// A single side without server logs.
    pub(crate) fn new(
        plan: &'a Plan,
        server: &'a ServerPlan,
        output: PathBuf,
        command: CommandContext<'a>,
    ) -> Self {
        Self {
            plan,
            server,
            fresh: plan.fresh,
            side: "",
            ordinals: (0, 1),
            own_arrivals: false,
            may_fail: false,
            output,
            logs: None,
            command,
        }
    }

    /// Emits an event.
    pub(crate) fn emit(&self, event: impl Into<Event>) {
        self.command.events.emit(event);
    }

    /// The number of the repeat's server start, unique in the run.
    pub(crate) fn ordinal(&self, repeat: u32) -> u32 {
        let (first, step) = self.ordinals;
        first + step * repeat
    }

    /// The name in results of the repeat's server start in the run with that id. A server that perfgate does not start has one
    /// name in all runs of a command.
    pub(crate) fn start_name(&self, run: &str, repeat: u32) -> String {
        if let ServerPlan::Url(_) = self.server {
            let side = if self.side == "base" { "-base" } else { "" };
            let began = self.command.began.as_millis();
            return format!("{began:x}-{:x}-attached{side}", std::process::id());
        }
        format!("{run}-start-{}", self.ordinal(repeat) + 1)
    }

    /// The path of the log of a repeat's server.
    pub(crate) fn log_file(&self, repeat: u32) -> Option<PathBuf> {
        let dash = if self.side.is_empty() { "" } else { "-" };
        let name = format!("server{dash}{}-{}.log", self.side, repeat + 1);
        self.logs.as_ref().map(|folder| folder.join(name))
    }

    /// A failure of the server with the path of its log.
    pub(crate) fn with_log(&self, failure: Failure, repeat: u32) -> Failure {
        match self.log_file(repeat) {
            Some(log) if failure.status == ExitStatus::TargetFailed && log.is_file() => {
                failure.hint(format!("complete server log: `{}`", log.display()))
            }
            Some(_) | None => failure,
        }
    }

    /// The label of a repeat (from 0) in events.
    pub(crate) fn label(&self, repeat: u32, of: u32) -> RepeatLabel {
        RepeatLabel {
            side: self.side,
            number: repeat + 1,
            of,
        }
    }

    pub(crate) fn api_key(&self) -> Option<String> {
        crate::environment::api_key(self.command.environment)
    }
}

/// The server of the plan, or an error with the next step.
pub(crate) fn server_of(plan: &Plan) -> Result<&ServerPlan, Failure> {
    plan.server.as_ref().ok_or_else(|| {
        Failure::usage("no server is configured")
            .hint("use `--url`, `--image` or `--simulator`, or set `server` in perfgate.yaml")
    })
}
