//! The result of a search for the terminal, as Markdown and as JSON. Renderers decide nothing.

use super::number;
use super::terminal::wrapped;
use crate::bisect::{BisectOutcome, BisectReport, Commit, Role, Step, StepOutcome};
use crate::policy::{percent, signed_percent};
use crate::text::count::count;
use crate::text::number::hours;
use crate::text::sanitize;

/// `perfgate.bisect/1`, indented.
pub fn json(report: &BisectReport) -> String {
    crate::json::pretty(report)
}

/// For a terminal: the commit found, how much slower it is, and the cost of each step.
pub fn text(report: &BisectReport) -> String {
    let mut text = String::new();
    text.push_str(&wrapped(&headline(report, sanitize::line)));
    if let Some(commit) = &report.commit {
        text.push_str(&format!(
            "\n   commit   {}\n   author   {}\n   subject  {}\n",
            commit.id,
            sanitize::line(&commit.author),
            sanitize::line(&commit.subject)
        ));
    }
    for commit in &report.candidates {
        text.push_str(&format!(
            "   {}  {}\n",
            commit.short(),
            sanitize::line(&commit.subject)
        ));
    }
    text.push_str(
        "\n step       commit      answer           change (95 % interval)       starts      time\n",
    );
    for (number, step) in numbered(report) {
        let time = time(step);
        text.push_str(&format!(
            " {number:<10} {:<11} {:<16} {:<28} {:>6}  {time:>8}\n",
            step.commit.short(),
            step.answer.word(),
            changed(step),
            step.server_starts
        ));
    }
    text.push('\n');
    text.push_str(&wrapped(&cost(report)));
    text.push_str(&wrapped(&sureness(report)));
    text
}

/// For an issue or a pull request.
pub fn markdown(report: &BisectReport) -> String {
    let mut text = format!(
        "### perfgate bisect\n\n{}\n\n",
        headline(report, sanitize::markdown)
    );
    if let Some(commit) = &report.commit {
        text.push_str(&format!(
            "`{}` by {}: {}\n\n",
            commit.id,
            sanitize::markdown(&commit.author),
            sanitize::markdown(&commit.subject)
        ));
    }
    for Commit { id, subject, .. } in &report.candidates {
        text.push_str(&format!("- `{id}` {}\n", sanitize::markdown(subject)));
    }
    if !report.candidates.is_empty() {
        text.push('\n');
    }
    text.push_str("| step | commit | answer | change (95 % interval) | server starts | time |\n| --- | --- | --- | --- | ---: | ---: |\n");
    for (number, step) in numbered(report) {
        let time = time(step);
        text.push_str(&format!(
            "| {number} | `{}` {} | {} | {} | {} | {time} |\n",
            step.commit.short(),
            sanitize::markdown(&step.commit.subject),
            step.answer.word(),
            changed(step),
            step.server_starts
        ));
    }
    text.push_str(&format!("\n{}\n\n{}\n", cost(report), sureness(report)));
    text
}

/// Duration of a step; `kept` if its answer was stored before.
fn time(step: &Step) -> String {
    if step.reused {
        "kept".to_owned()
    } else {
        number::seconds(step.seconds)
    }
}

/// The result in one or two sentences.
fn headline(report: &BisectReport, safe: fn(&str) -> String) -> String {
    let Some(commit) = &report.commit else {
        return format!(
            "Some commits could not be judged, so one of {} {}; no commit is named:",
            count(report.candidates.len(), "commit"),
            if report.is_for_the_start() {
                "broke the server start"
            } else {
                "made serving slower"
            }
        );
    };
    let confirmation = report.confirmation();
    let against = safe(confirmation.map_or("its parent", |step| &step.against));
    let change = confirmation.and_then(|step| step.change.as_ref());
    let change = change.map(|change| {
        let [value, low, high] = [change.value, change.low, change.high].map(signed_percent);
        format!(
            ": {} ({}) {value}, 95 % interval {low} to {high} (plus is worse)",
            change.metric.label(),
            safe(&change.scenario)
        )
    });
    let change = change.unwrap_or_default();
    let (commit, merged) = (commit.short(), merged(report));
    match report.outcome {
        BisectOutcome::Found if does_not_serve(report) => format!(
            "{commit} broke the server start, confirmed against {against}: it does not serve, and its parent does.{merged}"
        ),
        BisectOutcome::Found => {
            format!("{commit} made serving slower, confirmed against {against}{change}.{merged}")
        }
        BisectOutcome::NotConfirmed | BisectOutcome::Several => {
            let outcome = match confirmation.map(|step| step.answer) {
                Some(StepOutcome::Good) => "not slower beyond a limit",
                answer => answer.unwrap_or(StepOutcome::Undecided).word(),
            };
            format!(
                "The search ended at {commit}, but the measurement against {against} does not confirm it ({outcome}){change}. No commit is named."
            )
        }
    }
}

/// Whether the server of the commit found does not start.
fn does_not_serve(report: &BisectReport) -> bool {
    let confirmation = report.confirmation();
    confirmation.is_some_and(|step| step.answer == StepOutcome::TargetFailed)
}

/// The note for a merge commit.
fn merged(report: &BisectReport) -> String {
    if !report.is_merge {
        return String::new();
    }
    match &report.parents[..] {
        [own, merged @ ..] if report.first_parent => {
            let commands: Vec<String> = merged
                .iter()
                .map(|merged| format!("`perfgate bisect start {own} {merged}`"))
                .collect();
            format!(
                " It is a merge, and the search followed only first parents: the guilty change is in a merged commit or in the merge itself. To search there, run `git bisect reset`, then {} with the same options.",
                commands.join(" or ")
            )
        }
        _ if does_not_serve(report) => {
            " It is a merge: each parent serves, and only their combination fails.".to_owned()
        }
        _ => " It is a merge: only the combination of its parents is slower.".to_owned(),
    }
}

/// Every step with its name.
fn numbered(report: &BisectReport) -> impl Iterator<Item = (String, &Step)> {
    let mut number = 0;
    report.steps.iter().map(move |step| {
        let name = match step.role {
            Role::GoodEnd => "good end".to_owned(),
            Role::BadEnd => "bad end".to_owned(),
            Role::Search => {
                number += 1;
                number.to_string()
            }
            Role::Confirmation => "confirm".to_owned(),
        };
        (name, step)
    })
}

fn changed(step: &Step) -> String {
    let Some(change) = &step.change else {
        return "not measured".to_owned();
    };
    let [value, low, high] = [change.value, change.low, change.high].map(signed_percent);
    format!("{value} ({low} to {high})")
}

fn cost(report: &BisectReport) -> String {
    let shown = report.steps.iter().find_map(|step| step.change.as_ref());
    let metric = shown.map_or("the change", |change| change.metric.label());
    let gpu_hours = report.cost.price.and_then(|price| price.gpu_hours());
    let gpu_hours = gpu_hours.map(|spent| format!(", {} GPU-hours", hours(spent)));
    format!(
        "Total cost: {}{} and {}. The change is that of the rule nearest to its limit ({metric}); plus is worse.",
        count(report.cost.server_starts, "server start"),
        gpu_hours.unwrap_or_default(),
        number::seconds(report.cost.seconds)
    )
}

fn sureness(report: &BisectReport) -> String {
    let sureness = report.sureness;
    let [each, whole, name] =
        [sureness.step_error, sureness.astray, sureness.wrong_name].map(percent);
    let steps = count(sureness.steps, "step");
    let per_step = format!("Error probability, at most: {each} for each of {steps}");
    match report.outcome {
        BisectOutcome::Found if does_not_serve(report) => {
            let starts = "A commit counts as not serving only after two failed starts.";
            if sureness.steps == 0 {
                starts.to_owned()
            } else {
                format!("{per_step} that measured. {starts}")
            }
        }
        BisectOutcome::Found => format!(
            "{per_step}, {whole} for the whole search, {name} for naming a commit without a relevant regression, because the confirmation uses new evidence."
        ),
        BisectOutcome::NotConfirmed | BisectOutcome::Several => {
            format!("{per_step}, {whole} for the whole search.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bisect::{Cost, SCHEMA, StepChange, Sureness};
    use crate::metric::Metric;
    use crate::report::price::Price;

    fn commit(digit: char, subject: &str) -> Commit {
        Commit {
            id: String::from(digit).repeat(40),
            author: "Ada <b>Author</b>".to_owned(),
            subject: subject.to_owned(),
        }
    }

    fn step(role: Role, commit: Commit, answer: StepOutcome, value: Option<f64>) -> Step {
        Step {
            role,
            commit,
            against: if role == Role::Confirmation {
                "its parent cccccccccc".to_owned()
            } else {
                "the good end aaaaaaaaaa".to_owned()
            },
            answer,
            reason: "because".to_owned(),
            change: value.map(|value| StepChange {
                metric: Metric::parse("tpot.p95").unwrap(),
                scenario: "concurrency=64".to_owned(),
                value,
                low: value - 0.011,
                high: value + 0.012,
                confidence: 0.95,
            }),
            seconds: 754.0,
            server_starts: if value.is_some() { 12 } else { 0 },
            price: value.map(|_| Price {
                starts: 12,
                gpus: 2,
                load: 740.0,
                ..Price::default()
            }),
            reused: false,
        }
    }

    fn report(outcome: BisectOutcome) -> BisectReport {
        let guilty = commit('d', "Fuse the sampler | `::error::x`");
        let mut steps = vec![
            step(
                Role::GoodEnd,
                commit('a', "Release 1.4"),
                StepOutcome::Good,
                Some(0.002),
            ),
            step(
                Role::BadEnd,
                commit('f', "Bump"),
                StepOutcome::Bad,
                Some(0.082),
            ),
            step(
                Role::Search,
                commit('b', "Tidy up"),
                StepOutcome::BuildFailed,
                None,
            ),
            step(
                Role::Search,
                commit('c', "Log less"),
                StepOutcome::Good,
                Some(-0.004),
            ),
            step(Role::Search, guilty.clone(), StepOutcome::Bad, Some(0.08)),
        ];
        steps[1].reused = true;
        let answer = if outcome == BisectOutcome::Found {
            (StepOutcome::Bad, 0.079)
        } else {
            (StepOutcome::Good, 0.021)
        };
        if outcome != BisectOutcome::Several {
            steps.push(step(
                Role::Confirmation,
                guilty.clone(),
                answer.0,
                Some(answer.1),
            ));
        }
        let several = outcome == BisectOutcome::Several;
        BisectReport {
            schema: SCHEMA.to_owned(),
            outcome,
            good: commit('a', "Release 1.4"),
            bad: commit('f', "Bump"),
            commit: (!several).then(|| guilty.clone()),
            is_merge: outcome == BisectOutcome::Found,
            parents: Vec::new(),
            first_parent: false,
            candidates: if several {
                vec![guilty, commit('b', "Tidy up")]
            } else {
                Vec::new()
            },
            cost: Cost::of(steps.iter()),
            sureness: Sureness::of(0.001, 2),
            steps,
        }
    }

    #[test]
    fn the_summary_names_the_commit_its_change_and_what_each_step_cost() {
        insta::assert_snapshot!("bisect_found", text(&report(BisectOutcome::Found)));
        insta::assert_snapshot!(
            "bisect_found_markdown",
            markdown(&report(BisectOutcome::Found))
        );
    }

    #[test]
    fn no_commit_is_named_without_a_confirmation() {
        insta::assert_snapshot!(
            "bisect_not_confirmed",
            text(&report(BisectOutcome::NotConfirmed))
        );
        insta::assert_snapshot!("bisect_several", text(&report(BisectOutcome::Several)));
        insta::assert_snapshot!(
            "bisect_several_markdown",
            markdown(&report(BisectOutcome::Several))
        );
    }

    #[test]
    fn the_note_for_a_merge_has_the_command_that_searches_its_other_side() {
        let mut report = report(BisectOutcome::Found);
        report.first_parent = true;
        report.parents = ["c", "e"].map(|digit| digit.repeat(40)).to_vec();
        let note = headline(&report, sanitize::line);
        let [own, merged] = ["c", "e"].map(|digit| digit.repeat(40));
        let command = format!("then `perfgate bisect start {own} {merged}` with the same options.");
        assert!(note.ends_with(&command), "{note}");
        assert!(
            note.contains("the guilty change is in a merged commit"),
            "{note}"
        );
    }

    #[test]
    fn a_commit_that_broke_the_start_is_named_without_a_change_of_speed() {
        let mut report = report(BisectOutcome::Found);
        for step in &mut report.steps {
            if step.answer == StepOutcome::Bad {
                step.answer = StepOutcome::TargetFailed;
                step.change = None;
            }
        }
        insta::assert_snapshot!(headline(&report, sanitize::line), @"dddddddddd broke the server start, confirmed against its parent cccccccccc: it does not serve, and its parent does. It is a merge: each parent serves, and only their combination fails.");
        insta::assert_snapshot!(sureness(&report), @"Error probability, at most: 0.1 % for each of 2 steps that measured. A commit counts as not serving only after two failed starts.");
    }

    #[test]
    fn a_written_report_is_read_back() {
        let report = report(BisectOutcome::Found);
        let back: BisectReport = serde_json::from_str(&json(&report)).unwrap();
        assert_eq!(back, report);
    }
}
