//! Whether the files of a gate are whole and fit together, and how to mend them where not.

use std::path::Path;

use super::hardware_name;
use super::place::Place;
use crate::files;
use crate::record::{self, LedgerLine, Run, is_same_run};

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, with the line where there is one.
    pub at: String,
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub mend: String,
}

/// Beginnings of the lines that a merge leaves where both sides changed the same place.
const CONFLICT: [&[u8]; 3] = [b"<<<<<<<", b"=======", b">>>>>>>"];

/// Looks at all files of a gate on one hardware. `hardware` is the name by which they are found.
pub fn verify(place: &Place, hardware: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let sessions = ledger(place, hardware, &mut found);
    let baseline = run(&place.baseline, &mut found);
    let release = run(&place.release, &mut found);
    let shown = |path: &Path| path.display().to_string();
    match (&baseline, sessions.last()) {
        (Some(baseline), Some((_, last))) if !is_same_run(&baseline.file, &last.file) => {
            found.push(Finding {
                at: shown(&place.baseline),
                what: format!(
                    "it is not the last session of `{}`: a promotion was interrupted, or one of the two was changed by hand",
                    shown(&place.ledger)
                ),
                mend: "promote the result again with `perfgate baseline update RESULT`, or take both files from one commit: `git checkout COMMIT -- FILES`".to_owned(),
            });
        }
        (None, Some(_)) if !place.baseline.is_file() => found.push(Finding {
            at: shown(&place.ledger),
            what: "the ledger has no baseline beside it".to_owned(),
            mend: format!(
                "promote its last result again with `perfgate baseline update RESULT`, or restore `{}` from git",
                shown(&place.baseline)
            ),
        }),
        _ => {}
    }
    if let Some(baseline) = &baseline {
        elsewhere(&shown(&place.baseline), baseline, hardware, &mut found);
    }
    if let Some(release) = &release
        && !sessions.is_empty()
        && !sessions
            .iter()
            .any(|(_, session)| is_same_run(&session.file, &release.file))
    {
        found.push(Finding {
            at: shown(&place.release),
            what: format!("it is no session of `{}`", shown(&place.ledger)),
            mend: "promote the release's result again with `perfgate baseline update RESULT --release TAG`".to_owned(),
        });
    }
    found
}

fn run(path: &Path, found: &mut Vec<Finding>) -> Option<Run> {
    if !path.is_file() {
        return None;
    }
    match record::load(path) {
        Ok(run) => Some(run),
        Err(error) => {
            found.push(Finding {
                at: path.display().to_string(),
                what: error.to_string(),
                mend: format!(
                    "take it from an earlier commit: `git log -- {0}`, then `git checkout COMMIT -- {0}`",
                    path.display()
                ),
            });
            None
        }
    }
}

/// The sessions that can be read, with their lines; everything that is wrong with the others, and with their order.
fn ledger(place: &Place, hardware: &str, found: &mut Vec<Finding>) -> Vec<(usize, Run)> {
    let path = place.ledger.display().to_string();
    if !place.ledger.is_file() {
        return Vec::new();
    }
    let text = match files::read(&place.ledger) {
        Ok(text) => text,
        Err(error) => {
            found.push(Finding {
                at: path,
                what: error.to_string(),
                mend: "make it readable for this user".to_owned(),
            });
            return Vec::new();
        }
    };
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    let mut sessions: Vec<(usize, Run)> = Vec::new();
    for LedgerLine { number, run } in record::ledger_lines(&path, &text) {
        let at = format!("{path}:{number}");
        match run {
            Ok(run) => {
                of_session(&at, &run, &sessions, &mut *found);
                elsewhere(&at, &run, hardware, found);
                sessions.push((number, run));
            }
            Err(error) => {
                let line = lines.get(number - 1).copied().unwrap_or_default();
                found.push(broken(&path, &at, number, line, &error.to_string()));
            }
        }
    }
    sessions
}

fn broken(path: &str, at: &str, number: usize, line: &[u8], error: &str) -> Finding {
    let delete = format!(
        "restore the file with `git checkout -- {path}`, or drop this line: `sed -i {number}d {path}`; the sessions before and after it stand by themselves"
    );
    if CONFLICT.iter().any(|mark| line.starts_with(mark)) {
        return Finding {
            at: at.to_owned(),
            what: "a mark of a merge that nobody finished".to_owned(),
            mend: format!(
                "keep the sessions of both sides and drop the marks: `sed -i -E '/^(<<<<<<<|=======|>>>>>>>)/d' {path}`; `*.ledger.jsonl merge=union` in .gitattributes does that by itself"
            ),
        };
    }
    let is_cut_off = !line.trim_ascii().ends_with(b"}");
    Finding {
        at: at.to_owned(),
        what: if is_cut_off {
            format!("the line is cut off: {error}")
        } else {
            error.to_owned()
        },
        mend: delete,
    }
}

fn of_session(at: &str, run: &Run, before: &[(usize, Run)], found: &mut Vec<Finding>) {
    let same = before
        .iter()
        .find(|(_, earlier)| is_same_run(&earlier.file, &run.file));
    if let Some((number, _)) = same {
        found.push(Finding {
            at: at.to_owned(),
            what: format!("it is the session of line {number} once more, and would count twice"),
            mend: "drop one of the two lines".to_owned(),
        });
    }
    let created = |run: &Run| run.file.created.clone();
    if let (Some(earlier), Some(now)) = (
        before.last().and_then(|(_, earlier)| created(earlier)),
        created(run),
    ) && now < earlier
    {
        found.push(Finding {
            at: at.to_owned(),
            what: format!("it was measured at {now}, before the session above it ({earlier})"),
            mend: "put the lines into the order in which they were measured".to_owned(),
        });
    }
    for scenario in &run.scenarios {
        if scenario.counting().next().is_none() {
            found.push(Finding {
                at: at.to_owned(),
                what: format!("no repeat of {} counts", scenario.name),
                mend: "drop the line: it says nothing".to_owned(),
            });
        }
    }
}

fn elsewhere(at: &str, run: &Run, hardware: &str, found: &mut Vec<Finding>) {
    // A file that was written by hand may say nothing of its machine.
    let Some(environment) = run.file.environment.as_ref() else {
        return;
    };
    let measured = hardware_name(Some(environment));
    if measured != hardware {
        found.push(Finding {
            at: at.to_owned(),
            what: format!(
                "it was measured on `{measured}`, and stands among those of `{hardware}`"
            ),
            mend: "move it to the files of its hardware".to_owned(),
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

    fn said(ledger: &str, baseline: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::of(folder.path(), "llama", "nvidia-l4");
        files::write_atomically(&place.ledger, ledger.as_bytes()).unwrap();
        if !baseline.is_empty() {
            files::write_atomically(&place.baseline, baseline.as_bytes()).unwrap();
        }
        let folder = format!("{}/llama/", folder.path().display());
        let lines = verify(&place, "nvidia-l4").into_iter().map(|finding| {
            format!("{}: {}\n  {}\n", finding.at, finding.what, finding.mend).replace(&folder, "")
        });
        lines.collect()
    }

    #[test]
    fn whole_files_have_nothing_wrong() {
        let (one, two) = (
            session("2026-01-01T00:00:00Z", 1),
            session("2026-01-02T00:00:00Z", 2),
        );
        assert_eq!(said(&format!("{one}\n{two}\n"), &two), "");
    }

    #[test]
    fn a_line_that_was_cut_off_is_found_and_the_others_are_looked_at() {
        let (one, two) = (
            session("2026-01-02T00:00:00Z", 1),
            session("2026-01-01T00:00:00Z", 2),
        );
        let cut = &one[..60];
        insta::assert_snapshot!(said(&format!("{one}\n{cut}\n{two}\n{one}\n"), &two), @"
        nvidia-l4.ledger.jsonl:2: the line is cut off: `nvidia-l4.ledger.jsonl, line 2` is no perfgate result: EOF while parsing a string at line 1 column 60
          restore the file with `git checkout -- nvidia-l4.ledger.jsonl`, or drop this line: `sed -i 2d nvidia-l4.ledger.jsonl`; the sessions before and after it stand by themselves
        nvidia-l4.ledger.jsonl:3: it was measured at 2026-01-01T00:00:00Z, before the session above it (2026-01-02T00:00:00Z)
          put the lines into the order in which they were measured
        nvidia-l4.ledger.jsonl:4: it is the session of line 1 once more, and would count twice
          drop one of the two lines
        nvidia-l4.json: it is not the last session of `nvidia-l4.ledger.jsonl`: a promotion was interrupted, or one of the two was changed by hand
          promote the result again with `perfgate baseline update RESULT`, or take both files from one commit: `git checkout COMMIT -- FILES`
        ");
    }

    #[test]
    fn marks_of_a_merge_another_machine_and_a_missing_baseline_are_found() {
        let one = session("2026-01-01T00:00:00Z", 1);
        let other = one.replace("NVIDIA L4", "NVIDIA A100");
        insta::assert_snapshot!(said(&format!("<<<<<<< HEAD\n{one}\n=======\n{other}\n>>>>>>> x\n"), ""), @"
        nvidia-l4.ledger.jsonl:1: a mark of a merge that nobody finished
          keep the sessions of both sides and drop the marks: `sed -i -E '/^(<<<<<<<|=======|>>>>>>>)/d' nvidia-l4.ledger.jsonl`; `*.ledger.jsonl merge=union` in .gitattributes does that by itself
        nvidia-l4.ledger.jsonl:3: a mark of a merge that nobody finished
          keep the sessions of both sides and drop the marks: `sed -i -E '/^(<<<<<<<|=======|>>>>>>>)/d' nvidia-l4.ledger.jsonl`; `*.ledger.jsonl merge=union` in .gitattributes does that by itself
        nvidia-l4.ledger.jsonl:4: it was measured on `nvidia-a100`, and stands among those of `nvidia-l4`
          move it to the files of its hardware
        nvidia-l4.ledger.jsonl:5: a mark of a merge that nobody finished
          keep the sessions of both sides and drop the marks: `sed -i -E '/^(<<<<<<<|=======|>>>>>>>)/d' nvidia-l4.ledger.jsonl`; `*.ledger.jsonl merge=union` in .gitattributes does that by itself
        nvidia-l4.ledger.jsonl: the ledger has no baseline beside it
          promote its last result again with `perfgate baseline update RESULT`, or restore `nvidia-l4.json` from git
        ");
    }
}
