//! Reads a comparison file that another program may have written, and rejects it where its parts contradict each other.

use super::outcome::decided;
use crate::report::comparison::{Comparison, Judgement, SCHEMA, Status, Verdict};
use crate::{json, limits};

/// The most contradictions that an error lists.
const MOST_TOLD: usize = 10;

/// Why a comparison file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ComparisonError {
    /// It is not valid JSON, or a required part is missing.
    #[error("is not a perfgate comparison: {0}")]
    Json(#[from] serde_json::Error),
    /// Another major version, or another format.
    #[error("has schema `{0}`; this version reads `{SCHEMA}`")]
    Schema(String),
    /// It contradicts itself.
    #[error("contradicts itself:\n  - {}", .0.join("\n  - "))]
    Contradiction(Vec<String>),
}

/// Reads a comparison of this version. Errors complete a sentence that begins with the file's name.
pub fn parse_comparison(text: &[u8]) -> Result<Comparison, ComparisonError> {
    let comparison: Comparison = json::parse(text)?;
    if comparison.schema != SCHEMA {
        return Err(ComparisonError::Schema(comparison.schema));
    }
    let mut problems = of_verdict(&comparison);
    let rows = comparison.judgements.iter();
    problems.extend(rows.filter_map(of_row).take(MOST_TOLD));
    if problems.is_empty() {
        Ok(comparison)
    } else {
        Err(ComparisonError::Contradiction(problems))
    }
}

/// Whether the verdict and its exit code follow from the rows.
fn of_verdict(comparison: &Comparison) -> Vec<String> {
    let mut problems = Vec::new();
    let Comparison {
        verdict, exit_code, ..
    } = comparison;
    let fitting: &[u8] = match verdict {
        Verdict::Pass | Verdict::Warn => &[0],
        Verdict::Block | Verdict::Report => &[1],
        Verdict::Inconclusive => &[0, 3],
        Verdict::Incomparable => &[4],
    };
    let verdict_word = word(*verdict);
    if !fitting.contains(exit_code) {
        problems.push(format!(
            "`verdict` is {verdict_word}, and `exit_code` is {exit_code}"
        ));
    }
    if let Some((follows, exit)) = decided(comparison) {
        if follows != *verdict {
            problems.push(format!(
                "`verdict` is {verdict_word}, but {} follows from its judgements and mismatches",
                word(follows)
            ));
        } else if exit.code() != *exit_code && problems.is_empty() {
            problems.push(format!(
                "`exit_code` is {exit_code}, but {} follows from its judgements and `on_inconclusive`",
                exit.code()
            ));
        }
    } else if comparison.judgements.iter().any(|row| row.change.is_some()) {
        // A first run has no baseline.
        problems
            .push("it is marked as a first run but contains changes against a baseline".to_owned());
    }
    problems
}

/// The verdict as the file contains it.
fn word(verdict: Verdict) -> String {
    match serde_json::to_value(verdict) {
        Ok(serde_json::Value::String(word)) => format!("`{word}`"),
        Ok(_) | Err(_) => format!("{verdict:?}"),
    }
}

/// The contradiction between a row's status and its numbers.
fn of_row(row: &Judgement) -> Option<String> {
    if row.scenario.len() > limits::NAME {
        return Some(format!(
            "a scenario has a name of {} bytes, and the limit is {}",
            row.scenario.len(),
            limits::NAME
        ));
    }
    let place = format!("`{}` at `{}`", row.metric, row.scenario);
    let change = row.change?;
    if !(change.low <= change.value && change.value <= change.high) {
        return Some(format!(
            "{place}: the change {} is not within its interval {} to {}",
            change.value, change.low, change.high
        ));
    }
    let limit = row.rule.regression?;
    let holds = matches!(row.status, Status::Pass | Status::Improved);
    (holds && change.low > limit).then(|| {
        format!(
            "{place}: `status` means that the rule holds, but the whole interval {} to {} is beyond its limit {limit}",
            change.low, change.high
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::rule::Policy;
    use super::super::{Labels, compare_runs};
    use super::*;
    use crate::record;

    fn run(tpot: f64) -> record::Run {
        let repeats = [1.0, 1.004, 0.996].map(|noise| {
            format!(
                r#"{{"metrics": {{"tpot.p95": {}, "throughput": 3000, "ttft.p95": 0.15, "gpu_memory.peak": 76e9}}}}"#,
                tpot * noise
            )
        });
        let json = format!(
            r#"{{"schema":"perfgate.result/1","scenarios":[{{"name":"c","repeats":[{}]}}]}}"#,
            repeats.join(",")
        );
        record::parse("a.json", json.as_bytes()).unwrap()
    }

    fn comparison(tpot: f64) -> Comparison {
        compare_runs(
            &Policy::standard(),
            &run(0.02),
            &run(tpot),
            Labels::default(),
        )
    }

    fn read(comparison: &Comparison) -> Result<Comparison, String> {
        parse_comparison(&serde_json::to_vec(comparison).unwrap())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_written_comparison_is_read_back() {
        for tpot in [0.0201, 0.0230, 0.0190, 0.0208, 0.001] {
            let comparison = comparison(tpot);
            assert_eq!(read(&comparison).unwrap(), comparison, "{tpot}");
        }
    }

    #[test]
    fn a_verdict_that_does_not_follow_is_refused() {
        let blocked = comparison(0.0230);
        assert_eq!(blocked.verdict, Verdict::Block);
        let error = |changed: Comparison| read(&changed).unwrap_err();
        insta::assert_snapshot!(error(Comparison { exit_code: 0, ..blocked.clone() }), @r"
        contradicts itself:
          - `verdict` is `block`, and `exit_code` is 0
        ");
        insta::assert_snapshot!(error(Comparison { verdict: Verdict::Pass, exit_code: 0, ..blocked.clone() }), @r"
        contradicts itself:
          - `verdict` is `pass`, but `block` follows from its judgements and mismatches
        ");
        let mut judged = blocked;
        judged.judgements[0].status = Status::Pass;
        judged.verdict = Verdict::Pass;
        judged.exit_code = 0;
        let error = read(&judged).unwrap_err();
        assert!(
            error.contains("`status` means that the rule holds"),
            "{error}"
        );
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused() {
        let text = serde_json::to_string(&comparison(0.0230)).unwrap();
        let twice = text.replacen('{', r#"{"exit_code": 0,"#, 1);
        let error = parse_comparison(twice.as_bytes()).unwrap_err().to_string();
        assert!(
            error.contains("duplicate key `exit_code` at line 1"),
            "{error}"
        );
    }
}
