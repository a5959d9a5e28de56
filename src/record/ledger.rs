//! The ledger: accepted runs over time, one result per line, oldest first. Samples are optional.

use super::read::{RecordError, parse};
use super::valid::Run;
use crate::report::price::AveragePrice;

/// Reads every line. `file` is the name in errors, which also give the line.
pub fn parse_ledger(file: &str, text: &[u8]) -> Result<Vec<Run>, RecordError> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(RecordError::Empty {
            file: file.to_owned(),
        });
    }
    ledger_lines(file, text).map(|line| line.run).collect()
}

/// The mean price of the last sessions that have one; `None` without any.
pub fn average_price(ledger: &[Run]) -> Option<AveragePrice> {
    let prices = ledger.iter().filter_map(|run| run.file.price);
    AveragePrice::of(&prices.collect::<Vec<_>>())
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
    fn sessions_without_a_price_are_not_in_the_average() {
        let priced = LINE.replace(
            "\"scenarios\"",
            r#""price":{"starts":3,"gpus":1,"startup":100,"load":79.5,"waiting":0.5},"scenarios""#,
        );
        let ledger = |text: &str| parse_ledger("l.jsonl", text.as_bytes()).unwrap();
        assert_eq!(average_price(&ledger(LINE)), None);
        let average = average_price(&ledger(&format!("{priced}\n{LINE}"))).unwrap();
        assert_eq!(average.to_string(), "the last gate cost 0.050");
        let wrong = priced.replace("79.5", "-1");
        let error = parse_ledger("l.jsonl", wrong.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`price.load` must be between zero and 1000000000 s; it is -1"),
            "{error}"
        );
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
