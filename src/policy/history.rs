//! The judged metrics in the accepted sessions, for the history chart.

use crate::metric::{Better, Metric};
use crate::record::Run;
use crate::report::comparison::{History, Judgement, Session};
use crate::stats;

/// The most sessions of a chart; the last ones are shown.
const SESSIONS: usize = 30;

/// One per judgement for which an accepted session has a value.
pub(super) fn history<'a>(
    rows: impl Iterator<Item = &'a Judgement>,
    ledger: &[&Run],
) -> Vec<History> {
    rows.filter_map(|row| of_row(row, ledger)).collect()
}

fn of_row(row: &Judgement, ledger: &[&Run]) -> Option<History> {
    let all: Vec<Session> = ledger
        .iter()
        .filter_map(|run| session(run, &row.scenario, row.metric))
        .collect();
    let left_out = all.len().saturating_sub(SESSIONS);
    let mut sessions: Vec<Session> = all.into_iter().skip(left_out).collect();
    mark_steps(&mut sessions);
    (!sessions.is_empty()).then(|| History {
        scenario: row.scenario.clone(),
        metric: row.metric,
        unit: row.unit,
        sessions,
        baseline: row.baseline.value,
        candidate: row.candidate.value,
        limit: limit(row),
    })
}

fn session(run: &Run, scenario: &str, metric: Metric) -> Option<Session> {
    let source = run.file.source.as_ref();
    Some(Session {
        created: run.file.created.clone(),
        commit: source.and_then(|source| source.commit.clone()),
        value: stats::median(&run.scenario(scenario)?.values(metric))?,
        begins_segment: begins_segment(run),
        is_step: false,
    })
}

/// Marks steps in the level of the sessions that no accepted reason explains.
fn mark_steps(sessions: &mut [Session]) {
    let values: Vec<f64> = sessions.iter().map(|session| session.value).collect();
    for found in stats::level_steps(&values) {
        let near = found.at.saturating_sub(1)..(found.at + 2).min(sessions.len());
        let has_reason = sessions[near]
            .iter()
            .any(|session| session.begins_segment.is_some());
        sessions[found.at].is_step = !has_reason;
    }
}

/// The reason given for a new segment.
fn begins_segment(run: &Run) -> Option<String> {
    let promotion = run.file.promotion.as_ref()?;
    let because = promotion.because.as_deref().unwrap_or("no reason given");
    promotion.new_segment.then(|| because.to_owned())
}

/// The value at the rule's limit: computed from the baseline for a relative limit, else the budget.
fn limit(row: &Judgement) -> Option<f64> {
    let from_change =
        row.rule
            .regression
            .zip(row.baseline.value)
            .map(|(limit, baseline)| match row.better {
                Better::Higher => baseline * (1.0 - limit),
                Better::Lower | Better::Neither => baseline * (1.0 + limit),
            });
    from_change.or(row.rule.max).or(row.rule.min)
}

#[cfg(test)]
mod tests {
    use super::super::look::{Labels, ThisLook};
    use super::super::rule::Policy;
    use super::super::verdict::compare_evidence;
    use super::*;
    use crate::compare::ComparisonInputs;

    fn run(throughput: f64, created: &str, void: f64) -> Run {
        let json = format!(
            r#"{{"schema":"perfgate.result/1","created":"{created}","source":{{"commit":"c{created}"}},
                "workload":{{"digest":"sha256:a"}},"environment":{{"gpus":[{{"name":"H100"}}]}},
                "scenarios":[{{"name":"c","repeats":[{{"metrics":{{"throughput":{throughput}}}}},
                {{"metrics":{{"throughput":{void}}},"void":"throttled"}}]}}]}}"#
        );
        crate::record::parse("a.json", json.as_bytes()).unwrap()
    }

    #[test]
    fn the_last_sessions_are_shown_with_both_runs_and_the_limit() {
        let ledger: Vec<Run> = (0..40_u32)
            .map(|day| run(3000.0 + f64::from(day), &format!("{day}"), 1.0))
            .collect();
        let (baseline, candidate) = (run(3000.0, "x", 1.0), run(2700.0, "y", 1.0));
        let given = ComparisonInputs {
            stored: Some((&baseline, &candidate)),
            ledger: &ledger,
            ..ComparisonInputs::default()
        };
        let comparison = compare_evidence(
            &Policy::standard(),
            &given,
            Labels::default(),
            ThisLook::ONLY,
        );
        let throughput = &comparison.history[0];
        assert_eq!(comparison.history.len(), 1);
        assert_eq!(throughput.sessions.len(), SESSIONS);
        let first = &throughput.sessions[0];
        assert_eq!(
            (first.value, first.commit.as_deref()),
            (3010.0, Some("c10"))
        );
        let limit = throughput.limit.unwrap();
        assert!((limit - 2850.0).abs() < 1e-6, "{limit}");
        assert!((throughput.candidate.unwrap() - 2700.0).abs() < 1e-6);
    }

    #[test]
    fn a_step_without_a_reason_is_found_and_one_with_a_reason_is_not_found_again() {
        let sessions = |accepted: bool| -> Vec<Session> {
            let of = |place: usize| Session {
                created: None,
                commit: None,
                value: if place < 10 { 0.02 } else { 0.022 }
                    * [1.0, 1.003, 0.998, 1.001][place % 4],
                begins_segment: (accepted && place == 10).then(|| "new sampler".to_owned()),
                is_step: false,
            };
            let mut sessions: Vec<Session> = (0..20).map(of).collect();
            mark_steps(&mut sessions);
            sessions
        };
        let steps = |sessions: &[Session]| -> Vec<usize> {
            let all = sessions.iter().enumerate();
            all.filter(|(_, session)| session.is_step)
                .map(|(place, _)| place)
                .collect()
        };
        assert_eq!(steps(&sessions(false)), [10]);
        assert_eq!(steps(&sessions(true)), [0_usize; 0]);
    }

    #[test]
    fn an_accepted_step_has_its_reason() {
        let json = r#"{"schema":"perfgate.result/1","scenarios":[{"name":"c","repeats":[{"metrics":{"throughput":1}}]}],
            "promotion":{"promoted":"2026-01-01T00:00:00Z","because":"new sampler","new_segment":true}}"#;
        let run = crate::record::parse("a.json", json.as_bytes()).unwrap();
        let throughput = Metric::parse("throughput").unwrap();
        let session = session(&run, "c", throughput).unwrap();
        assert_eq!(session.begins_segment.as_deref(), Some("new sampler"));
    }

    #[test]
    fn without_a_ledger_there_is_no_history() {
        let run = run(3000.0, "x", 1.0);
        let rows = compare_evidence(
            &Policy::standard(),
            &ComparisonInputs {
                stored: Some((&run, &run)),
                ..ComparisonInputs::default()
            },
            Labels::default(),
            ThisLook::ONLY,
        );
        assert_eq!(rows.history, []);
    }
}
