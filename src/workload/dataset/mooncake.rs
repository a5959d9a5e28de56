//! Traces in Mooncake's format: times, lengths, and ids of blocks instead of contents.

use serde::Deserialize;

use super::lines::{Refusal, parse};
use super::{Content, Entry, MOST_TOKENS, Units, output_tokens, timestamp};
use crate::text::count::count;

#[derive(Deserialize)]
struct Line {
    timestamp: f64,
    input_length: u32,
    output_length: u32,
    #[serde(default)]
    hash_ids: Vec<u64>,
}

/// The entry of one line.
pub(super) fn entry(line: &[u8], position: usize, units: Units) -> Result<Entry, Refusal> {
    let line: Line = parse(line)?;
    if !(1..=MOST_TOKENS).contains(&line.input_length) {
        return Err(format!(
            "`input_length` is {}, but must be between 1 and {MOST_TOKENS}",
            line.input_length
        )
        .into());
    }
    let block_tokens = units.block_tokens;
    let blocks = line.input_length.div_ceil(block_tokens) as usize;
    if line.hash_ids.len() > blocks {
        return Err(format!(
            "has {} `hash_ids`, but `input_length` {} has only {} of {block_tokens} tokens; `block_size` in `dataset` sets another size",
            line.hash_ids.len(),
            line.input_length,
            count(blocks, "block")
        )
        .into());
    }
    Ok(Entry {
        position,
        at: timestamp(Some(line.timestamp), units.time)?,
        content: Content::Blocks {
            tokens: line.input_length,
            hash_ids: line.hash_ids,
        },
        output_tokens: output_tokens("output_length", Some(line.output_length))?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Format, read};
    use super::*;

    #[test]
    fn a_line_of_the_published_traces_is_read() {
        let line = br#"{"timestamp": 27482, "input_length": 6955, "output_length": 52,
            "hash_ids": [46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59]}"#;
        let entry = entry(line, 0, Units::default()).unwrap();
        assert_eq!(entry.at, Some(std::time::Duration::from_millis(27_482)));
        assert_eq!(entry.output_tokens, Some(52));
        assert_eq!(
            entry.content,
            Content::Blocks {
                tokens: 6955,
                hash_ids: (46..60).collect()
            }
        );
    }

    #[test]
    fn a_bad_line_is_an_error_with_the_problem() {
        let messages: Vec<String> = [
            r#"{"timestamp": 1, "input_length": 512, "output_length": 5, "hash_ids": [1, 2]}"#,
            r#"{"timestamp": 1, "input_length": 0, "output_length": 5}"#,
            r#"{"timestamp": 1, "input_length": 9, "output_length": 0}"#,
            r#"{"timestamp": "now", "input_length": 9, "output_length": 1}"#,
            r#"{"input_length": 9, "output_length": 1}"#,
            r#"{"timestamp": 1, "input_length": 9, "output_length": 1, "hash_ids": [-1]}"#,
        ]
        .into_iter()
        .map(|line| {
            entry(line.as_bytes(), 0, Units::default())
                .unwrap_err()
                .to_string()
        })
        .collect();
        insta::assert_snapshot!(messages.join("\n"));
    }

    #[test]
    fn a_trace_in_seconds_with_smaller_blocks_is_read() {
        let line = br#"{"timestamp": 1234500.5, "input_length": 40, "output_length": 5, "hash_ids": [1, 2, 3]}"#;
        let units = Units {
            time: super::super::TimeUnit::Seconds,
            block_tokens: 16,
        };
        let entry = entry(line, 0, units).unwrap();
        assert_eq!(
            entry.at,
            Some(std::time::Duration::from_millis(1_234_500_500))
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_entries_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut seen = 0;
            if let Ok(census) = read(Format::Mooncake, Units::default(), bytes.as_slice(), &mut |_| seen += 1) {
                prop_assert_eq!(census.usable, seen);
            }
        }
    }
}
