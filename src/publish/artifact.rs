//! The artifact of a fork's run. Its content is untrusted: perfgate reads one file from it into memory
//! and checks everything.

use std::fmt::Display;
use std::io::{Cursor, Read as _};

use serde_json::Value;
use zip::ZipArchive;

use crate::json;
use crate::limits::{ARCHIVE, ARTIFACT};
use crate::policy::{ComparisonError, parse_comparison};
use crate::report::comparison::Comparison;
use crate::text::sanitize;

/// The file to read.
const COMPARISON: &str = "comparison.json";

/// Other files of a gate, which are ignored.
const BESIDE: [&str; 6] = [
    "result.json",
    "report.html",
    "comment.md",
    "junit.xml",
    "ab-baseline.json",
    "ab-candidate.json",
];

/// Maximum number of files in the archive.
const MAX_ENTRIES: usize = 100;

/// Why an artifact is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Refused(String);

/// Untrusted text in one line.
fn shown(text: &impl Display) -> String {
    sanitize::line(&text.to_string())
}

fn refuse<T>(why: impl Into<String>) -> Result<T, Refused> {
    Err(Refused(why.into()))
}

/// The text of `comparison.json` in the archive.
pub fn comparison_text(archive: Vec<u8>) -> Result<Vec<u8>, Refused> {
    if archive.len() as u64 > ARCHIVE.bytes {
        return refuse(format!("it {ARCHIVE}"));
    }
    let unreadable = |error: zip::result::ZipError| {
        Refused(format!("it is not a ZIP archive: {}", shown(&error)))
    };
    let mut archive = ZipArchive::new(Cursor::new(archive)).map_err(unreadable)?;
    if archive.len() > MAX_ENTRIES {
        return refuse(format!(
            "it has {} files; the maximum is {MAX_ENTRIES}",
            archive.len()
        ));
    }
    // Refuse archives that other ZIP readers could read differently.
    archive.validate_header_consistency().map_err(unreadable)?;
    let mut place = None;
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).map_err(unreadable)?;
        let entry = file.entry();
        let name = String::from_utf8_lossy(entry.name_raw());
        let shown = shown(&name);
        if std::str::from_utf8(entry.name_raw()).is_err() {
            return refuse(format!("the name `{shown}` is not valid UTF-8"));
        }
        if entry.is_symlink() || !entry.is_file() {
            return refuse(format!("`{shown}` is not a regular file"));
        }
        if entry.encrypted() {
            return refuse(format!("`{shown}` is encrypted"));
        }
        if name == COMPARISON {
            place = Some(index);
        } else if !is_beside(&name) {
            return refuse(format!(
                "`{shown}` is not a file of a gate's output; upload only {COMPARISON}"
            ));
        }
    }
    let Some(place) = place else {
        return refuse(format!("it has no {COMPARISON}"));
    };
    let mut text = Vec::new();
    let file = archive.by_index(place).map_err(unreadable)?;
    // The size in the archive is untrusted.
    if let Err(error) = file.take(ARTIFACT.bytes + 1).read_to_end(&mut text) {
        return refuse(format!(
            "{COMPARISON} cannot be unpacked: {}",
            shown(&error)
        ));
    }
    if text.len() as u64 > ARTIFACT.bytes {
        return refuse(format!("{COMPARISON} {ARTIFACT}"));
    }
    Ok(text)
}

/// A file of a gate's output folder, by its exact name.
fn is_beside(name: &str) -> bool {
    let numbered = |name: &str| {
        let number = name
            .strip_prefix("server-")
            .and_then(|rest| rest.strip_suffix(".log"));
        number.is_some_and(|number| {
            (1..=4).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    BESIDE.contains(&name) || numbered(name)
}

/// The comparison in the text: of this version, without unknown fields.
pub fn comparison_of(text: &[u8]) -> Result<Comparison, Refused> {
    let not_one = |error: ComparisonError| Refused(format!("{COMPARISON} {}", shown(&error)));
    let given: Value = json::parse(text).map_err(|error| not_one(error.into()))?;
    if !given["accepted"].is_null() {
        return refuse(format!(
            "{COMPARISON} contains an acceptance; only GitHub can confirm one"
        ));
    }
    let comparison = parse_comparison(text).map_err(not_one)?;
    let known = serde_json::to_value(&comparison).map_err(|error| not_one(error.into()))?;
    match unknown(&given, &known, "") {
        Some(path) => refuse(format!(
            "{COMPARISON} has the unknown field `{}`",
            shown(&path)
        )),
        None => Ok(comparison),
    }
}

/// The path of an unknown field. Null and an empty list count as absent.
fn unknown(given: &Value, known: &Value, path: &str) -> Option<String> {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => given.iter().find_map(|(name, value)| {
            let path = format!("{path}/{name}");
            match known.get(name) {
                Some(known) => unknown(value, known, &path),
                None if value.is_null() || value.as_array().is_some_and(Vec::is_empty) => None,
                None => Some(path),
            }
        }),
        (Value::Array(given), Value::Array(known)) => given
            .iter()
            .zip(known)
            .find_map(|(given, known)| unknown(given, known, path)),
        // serde would also accept a list in place of an object.
        (Value::Array(_), Value::Object(_)) => Some(path.to_owned()),
        (_, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            writer
                .start_file(*name, SimpleFileOptions::default())
                .unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn why(archive: Vec<u8>) -> String {
        comparison_text(archive).unwrap_err().to_string()
    }

    #[test]
    fn one_file_is_read_and_the_others_are_ignored() {
        let files: [(&str, &[u8]); 3] = [
            ("report.html", b"x"),
            ("comparison.json", b"{}"),
            ("server-12.log", b"y"),
        ];
        assert_eq!(comparison_text(archive(&files)).unwrap(), b"{}");
    }

    #[test]
    fn a_malicious_archive_is_refused() {
        let mut link = ZipWriter::new(Cursor::new(Vec::new()));
        link.add_symlink(
            "comparison.json",
            "/etc/passwd",
            SimpleFileOptions::default(),
        )
        .unwrap();
        let link = link.finish().unwrap().into_inner();
        let many: Vec<String> = (0..101).map(|n| format!("server-{n}.log")).collect();
        let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), &b""[..])).collect();
        let zeros = vec![b' '; (4 << 20) + 1];
        // A duplicate name: written as two names of equal length, then renamed in the bytes.
        let mut twice = archive(&[("comparison.json", b"{}"), ("comparisom.json", b"[]")]);
        while let Some(at) = twice
            .windows(15)
            .position(|name| name == b"comparisom.json")
        {
            twice[at..at + 15].copy_from_slice(b"comparison.json");
        }
        insta::assert_snapshot!(
            [
                why(b"rubbish".to_vec()),
                why(archive(&[])),
                why(archive(&[("../comparison.json", b"{}")])),
                why(archive(&[("/comparison.json", b"{}")])),
                why(archive(&[("x/comparison.json", b"{}")])),
                why(archive(&[("comparison.json", b"{}"), ("run.sh", b"x")])),
                why(link),
                why(archive(&many)),
                why(archive(&[("comparison.json", &zeros)])),
                why(twice),
            ]
            .join("\n"),
            @r"
            it is not a ZIP archive: invalid Zip archive: Could not find EOCD
            it has no comparison.json
            `../comparison.json` is not a file of a gate's output; upload only comparison.json
            `/comparison.json` is not a file of a gate's output; upload only comparison.json
            `x/comparison.json` is not a file of a gate's output; upload only comparison.json
            `run.sh` is not a file of a gate's output; upload only comparison.json
            `comparison.json` is not a regular file
            it has 101 files; the maximum is 100
            comparison.json is larger than 4 MiB, the limit of a comparison in an artifact
            it is not a ZIP archive: invalid Zip archive: header inconsistency detected: duplicate file names in central directory
            "
        );
    }

    proptest! {
        #[test]
        fn no_archive_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let _rubbish = comparison_text(bytes.clone());
            let _text = comparison_of(&bytes);
            let mut broken = archive(&[("comparison.json", &bytes), ("result.json", b"{}")]);
            let at = at.index(broken.len());
            broken[at] = byte;
            let _broken = comparison_text(broken);
        }
    }
}
