//! Text to a checked run: JSON, version, and every contradiction at once.

use super::format::ResultFile;
use super::valid::Run;
use crate::files::FileError;
use crate::json;

/// What `schema` begins with, before the version.
const FAMILY: &str = "perfgate.result/";

/// The major version that this program reads and writes.
const MAJOR: &str = "1";

/// Why a result file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is a broken archive or far larger than any result.
    #[error("cannot unpack `{file}`: {reason}")]
    Unpack {
        /// The file as given.
        file: String,
        /// The decompressor's error.
        reason: String,
    },
    /// It is a Git LFS pointer.
    #[error(
        "`{file}` is a Git LFS pointer without its content: run `git lfs pull`, or set `lfs: true` for actions/checkout"
    )]
    Pointer {
        /// The file as given.
        file: String,
    },
    /// It is empty.
    #[error("`{file}` is empty: the run wrote no result")]
    Empty {
        /// The file as given.
        file: String,
    },
    /// It is not valid JSON, or a required part is missing.
    #[error("`{file}` is not {}: {source}", if .source.is_data() { "a perfgate result" } else { "valid JSON" })]
    Json {
        /// The file as given.
        file: String,
        /// With line and column.
        source: serde_json::Error,
    },
    /// It has another schema or another major version.
    #[error("`{file}` has schema `{schema}`; this version reads `perfgate.result/1`")]
    Schema {
        /// The file as given.
        file: String,
        /// Its schema.
        schema: String,
    },
    /// Its values contradict each other.
    #[error("`{file}` has contradictory values:\n  - {}", .problems.join("\n  - "))]
    Contradiction {
        /// The file as given.
        file: String,
        /// Every problem found.
        problems: Vec<String>,
    },
}

/// Reads a result. `file` is the name in errors.
pub fn parse(file: &str, text: &[u8]) -> Result<Run, RecordError> {
    let named = || file.to_owned();
    if json::without_mark(text).iter().all(u8::is_ascii_whitespace) {
        return Err(RecordError::Empty { file: named() });
    }
    let result: ResultFile = json::parse(text).map_err(|source| RecordError::Json {
        file: named(),
        source,
    })?;
    if !is_readable(&result.schema) {
        return Err(RecordError::Schema {
            file: named(),
            schema: result.schema,
        });
    }
    checked(file, result)
}

/// Checks a result that was not read from a text. `file` is the name in errors.
pub(crate) fn checked(file: &str, result: ResultFile) -> Result<Run, RecordError> {
    Run::check(result).map_err(|problems| RecordError::Contradiction {
        file: file.to_owned(),
        problems,
    })
}

/// `perfgate.result/1` and its minor versions, `perfgate.result/1.4`.
fn is_readable(schema: &str) -> bool {
    let Some(version) = schema.strip_prefix(FAMILY) else {
        return false;
    };
    let major = version.split_once('.').map_or(version, |(major, _)| major);
    major == MAJOR
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = r#"{"schema": "perfgate.result/1", "scenarios": [{"name": "concurrency=1",
        "repeats": [{"metrics": {"tpot.p95": 0.02, "something.new": 3}, "unknown": [1]}]}], "more": {}}"#;

    #[test]
    fn a_result_written_by_hand_needs_only_the_required_fields() {
        let run = parse("a.json", SMALLEST.as_bytes()).unwrap();
        assert_eq!(run.scenarios[0].repeats[0].metrics.len(), 1);
    }

    #[test]
    fn minor_versions_are_read_and_major_ones_refused() {
        assert!(
            parse(
                "a.json",
                SMALLEST.replace("result/1", "result/1.7").as_bytes()
            )
            .is_ok()
        );
        let error = parse(
            "a.json",
            SMALLEST.replace("result/1", "result/2").as_bytes(),
        )
        .unwrap_err();
        insta::assert_snapshot!(error, @"`a.json` has schema `perfgate.result/2`; this version reads `perfgate.result/1`");
    }

    #[test]
    fn an_empty_file_and_a_broken_one_are_distinguished() {
        insta::assert_snapshot!(parse("a.json", b" \n").unwrap_err(), @"`a.json` is empty: the run wrote no result");
        insta::assert_snapshot!(
            parse("a.json", br#"{"schema": "perfgate.result/1"}"#).unwrap_err(),
            @"`a.json` is not a perfgate result: missing field `scenarios` at line 1 column 31"
        );
        insta::assert_snapshot!(
            parse("a.json", b"{\"schema\": NaN}").unwrap_err(),
            @"`a.json` is not valid JSON: expected value at line 1 column 12"
        );
    }
}
