//! `perfgate selftest`: error rates of the gate on this machine, and sources of noise.

use std::path::Path;

use super::Context;
use crate::app::output;
use crate::cli::TextOrJson;
use crate::cli::selftest::SelftestArgs;
use crate::config::{Plan, ServerPlan};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::files;
use crate::inputs::policy::policy_for;
use crate::inputs::{feasible, plan};
use crate::policy::rule::Policy;
use crate::record::{self, Run};
use crate::runner::CommandContext;
use crate::runner::evidence::EvidenceFolder;
use crate::runner::repeat_context::{RepeatContext, server_of};
use crate::runner::repeating::{measure_all, nothing_counts};
use crate::runner::sequential_gate::{Commits, Decided, SequentialGate, protocol};
use crate::selftest::{Gate, Report, report_text};
use crate::terminal::Output;
use crate::terminal::progress::note;
use crate::trial::{Author, StoredBaseline};

pub(super) fn run(args: &SelftestArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let mut plan = plan::resolve(&args.run, &context.events)?;
    feasible::check_requests(&plan, &context.events)?;
    let policy = policy_for(&args.policy)?;
    let server = server_of(&plan)?.clone();
    plan.base = (!args.without_base).then(|| server.clone());
    let (slower, scale) = slower_plan(&plan, args)?;
    files::create_folder(&args.output)
        .map_err(|error| Failure::new(ExitStatus::EnvironmentFailed, error))?;
    let report = context.block_on(async |command| {
        let selftest = Selftest {
            policy: &policy,
            output: &args.output,
            command,
        };
        Box::pin(selftest.run(&plan, &slower, scale, args)).await
    })?;
    let json = serde_json::to_string_pretty(&report)?;
    let path = args.output.join("selftest.json");
    output::write(&path, Output::Json, &json)?;
    let (output, text) = match args.format {
        TextOrJson::Json => (Output::Json, json),
        TextOrJson::Text => (Output::Text, report_text(&report)),
    };
    output::print(output, &text)?;
    note(&format!("gates written to `{}`", path.display()));
    Ok(if report.is_within_promise() {
        ExitStatus::Pass
    } else {
        ExitStatus::Blocked
    })
}

/// The plan of the slower server, and the share of the slow-down that is applied by scaling measurements.
fn slower_plan(plan: &Plan, args: &SelftestArgs) -> Result<(Plan, Option<f64>), Failure> {
    let mut slower = plan.clone();
    let Some(words) = &args.slower_args else {
        if let Some(ServerPlan::Simulator(options)) = &mut slower.server {
            let known = options
                .get("slowdown")
                .and_then(|known| known.parse::<f64>().ok());
            let factor = known.unwrap_or(1.0) * (1.0 + args.slowdown);
            options.insert("slowdown".to_owned(), factor.to_string());
            return Ok((slower, None));
        }
        return Ok((slower, Some(args.slowdown)));
    };
    let words = words.split_whitespace().map(str::to_owned);
    match &mut slower.server {
        Some(ServerPlan::Docker(docker)) => docker.args.extend(words),
        Some(ServerPlan::Process(process)) => process.command.extend(words),
        Some(ServerPlan::Url(_) | ServerPlan::Simulator(_)) | None => {
            let message = "`--slower-args` needs a container or a process";
            return Err(Failure::usage(message)
                .hint("remove it: `--slowdown` slows the simulator, and scales the measurements of other servers"));
        }
    }
    Ok((slower, None))
}

struct Selftest<'a> {
    policy: &'a Policy,
    output: &'a Path,
    command: CommandContext<'a>,
}

impl Selftest<'_> {
    async fn run(
        &self,
        plan: &Plan,
        slower: &Plan,
        scale: Option<f64>,
        args: &SelftestArgs,
    ) -> Result<Report, Failure> {
        let mut accepted = vec![self.first_baseline(plan).await?];
        let mut gates = Vec::new();
        for number in 1..=args.gates {
            let name = format!("innocent-{number:02}");
            let (gate, candidate) = Box::pin(self.gate(plan, None, &accepted, &name)).await?;
            note(&format!(
                "equal-speed gate {number}/{}: {}",
                args.gates,
                gate.in_words()
            ));
            gates.push(gate);
            // Accepted as on the main branch, so that the gate uses the ledger as in practice.
            accepted.extend(candidate);
        }
        let mut slow_gates = Vec::new();
        let count = args.slow_gates.unwrap_or(args.gates);
        for number in 1..=count {
            let name = format!("slower-{number:02}");
            let (gate, _) = Box::pin(self.gate(slower, scale, &accepted, &name)).await?;
            note(&format!(
                "slower gate {number}/{count}: {}",
                gate.in_words()
            ));
            slow_gates.push(gate);
        }
        let slow_down = match (&args.slower_args, scale) {
            (Some(words), _) => format!("by its own arguments: {words}"),
            (None, Some(share)) => format!(
                "by {}, by scaling the measurements",
                crate::policy::percent(share)
            ),
            (None, None) => format!("by {}", crate::policy::percent(args.slowdown)),
        };
        // The effect of other arguments is unknown.
        let known = args.slower_args.is_none().then_some(args.slowdown);
        Ok(Report::of(
            self.policy,
            gates,
            slow_gates,
            &accepted,
            slow_down,
            known,
        ))
    }

    /// The baseline of the first gate.
    async fn first_baseline(&self, plan: &Plan) -> Result<Run, Failure> {
        let path = self.output.join("baseline.json");
        note("measuring the first baseline");
        let repeat_context = RepeatContext::of_plan(plan, &path, self.command)?;
        nothing_counts(&measure_all(repeat_context).await?)?;
        Ok(record::load(&path)?)
    }

    /// One complete gate in its own folder; also returns its candidate's repeats.
    async fn gate(
        &self,
        plan: &Plan,
        scale: Option<f64>,
        accepted: &[Run],
        name: &str,
    ) -> Result<(Gate, Option<Run>), Failure> {
        let folder = self.output.join(name);
        // A selftest must not reuse the evidence of an earlier one.
        let began = crate::clock::unix_time().as_millis();
        let evidence = EvidenceFolder::at(folder.join(format!("evidence-{began}")));
        let stored = accepted.last().map(|run| StoredBaseline {
            run: run.clone(),
            path: "the previously accepted run".to_owned(),
            ledger: accepted.to_vec(),
            ledger_path: None,
            release: None,
        });
        let find_stored = |_: &Run| Ok(stored.clone());
        let protocol = protocol(plan, self.policy);
        let gate = SequentialGate {
            plan,
            policy: self.policy,
            protocol: &protocol,
            evidence: &evidence,
            spending: None,
            find_stored: &find_stored,
            author: Author::default(),
            scale,
            base_plan: None,
            commits: Commits::default(),
            budget: None,
            logs: &folder,
            command: self.command,
        };
        files::create_folder(&folder)
            .map_err(|error| Failure::new(ExitStatus::EnvironmentFailed, error))?;
        let Decided {
            comparison,
            starts,
            price,
            ..
        } = gate.run().await?;
        let gate = Gate {
            verdict: comparison.verdict,
            exit_code: comparison.exit_code,
            starts,
            price: price.map(|price| price.evidence),
            headline: comparison.headline,
        };
        Ok((gate, evidence.candidate()?))
    }
}
