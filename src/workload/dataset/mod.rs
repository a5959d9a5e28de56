//! Data sets: files of prompts, conversations or traces, read entry by entry.
//!
//! The parsers take readers and return one [`Entry`] at a time, so that a file of any size needs memory only for the
//! entries that are kept. [`Sample`] keeps the entries of a run, [`Selection`] makes requests of them.

mod jsonl;
mod lines;
mod mooncake;
mod sample;
mod selection;
mod sharegpt;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

pub use sample::Sample;
pub use selection::{Choice, ChoiceError, Selection};

use super::Message;

/// Longest prompt or answer: more than any model supports, and far below any overflow.
const MOST_TOKENS: u32 = 10_000_000;

/// A larger time stamp in seconds (30,000 years) is an error.
const LAST_TIMESTAMP: f64 = 1e12;

/// The units of a trace, which its file does not contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Units {
    /// Of time stamps.
    pub time: TimeUnit,
    /// Tokens per block, that is per hash id.
    pub block_tokens: u32,
}

impl Default for Units {
    /// Those of the published Mooncake traces.
    fn default() -> Self {
        Self {
            time: TimeUnit::Milliseconds,
            block_tokens: 512,
        }
    }
}

/// A unit of time stamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// `s`
    Seconds,
    /// `ms`
    Milliseconds,
    /// `us`
    Microseconds,
}

impl TimeUnit {
    /// All of them, the longest first.
    pub const ALL: [Self; 3] = [Self::Seconds, Self::Milliseconds, Self::Microseconds];

    /// Its name in perfgate.yaml.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Microseconds => "us",
        }
    }

    fn in_a_second(self) -> f64 {
        match self {
            Self::Seconds => 1.0,
            Self::Milliseconds => 1e3,
            Self::Microseconds => 1e6,
        }
    }
}

/// Format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A list of `conversations` of `from` and `value`, or one such entry per line.
    ShareGpt,
    /// One `prompt` or list of `messages` per line, with or without `timestamp`.
    Jsonl,
    /// One `timestamp`, `input_length`, `output_length` and list of `hash_ids` per line.
    Mooncake,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ShareGpt, Self::Jsonl, Self::Mooncake];

    /// Its name in perfgate.yaml.
    pub fn name(self) -> &'static str {
        match self {
            Self::ShareGpt => "sharegpt",
            Self::Jsonl => "jsonl",
            Self::Mooncake => "mooncake",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which turns of a conversation are requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turns {
    /// The first question only.
    First,
    /// The last question with all earlier messages.
    Last,
    /// Every question, each with all earlier messages.
    All,
}

impl Turns {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::First, Self::Last, Self::All];

    /// Its name in perfgate.yaml.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Last => "last",
            Self::All => "all",
        }
    }
}

/// One entry of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Position in the file, from 0; unusable entries count.
    pub position: usize,
    /// When it was sent, by the clock of the trace.
    pub at: Option<Duration>,
    /// What to send.
    pub content: Content,
    /// Tokens to request, if the entry sets them.
    pub output_tokens: Option<u32>,
}

/// Content of an entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A text.
    Text(Arc<str>),
    /// Token ids.
    TokenIds(Vec<u32>),
    /// A conversation with at least one question.
    Messages(Vec<Message>),
    /// A prompt of that length, made of blocks; blocks with the same hash id are the same everywhere.
    Blocks {
        /// Length of the prompt.
        tokens: u32,
        /// Ids of its blocks in order; the part without an id is unique.
        hash_ids: Vec<u64>,
    },
}

/// Counts of a file's entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Usable entries.
    pub usable: usize,
    /// Number of unusable entries by reason.
    pub unusable: BTreeMap<&'static str, usize>,
}

/// The problem of a file, shown after its name.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// It cannot be read or unpacked.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// An unusable line, or entry of a list.
    #[error("{what} {number}: {reason}")]
    Entry {
        /// `line` or `entry`.
        what: &'static str,
        /// From 1.
        number: usize,
        /// The problem.
        reason: String,
    },
    /// An unreadable list; with line and column.
    #[error("{0}")]
    Json(#[source] serde_json::Error),
    /// The file has no entries.
    #[error("has no entries")]
    Empty,
    /// The format is unknown.
    #[error("has no known format: {0}")]
    Unknown(&'static str),
}

/// Reads every entry of a file in that format.
pub fn read(
    format: Format,
    units: Units,
    reader: impl BufRead,
    each: &mut dyn FnMut(Entry),
) -> Result<Census, DatasetError> {
    let census = match format {
        Format::ShareGpt => lines::read(reader, units, sharegpt::entry, each),
        Format::Jsonl => lines::read(reader, units, jsonl::entry, each),
        Format::Mooncake => lines::read(reader, units, mooncake::entry, each),
    }?;
    if census.usable == 0 && census.unusable.is_empty() {
        return Err(DatasetError::Empty);
    }
    Ok(census)
}

/// The keys of the first entry, which show the format.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Keys {
    conversations: Present,
    prompt: Present,
    messages: Present,
    input_length: Present,
    hash_ids: Present,
}

impl Keys {
    fn format(&self) -> Result<Format, &'static str> {
        let found = [
            (Format::ShareGpt, self.conversations.0),
            (Format::Jsonl, self.prompt.0 || self.messages.0),
            (Format::Mooncake, self.input_length.0 || self.hash_ids.0),
        ];
        let mut formats = found.into_iter().filter(|(_, found)| *found);
        match (formats.next(), formats.next()) {
            (Some((format, _)), None) => Ok(format),
            (None, _) => Err(
                "its first entry has none of `conversations`, `prompt`, `messages` and `input_length`",
            ),
            (Some(_), Some(_)) => Err("its first entry matches more than one format"),
        }
    }
}

/// Whether a key exists, with any value.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Present(bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self(true))
    }
}

/// Detects the format from the contents. Also returns the bytes that it has consumed from `reader`.
pub fn detect_format(reader: &mut impl BufRead) -> Result<(Format, Vec<u8>), DatasetError> {
    lines::skip_mark(reader)?;
    let mut read = Vec::new();
    if lines::first_byte(reader, &mut read)? == Some(b'[') {
        let first = lines::first_element(reader, &mut read);
        // If the format is unknown, reading such a list reports the error with its position.
        let format = first.map_or(Ok(Format::ShareGpt), |first| format_of(&first, "entry", 1))?;
        return Ok((format, read));
    }
    // The consumed bytes are line ends, so the next line is the first one that is not blank.
    let begin = read.len();
    let number = read.split(|byte| *byte == b'\n').count();
    if !lines::read_line(reader, &mut read, number)? {
        return Err(DatasetError::Empty);
    }
    let format = format_of(&read[begin..], "line", number)?;
    Ok((format, read))
}

/// The format of a file by its first entry, and the name of the entry's place in an error.
fn format_of(entry: &[u8], what: &'static str, number: usize) -> Result<Format, DatasetError> {
    if lines::is_text(entry) {
        return Ok(Format::Jsonl);
    }
    let keys: Keys = lines::parse(entry).map_err(|reason| DatasetError::Entry {
        what,
        number,
        reason,
    })?;
    keys.format().map_err(DatasetError::Unknown)
}

/// The time of a trace's clock.
fn timestamp(time: Option<f64>, unit: TimeUnit) -> Result<Option<Duration>, String> {
    time.map(|time| {
        let seconds = time / unit.in_a_second();
        if (0.0..=LAST_TIMESTAMP).contains(&seconds) {
            Ok(Duration::from_secs_f64(seconds))
        } else {
            let unit = unit.name();
            Err(format!(
                "`timestamp` is {time}, which is not a valid time in {unit}"
            ))
        }
    })
    .transpose()
}

/// A number of tokens to request.
fn output_tokens(name: &str, tokens: Option<u32>) -> Result<Option<u32>, String> {
    match tokens {
        Some(tokens) if !(1..=MOST_TOKENS).contains(&tokens) => Err(format!(
            "`{name}` is {tokens}, but must be between 1 and {MOST_TOKENS}"
        )),
        tokens => Ok(tokens),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recognised(text: &str) -> Result<Format, String> {
        let mut reader = text.as_bytes();
        let (format, begin) = detect_format(&mut reader).map_err(|error| error.to_string())?;
        let whole = [begin.as_slice(), reader].concat();
        assert_eq!(whole, text.trim_start_matches('\u{feff}').as_bytes());
        Ok(format)
    }

    #[test]
    fn the_format_is_detected_from_the_contents() {
        for (text, format) in [
            ("\u{feff} [\n{\"conversations\": []}]", Format::ShareGpt),
            ("{\"conversations\": []}\n{}", Format::ShareGpt),
            ("\n {\"prompt\": \"a\"}\n", Format::Jsonl),
            ("{\"messages\": [], \"timestamp\": 3}", Format::Jsonl),
            ("[{\"id\": 1, \"prompt\": \"a\"}, 5]", Format::Jsonl),
            (" [ \"a\",\n\"b\"]", Format::Jsonl),
            ("\"a\"\n\"b\"", Format::Jsonl),
            ("[{\"messages\": []}]", Format::Jsonl),
            ("[]", Format::ShareGpt),
            ("{\"timestamp\": 3, \"input_length\": 4}", Format::Mooncake),
        ] {
            assert_eq!(recognised(text), Ok(format), "{text}");
        }
    }

    #[test]
    fn an_unknown_format_is_an_error() {
        let messages: Vec<String> = [
            "",
            "\n\n",
            "{\"text\": 1}",
            "{\"prompt\": \"a\", \"hash_ids\": [1]}",
            "\nprompt,output\n",
            "[{\"text\": 1}]",
            "[1]",
        ]
        .into_iter()
        .map(|text| recognised(text).unwrap_err())
        .collect();
        insta::assert_snapshot!(messages.join("\n"), @"
        has no entries
        has no entries
        has no known format: its first entry has none of `conversations`, `prompt`, `messages` and `input_length`
        has no known format: its first entry matches more than one format
        line 2: is not a JSON object
        has no known format: its first entry has none of `conversations`, `prompt`, `messages` and `input_length`
        entry 1: is not a JSON object
        ");
    }
}
