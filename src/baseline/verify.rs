//! Checks that the files of a gate are complete and consistent, and proposes fixes.

use std::collections::HashMap;

use super::place::{Backend, BaselineError, Part, Place};
use super::{fix, hardware_name};
use crate::record::{self, Content, LedgerLine, RecordError, Run, is_measured_before, is_same_run};

/// A problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, with the line if known.
    pub at: String,
    /// What is wrong.
    pub what: String,
    /// How to fix it.
    pub fix: String,
}

/// Beginnings of git's conflict marker lines.
const CONFLICT: [&[u8]; 4] = [b"<<<<<<<", b"|||||||", b"=======", b">>>>>>>"];

/// Checks all files of a gate on one hardware. `hardware` is the name in their paths. An error if they cannot be
/// checked.
pub fn verify(place: &Place, hardware: &str) -> Result<Vec<Finding>, BaselineError> {
    let mut found = Vec::new();
    let ledger = ledger(place, hardware, &mut found)?;
    let sessions = ledger.as_deref().unwrap_or_default();
    let baseline = run(place, Part::Baseline, &mut found)?;
    let release = run(place, Part::Release, &mut found)?;
    let shown = |part| place.shown(part);
    match (&baseline, sessions.last()) {
        (Some(baseline), Some((_, last))) if !is_same_run(&baseline.file, &last.file) => {
            let other_way = match place.backend {
                Backend::Folder(_) => fix::both_of_one_commit(place),
                Backend::Bucket(_) => {
                    "wait for the next promotion, which writes a new baseline".to_owned()
                }
            };
            found.push(Finding {
                at: shown(Part::Baseline),
                what: format!(
                    "it differs from the last session of `{}`: a promotion was interrupted, or one of the files was edited",
                    shown(Part::Ledger)
                ),
                fix: format!("{}, or {other_way}", fix::promote_again(last)),
            });
        }
        (None, Some((_, last))) if place.bytes(Part::Baseline)?.is_none() => found.push(Finding {
            at: shown(Part::Ledger),
            what: "the baseline of this ledger is missing".to_owned(),
            fix: format!(
                "{}, or {}",
                fix::promote_again(last),
                fix::restore(place, Part::Baseline)
            ),
        }),
        // A baseline written by hand has no ledger until the first promotion.
        (Some(baseline), None) if ledger.is_none() && baseline.file.promotion.is_some() => {
            found.push(Finding {
                at: shown(Part::Ledger),
                what: "it is missing, although the baseline was accepted as one of its sessions"
                    .to_owned(),
                fix: fix::begin_anew(place),
            });
        }
        _ => {}
    }
    if let Some(baseline) = &baseline {
        elsewhere(&shown(Part::Baseline), baseline, hardware, &mut found);
    }
    if let Some(release) = &release
        && !sessions.is_empty()
        && !sessions
            .iter()
            .any(|(_, session)| is_same_run(&session.file, &release.file))
    {
        found.push(Finding {
            at: shown(Part::Release),
            what: format!("it is not a session of `{}`", shown(Part::Ledger)),
            fix: "promote the release's result again with `perfgate baseline update RESULT --release TAG`".to_owned(),
        });
    }
    Ok(found)
}

fn run(place: &Place, part: Part, found: &mut Vec<Finding>) -> Result<Option<Run>, BaselineError> {
    match place.run(part) {
        Ok(run) => Ok(run),
        // Broken or unreadable; the other files are still checked.
        Err(error @ (BaselineError::Record(_) | BaselineError::File(_))) => {
            found.push(Finding {
                at: place.shown(part),
                what: error.to_string(),
                fix: fix::restore(place, part),
            });
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Checks every line and the order of the lines. The readable sessions with their lines; `None` without a ledger.
fn ledger(
    place: &Place,
    hardware: &str,
    found: &mut Vec<Finding>,
) -> Result<Option<Vec<(usize, Run)>>, BaselineError> {
    let path = place.shown(Part::Ledger);
    let mut sessions: Vec<(usize, Run)> = Vec::new();
    let text = match place.bytes(Part::Ledger) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(None),
        Err(BaselineError::File(error)) => {
            found.push(Finding {
                at: path,
                what: error.to_string(),
                fix: "make it readable for this user".to_owned(),
            });
            return Ok(Some(sessions));
        }
        Err(error) => return Err(error),
    };
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    let parsed: Vec<LedgerLine> = record::ledger_lines(&path, &text).collect();
    if parsed.is_empty() {
        found.push(Finding {
            at: path.clone(),
            what: "it is empty".to_owned(),
            fix: format!(
                "{}, or {}; if that fails, remove it with {} and begin a new one: `perfgate baseline update RESULT --because TEXT`",
                fix::restore_ledger(place),
                fix::restore(place, Part::Ledger),
                fix::remove_ledger(place)
            ),
        });
    }
    let newest = newest(&parsed).cloned();
    let mut contents: HashMap<Content, usize> = HashMap::new();
    // The number of each line that is not a session, and its finding.
    let mut broken: Vec<(usize, usize)> = Vec::new();
    for LedgerLine { number, run } in parsed {
        let at = format!("{path}:{number}");
        match run {
            Ok(run) => {
                let content = Content::of(&run.file);
                of_session(&at, &run, contents.get(&content).copied(), found);
                contents.entry(content).or_insert(number);
                if let Some(newest) = &newest {
                    out_of_order(&at, &run, &sessions, newest, found);
                }
                elsewhere(&at, &run, hardware, found);
                sessions.push((number, run));
            }
            Err(error) => {
                broken.push((number, found.len()));
                let line = lines.get(number - 1).copied().unwrap_or_default();
                found.push(Finding {
                    at,
                    what: what_is_broken(line, &error),
                    fix: String::new(),
                });
            }
        }
    }
    let numbers: Vec<usize> = broken.iter().map(|(number, _)| *number).collect();
    for (number, finding) in &broken {
        found[*finding].fix = match numbers.first() {
            Some(first) if first != number => {
                format!("the command at line {first} also deletes this line")
            }
            Some(_) | None => of_broken(place, &numbers),
        };
    }
    Ok(Some(sessions))
}

/// Shown once, because line numbers change after a deletion.
fn of_broken(place: &Place, numbers: &[usize]) -> String {
    format!(
        "{}, or delete the invalid lines with one command: {}; the other sessions do not depend on them",
        fix::restore_ledger(place),
        fix::drop_lines(place, numbers)
    )
}

/// The session that was measured last.
fn newest(lines: &[LedgerLine]) -> Option<&Run> {
    let sessions = lines.iter().filter_map(|line| line.run.as_ref().ok());
    sessions.reduce(|newest, session| {
        if is_measured_before(&newest.file, &session.file) {
            session
        } else {
            newest
        }
    })
}

fn what_is_broken(line: &[u8], error: &RecordError) -> String {
    if CONFLICT.iter().any(|mark| line.starts_with(mark)) {
        "a conflict marker of an unfinished merge (with `*.ledger.jsonl merge=union` in .gitattributes git keeps both sides)".to_owned()
    } else if matches!(error, RecordError::Json { source, .. } if source.is_eof()) {
        format!("the line is truncated: {error}")
    } else {
        error.to_string()
    }
}

/// `same` is the line that already contains the session.
fn of_session(at: &str, run: &Run, same: Option<usize>, found: &mut Vec<Finding>) {
    if let Some(number) = same {
        found.push(Finding {
            at: at.to_owned(),
            what: format!("it duplicates the session of line {number}, which would count twice"),
            fix: "delete one of the two lines".to_owned(),
        });
    }
    for scenario in &run.scenarios {
        if scenario.counting().next().is_none() {
            found.push(Finding {
                at: at.to_owned(),
                what: format!("all repeats of {} are void", scenario.name),
                fix: "delete the line: it contains no evidence".to_owned(),
            });
        }
    }
}

fn out_of_order(
    at: &str,
    run: &Run,
    before: &[(usize, Run)],
    newest: &Run,
    found: &mut Vec<Finding>,
) {
    let promotion = run.file.promotion.as_ref();
    // It was accepted with a reason.
    let is_accepted = promotion.is_some_and(|promotion| promotion.older);
    let Some((_, earlier)) = before.last().filter(|_| !is_accepted) else {
        return;
    };
    if is_measured_before(&run.file, &earlier.file) {
        let created = |run: &Run| run.file.created.clone().unwrap_or_default();
        found.push(Finding {
            at: at.to_owned(),
            what: format!(
                "it was measured at {}, before the session above it ({})",
                created(run),
                created(earlier)
            ),
            fix: format!(
                "sort the lines by time of measurement; then {}, if it is not the baseline",
                fix::promote_again(newest)
            ),
        });
    }
}

fn elsewhere(at: &str, run: &Run, hardware: &str, found: &mut Vec<Finding>) {
    // A file written by hand may have no machine.
    let Some(environment) = run.file.environment.as_ref() else {
        return;
    };
    let measured = hardware_name(Some(environment));
    if measured != hardware {
        found.push(Finding {
            at: at.to_owned(),
            what: format!("it was measured on `{measured}`, but is stored for `{hardware}`"),
            fix: "move it to the files of its hardware".to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(created: &str, qps: u32) -> String {
        format!(
            r#"{{"schema":"perfgate.result/1","created":"{created}","environment":{{"gpus":[{{"name":"NVIDIA L4"}}]}},"scenarios":[{{"name":"c","repeats":[{{"metrics":{{"qps":{qps}}}}}]}}]}}"#
        )
    }

    fn message(ledger: &str, baseline: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::of(folder.path(), "llama", "nvidia-l4");
        let write = |part, text: &str| {
            crate::files::write_atomically(&place.file(part).unwrap(), text.as_bytes()).unwrap();
        };
        write(Part::Ledger, ledger);
        if !baseline.is_empty() {
            write(Part::Baseline, baseline);
        }
        let folder = format!("{}/llama/", folder.path().display());
        let lines = verify(&place, "nvidia-l4")
            .unwrap()
            .into_iter()
            .map(|finding| {
                format!("{}: {}\n  {}\n", finding.at, finding.what, finding.fix)
                    .replace(&folder, "")
            });
        lines.collect()
    }

    #[test]
    fn complete_files_have_no_findings() {
        let (one, two) = (
            session("2026-01-01T00:00:00Z", 1),
            session("2026-01-02T00:00:00Z", 2),
        );
        assert_eq!(message(&format!("{one}\n{two}\n"), &two), "");
    }

    #[test]
    fn a_truncated_line_is_found_and_the_others_are_checked() {
        let (one, two) = (
            session("2026-01-02T00:00:00Z", 1),
            session("2026-01-01T00:00:00Z", 2),
        );
        let cut = &one[..60];
        insta::assert_snapshot!(message(&format!("{one}\n{cut}\n{two}\n{one}\n"), &two), @"
        nvidia-l4.ledger.jsonl:2: the line is truncated: `nvidia-l4.ledger.jsonl, line 2` is not valid JSON: EOF while parsing a string at line 1 column 60
          restore the file with `git checkout -- 'nvidia-l4.ledger.jsonl'`, or delete the invalid lines with one command: `sed -i '2d' 'nvidia-l4.ledger.jsonl'`; the other sessions do not depend on them
        nvidia-l4.ledger.jsonl:3: it was measured at 2026-01-01T00:00:00Z, before the session above it (2026-01-02T00:00:00Z)
          sort the lines by time of measurement; then promote the result of 2026-01-02T00:00:00Z again with `perfgate baseline update RESULT`, if it is not the baseline
        nvidia-l4.ledger.jsonl:4: it duplicates the session of line 1, which would count twice
          delete one of the two lines
        nvidia-l4.json: it differs from the last session of `nvidia-l4.ledger.jsonl`: a promotion was interrupted, or one of the files was edited
          promote the result of 2026-01-02T00:00:00Z again with `perfgate baseline update RESULT`, or restore both files from one commit: `git checkout COMMIT -- 'nvidia-l4.json' 'nvidia-l4.ledger.jsonl'`
        ");
    }

    #[test]
    fn only_json_that_ends_early_is_truncated() {
        let one = session("2026-01-01T00:00:00Z", 1);
        let found = message(&format!("nonsense\n{{}}\n{one}\n"), &one);
        assert!(
            found.contains("jsonl:1: `nvidia-l4.ledger.jsonl, line 1` is not valid JSON: expected")
                && found.contains("line 2` is not a perfgate result: missing field")
                && !found.contains("truncated"),
            "{found}"
        );
    }

    #[test]
    fn conflict_markers_another_machine_and_a_missing_baseline_are_found() {
        let one = session("2026-01-01T00:00:00Z", 1);
        let other = one.replace("NVIDIA L4", "NVIDIA A100");
        insta::assert_snapshot!(message(&format!("<<<<<<< HEAD\n{one}\n=======\n{other}\n>>>>>>> x\n"), ""), @"
        nvidia-l4.ledger.jsonl:1: a conflict marker of an unfinished merge (with `*.ledger.jsonl merge=union` in .gitattributes git keeps both sides)
          restore the file with `git checkout -- 'nvidia-l4.ledger.jsonl'`, or delete the invalid lines with one command: `sed -i '1d;3d;5d' 'nvidia-l4.ledger.jsonl'`; the other sessions do not depend on them
        nvidia-l4.ledger.jsonl:3: a conflict marker of an unfinished merge (with `*.ledger.jsonl merge=union` in .gitattributes git keeps both sides)
          the command at line 1 also deletes this line
        nvidia-l4.ledger.jsonl:4: it was measured on `nvidia-a100`, but is stored for `nvidia-l4`
          move it to the files of its hardware
        nvidia-l4.ledger.jsonl:5: a conflict marker of an unfinished merge (with `*.ledger.jsonl merge=union` in .gitattributes git keeps both sides)
          the command at line 1 also deletes this line
        nvidia-l4.ledger.jsonl: the baseline of this ledger is missing
          promote the result of 2026-01-01T00:00:00Z again with `perfgate baseline update RESULT`, or restore it from an earlier commit: `git log -- 'nvidia-l4.json'`, then `git checkout COMMIT -- 'nvidia-l4.json'`
        ");
    }
}
