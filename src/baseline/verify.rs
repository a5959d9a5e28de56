//! Whether the files of a gate are whole and fit together, and how to mend them where not.

use super::hardware_name;
use super::location::Cloud;
use super::place::{BaselineError, Part, Place, Within};
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

/// Looks at all files of a gate on one hardware. `hardware` is the name by which they are found. An error where they cannot
/// be looked at.
pub fn verify(place: &Place, hardware: &str) -> Result<Vec<Finding>, BaselineError> {
    let mut found = Vec::new();
    let sessions = ledger(place, hardware, &mut found)?;
    let baseline = run(place, Part::Baseline, &mut found)?;
    let release = run(place, Part::Release, &mut found)?;
    let shown = |part| place.shown(part);
    match (&baseline, sessions.last()) {
        (Some(baseline), Some((_, last))) if !is_same_run(&baseline.file, &last.file) => {
            let other_way = match place.within {
                Within::Folder(_) => {
                    "take both files from one commit: `git checkout COMMIT -- FILES`"
                }
                Within::Bucket(_) => "let the next promotion bring its own baseline",
            };
            found.push(Finding {
                at: shown(Part::Baseline),
                what: format!(
                    "it is not the last session of `{}`: a promotion was interrupted, or one of the two was changed by hand",
                    shown(Part::Ledger)
                ),
                mend: format!("promote the result again with `perfgate baseline update RESULT`, or {other_way}"),
            });
        }
        (None, Some(_)) if place.bytes(Part::Baseline)?.is_none() => found.push(Finding {
            at: shown(Part::Ledger),
            what: "the ledger has no baseline beside it".to_owned(),
            mend: format!(
                "promote its last result again with `perfgate baseline update RESULT`, or {}",
                restore(place, Part::Baseline)
            ),
        }),
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
            what: format!("it is no session of `{}`", shown(Part::Ledger)),
            mend: "promote the release's result again with `perfgate baseline update RESULT --release TAG`".to_owned(),
        });
    }
    Ok(found)
}

/// How a file that is gone or broken comes back.
fn restore(place: &Place, part: Part) -> String {
    let file = place.shown(part);
    match (&place.within, part) {
        (Within::Folder(_), Part::Ledger) => {
            format!("restore the file with `git checkout -- {file}`")
        }
        (Within::Folder(_), Part::Baseline | Part::Release) => format!(
            "take it from an earlier commit: `git log -- {file}`, then `git checkout COMMIT -- {file}`"
        ),
        (Within::Bucket(_), _) => {
            format!("restore an earlier version of `{file}`, where the bucket keeps versions")
        }
    }
}

/// A command that edits a file where it stands, given what edits the file of that name here.
fn edited(place: &Place, edit: &str) -> String {
    let file = place.shown(Part::Ledger);
    let here = "ledger.jsonl";
    let bucket = match &place.within {
        Within::Folder(_) => return format!("`{edit} {file}`"),
        Within::Bucket(bucket) => bucket.address(),
    };
    match bucket.cloud {
        Cloud::S3 => {
            format!("`aws s3 cp {file} {here} && {edit} {here} && aws s3 cp {here} {file}`")
        }
        Cloud::Google => format!(
            "`gcloud storage cp {file} {here} && {edit} {here} && gcloud storage cp {here} {file}`"
        ),
        Cloud::Azure => {
            let blob = format!(
                "--container-name {} --name {} --file {here}",
                bucket.bucket,
                [bucket.prefix.as_str(), &place.object(Part::Ledger)]
                    .join("/")
                    .trim_start_matches('/')
            );
            format!(
                "`az storage blob download {blob} && {edit} {here} && az storage blob upload --overwrite {blob}`"
            )
        }
    }
}

fn run(place: &Place, part: Part, found: &mut Vec<Finding>) -> Result<Option<Run>, BaselineError> {
    match place.run(part) {
        Ok(run) => Ok(run),
        // Broken, or not readable for this user: the others are looked at all the same.
        Err(error @ (BaselineError::Record(_) | BaselineError::File(_))) => {
            found.push(Finding {
                at: place.shown(part),
                what: error.to_string(),
                mend: restore(place, part),
            });
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The sessions that can be read, with their lines; everything that is wrong with the others, and with their order.
fn ledger(
    place: &Place,
    hardware: &str,
    found: &mut Vec<Finding>,
) -> Result<Vec<(usize, Run)>, BaselineError> {
    let path = place.shown(Part::Ledger);
    let text = match place.bytes(Part::Ledger) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(Vec::new()),
        Err(BaselineError::File(error)) => {
            found.push(Finding {
                at: path,
                what: error.to_string(),
                mend: "make it readable for this user".to_owned(),
            });
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
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
                found.push(broken(place, &at, number, line, &error.to_string()));
            }
        }
    }
    Ok(sessions)
}

fn broken(place: &Place, at: &str, number: usize, line: &[u8], error: &str) -> Finding {
    let delete = format!(
        "{}, or drop this line: {}; the sessions before and after it stand by themselves",
        restore(place, Part::Ledger),
        edited(place, &format!("sed -i {number}d"))
    );
    if CONFLICT.iter().any(|mark| line.starts_with(mark)) {
        return Finding {
            at: at.to_owned(),
            what: "a mark of a merge that nobody finished".to_owned(),
            mend: format!(
                "keep the sessions of both sides and drop the marks: {}; `*.ledger.jsonl merge=union` in .gitattributes does that by itself",
                edited(place, "sed -i -E '/^(<<<<<<<|=======|>>>>>>>)/d'")
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
                format!("{}: {}\n  {}\n", finding.at, finding.what, finding.mend)
                    .replace(&folder, "")
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
          promote its last result again with `perfgate baseline update RESULT`, or take it from an earlier commit: `git log -- nvidia-l4.json`, then `git checkout COMMIT -- nvidia-l4.json`
        ");
    }
}
