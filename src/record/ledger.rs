//! The ledger: accepted runs over time, one result per line, oldest first. Samples are optional.

use super::read::{RecordError, parse};
use super::valid::Run;

/// Reads every line. `file` is the name in errors, which also give the line.
pub fn parse_ledger(file: &str, text: &[u8]) -> Result<Vec<Run>, RecordError> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(RecordError::Empty {
            file: file.to_owned(),
        });
    }
    ledger_lines(file, text).map(|line| line.run).collect()
}

/// One non-blank line of a ledger.
#[derive(Debug)]
pub struct LedgerLine {
    /// From 1.
    pub number: usize,
    /// The session, or why the line is not valid.
    pub run: Result<Run, RecordError>,
}

/// Every non-blank line, including invalid ones.
pub fn ledger_lines<'a>(file: &'a str, text: &'a [u8]) -> impl Iterator<Item = LedgerLine> + 'a {
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    let filled = lines.filter(|(_, line)| !line.iter().all(u8::is_ascii_whitespace));
    filled.map(move |(index, line)| LedgerLine {
        number: index + 1,
        run: parse(&format!("{file}, line {}", index + 1), line),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"schema":"perfgate.result/1","scenarios":[{"name":"c","repeats":[{"metrics":{"qps":1}}]}]}"#;

    #[test]
    fn every_line_is_a_result_and_blank_lines_are_skipped() {
        let text = format!("{LINE}\n\n{LINE}\r\n");
        assert_eq!(parse_ledger("l.jsonl", text.as_bytes()).unwrap().len(), 2);
    }

    #[test]
    fn a_line_that_was_cut_off_is_named() {
        let text = format!("{LINE}\n{}", &LINE[..40]);
        let error = parse_ledger("l.jsonl", text.as_bytes()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("`l.jsonl, line 2` is not valid JSON: EOF"),
            "{error}"
        );
    }

    #[test]
    fn an_empty_ledger_is_an_error() {
        assert!(matches!(
            parse_ledger("l.jsonl", b"\n"),
            Err(RecordError::Empty { .. })
        ));
    }
}
