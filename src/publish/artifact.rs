//! The artifact of a fork's run: whoever made it may have put anything in it. One file is read out of it, into memory, and
//! believed as little as a stranger.

use std::io::{Cursor, Read as _};

use serde_json::Value;
use zip::ZipArchive;

use crate::json;
use crate::limits::{ARCHIVE, ARTIFACT};
use crate::policy::{ComparisonError, parse_comparison};
use crate::report::comparison::Comparison;
use crate::text::sanitize;

/// The file that is read.
const COMPARISON: &str = "comparison.json";

/// Files that a gate writes beside it, and that are left alone.
const BESIDE: [&str; 6] = [
    "result.json",
    "report.html",
    "comment.md",
    "junit.xml",
    "ab-baseline.json",
    "ab-candidate.json",
];

/// Files in the archive.
const MOST_ENTRIES: usize = 100;

/// Why an artifact is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Refused(String);

fn refuse<T>(why: impl Into<String>) -> Result<T, Refused> {
    Err(Refused(why.into()))
}

/// The text of `comparison.json` in the archive.
pub fn comparison_text(archive: Vec<u8>) -> Result<Vec<u8>, Refused> {
    if archive.len() as u64 > ARCHIVE.bytes {
        return refuse(format!("it {ARCHIVE}"));
    }
    let unreadable = |error: zip::result::ZipError| {
        Refused(format!(
            "it is no ZIP archive: {}",
            sanitize::line(&error.to_string())
        ))
    };
    let mut archive = ZipArchive::new(Cursor::new(archive)).map_err(unreadable)?;
    if archive.len() > MOST_ENTRIES {
        return refuse(format!(
            "it has {} files, more than {MOST_ENTRIES}",
            archive.len()
        ));
    }
    // Two readers must not see two archives in one file.
    archive.validate_header_consistency().map_err(unreadable)?;
    let mut place = None;
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).map_err(unreadable)?;
        let entry = file.entry();
        let shown = || sanitize::line(&String::from_utf8_lossy(entry.name_raw()));
        let Ok(name) = std::str::from_utf8(entry.name_raw()) else {
            return refuse(format!("the name `{}` is no UTF-8", shown()));
        };
        if entry.is_symlink() || !entry.is_file() {
            return refuse(format!("`{}` is no plain file", shown()));
        }
        if entry.encrypted() {
            return refuse(format!("`{}` is encrypted", shown()));
        }
        if name == COMPARISON {
            place = Some(index);
        } else if !is_beside(name) {
            return refuse(format!(
                "`{}` is no file of a gate's output; upload {COMPARISON} alone",
                shown()
            ));
        }
    }
    let Some(place) = place else {
        return refuse(format!("it has no {COMPARISON}"));
    };
    let mut text = Vec::new();
    let file = archive.by_index(place).map_err(unreadable)?;
    // What the archive says of the size is its maker's word.
    let read = file.take(ARTIFACT.bytes + 1).read_to_end(&mut text);
    if let Err(error) = read {
        return refuse(format!(
            "{COMPARISON} cannot be unpacked: {}",
            sanitize::line(&error.to_string())
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

/// The comparison in that text: of this version, with nothing in it that this version does not know.
pub fn comparison_of(text: &[u8]) -> Result<Comparison, Refused> {
    let not_one = |error: ComparisonError| {
        Refused(format!(
            "{COMPARISON} {}",
            sanitize::line(&error.to_string())
        ))
    };
    let given: Value = json::parse(text).map_err(|error| not_one(error.into()))?;
    if given
        .get("accepted")
        .is_some_and(|accepted| !accepted.is_null())
    {
        return refuse(format!(
            "{COMPARISON} says that somebody accepted it, which only GitHub can say"
        ));
    }
    let comparison = parse_comparison(text).map_err(not_one)?;
    let known = serde_json::to_value(&comparison).map_err(|error| not_one(error.into()))?;
    match unknown(&given, &known, "") {
        Some(path) => refuse(format!(
            "{COMPARISON} has `{}`, which this version does not know",
            sanitize::line(&path)
        )),
        None => Ok(comparison),
    }
}

/// The path of something that is given and not known. Nothing and an empty list are as good as absent.
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
        // A list where a thing with names belongs would be read all the same.
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
    fn one_file_is_read_and_those_beside_it_are_left_alone() {
        let files: [(&str, &[u8]); 3] = [
            ("report.html", b"x"),
            ("comparison.json", b"{}"),
            ("server-12.log", b"y"),
        ];
        assert_eq!(comparison_text(archive(&files)).unwrap(), b"{}");
    }

    #[test]
    fn an_archive_that_plays_tricks_is_refused() {
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
        // The same name twice: written as two names of the same length, and renamed in the bytes.
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
            it is no ZIP archive: invalid Zip archive: Could not find EOCD
            it has no comparison.json
            `../comparison.json` is no file of a gate's output; upload comparison.json alone
            `/comparison.json` is no file of a gate's output; upload comparison.json alone
            `x/comparison.json` is no file of a gate's output; upload comparison.json alone
            `run.sh` is no file of a gate's output; upload comparison.json alone
            `comparison.json` is no plain file
            it has 101 files, more than 100
            comparison.json is larger than 4 MiB, the limit of a comparison in an artifact
            it is no ZIP archive: invalid Zip archive: header inconsistency detected: duplicate file names in central directory
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
