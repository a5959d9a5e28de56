//! `perfgate baseline history`: the accepted runs over time.

use super::super::Context;
use super::Opened;
use crate::app::output::print;
use crate::cli::baseline::{HistoryArgs, HistoryFormat};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::history::{self, Labels, all_series};
use crate::inputs::policy::policy_for;
use crate::metric::{ALWAYS_SHOWN, Better, Metric};
use crate::policy::rule::Policy;
use crate::record::Run;
use crate::render;
use crate::terminal::Output;

pub(super) fn run(args: &HistoryArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let policy = policy_for(&args.policy)?;
    let metrics = metrics(args, &policy)?;
    let opened = Opened::of(&args.which.storage, context)?;
    let chosen = opened.chosen(&args.which)?;
    let stored_runs = chosen.place.read()?;
    opened.warn_of_copies();
    let sessions = stored_runs.sessions();
    let mut series = all_series(sessions, &metrics);
    if let Some(scenario) = &args.scenario {
        series.retain(|series| series.scenario == *scenario);
    }
    if series.is_empty() {
        return Err(nothing(args, sessions));
    }
    let labels = Labels {
        name: &chosen.name,
        hardware: &chosen.hardware,
    };
    let pretty = |value: &serde_json::Value| format!("{value:#}\n");
    let chart = |better| pretty(&history::github_action_benchmark(labels, &series, better));
    let (output, text) = match args.format {
        HistoryFormat::Text => (
            context.output(),
            render::history::text(labels, sessions, &series, context.screen.color),
        ),
        HistoryFormat::Json => (Output::Json, serde_json::to_string_pretty(&series)?),
        HistoryFormat::Csv => (Output::Text, history::csv(labels, &series)),
        HistoryFormat::Jsonl => (Output::Json, history::json_lines(labels, &series)?),
        HistoryFormat::Prometheus => (Output::Text, history::prometheus(labels, &series)),
        HistoryFormat::Bencher => (Output::Json, pretty(&history::bencher(labels, &series))),
        HistoryFormat::GithubSmallerIsBetter => (Output::Json, chart(Better::Lower)),
        HistoryFormat::GithubBiggerIsBetter => (Output::Json, chart(Better::Higher)),
    };
    print(output, &text)?;
    Ok(ExitStatus::Pass)
}

/// The requested metrics; by default those of the rules and of every report.
fn metrics(args: &HistoryArgs, policy: &Policy) -> Result<Vec<Metric>, Failure> {
    let parse =
        |id: &String| Metric::parse(id).map_err(|error| Failure::new(ExitStatus::Usage, error));
    if !args.metrics.is_empty() {
        return args.metrics.iter().map(parse).collect();
    }
    let of_rules = policy
        .rules
        .iter()
        .chain(policy.scenarios.values().flatten())
        .map(|rule| rule.metric);
    let mut metrics: Vec<Metric> = Vec::new();
    for metric in of_rules.chain(ALWAYS_SHOWN) {
        if !metrics.contains(&metric) {
            metrics.push(metric);
        }
    }
    Ok(metrics)
}

fn nothing(args: &HistoryArgs, sessions: &[Run]) -> Failure {
    let mut scenarios: Vec<&str> = sessions
        .iter()
        .flat_map(|session| &session.scenarios)
        .map(|scenario| scenario.name.as_str())
        .collect();
    scenarios.sort_unstable();
    scenarios.dedup();
    let what = match &args.scenario {
        Some(scenario) => {
            format!("no session has values of these metrics in scenario `{scenario}`")
        }
        None => "no session has values of these metrics".to_owned(),
    };
    Failure::usage(what).hint(format!("the scenarios are: {}", scenarios.join(", ")))
}
