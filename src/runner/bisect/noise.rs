//! Splits an earlier result of the good end into sessions to estimate the noise between starts.

use std::path::Path;

use crate::failure::Failure;
use crate::record::{self, Run};

/// Starts per session: a few consecutive ones, so that a slow drift of the machine does not count as noise.
const SESSION: usize = 3;

/// The runs of a ledger, or the sessions of the result.
pub(crate) fn sessions_of(run: &Run, ledger: Option<&Path>) -> Result<Vec<Run>, Failure> {
    match ledger {
        Some(path) => Ok(record::load_ledger(path)?),
        None => Ok(in_sessions(run)),
    }
}

/// The valid repeats in groups of three. The rest is another session if it has at least two.
pub(crate) fn in_sessions(run: &Run) -> Vec<Run> {
    let counting: Vec<usize> = run.scenarios.first().map_or_else(Vec::new, |first| {
        let repeats = first.repeats.iter().enumerate();
        repeats
            .filter(|(_, repeat)| repeat.void.is_none())
            .map(|(index, _)| index)
            .collect()
    });
    let sessions = counting.chunks(SESSION).filter(|session| session.len() > 1);
    sessions.map(|session| only(run, session)).collect()
}

/// The same run with only these repeats.
fn only(run: &Run, wanted: &[usize]) -> Run {
    let mut session = run.clone();
    for scenario in &mut session.scenarios {
        scenario.repeats = chosen(&scenario.repeats, wanted);
    }
    for scenario in &mut session.file.scenarios {
        scenario.repeats = chosen(&scenario.repeats, wanted);
    }
    session
}

fn chosen<T: Clone>(all: &[T], wanted: &[usize]) -> Vec<T> {
    wanted
        .iter()
        .filter_map(|index| all.get(*index).cloned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_starts_with_one_void_are_two_sessions() {
        let repeat = |value: u32| {
            let void = if value == 2 { r#","void":"busy""# } else { "" };
            format!(r#"{{"metrics":{{"tpot.p50":0.0{value}}}{void}}}"#)
        };
        let repeats: Vec<String> = (1..9).map(repeat).collect();
        let json = format!(
            r#"{{"schema":"perfgate.result/1","scenarios":[{{"name":"c","repeats":[{}]}}]}}"#,
            repeats.join(",")
        );
        let run = record::parse("a.json", json.as_bytes()).unwrap();
        let sessions = in_sessions(&run);
        let counts: Vec<u32> = sessions.iter().map(Run::counting_repeats).collect();
        assert_eq!(counts, [3, 3]);
    }
}
