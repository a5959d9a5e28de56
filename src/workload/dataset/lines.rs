//! Files with one JSON object per line, or with one list of such objects.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserialize as _, Deserializer as _};
use serde_json::value::RawValue;

use super::{Census, DatasetError, Entry, Units};

/// Longest line or list entry: more than a prompt of ten million tokens as text.
pub(super) const LONGEST: usize = 64 << 20;

/// Half of a surrogate pair (RFC 8259 §8.2): a text that contains it cannot be sent.
pub(super) const LONE_SURROGATE: &str = "half a character (a lone surrogate)";

/// Why an entry is not sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// It cannot be sent, but the rest of the file can; entries are counted by this reason.
    #[error("{0}")]
    Unusable(&'static str),
    /// The file is wrong.
    #[error("{0}")]
    Wrong(String),
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        let of_surrogate = ["surrogate in hex escape", "unexpected end of hex escape"];
        if of_surrogate.iter().any(|words| reason.contains(words)) {
            Self::Unusable(LONE_SURROGATE)
        } else {
            Self::Wrong(reason)
        }
    }
}

/// Reads a file with one entry per line, or a list of entries. `entry` gets an entry's text and its position.
pub(super) fn read(
    reader: impl BufRead,
    units: Units,
    entry: fn(&[u8], usize, Units) -> Result<Entry, Refusal>,
    each: &mut dyn FnMut(Entry),
) -> Result<Census, DatasetError> {
    let mut census = Census::default();
    let mut timed = None;
    let mut next = 0..;
    each_entry(reader, |text| {
        let entry = match entry(text, next.next().unwrap_or_default(), units) {
            Ok(entry) => entry,
            Err(Refusal::Unusable(reason)) => {
                *census.unusable.entry(reason).or_default() += 1;
                return Ok(());
            }
            Err(Refusal::Wrong(reason)) => return Err(reason),
        };
        let is_timed = entry.at.is_some();
        if *timed.get_or_insert(is_timed) != is_timed {
            let (here, before) = if is_timed {
                ("a", "none")
            } else {
                ("no", "one")
            };
            return Err(format!(
                "has {here} `timestamp`, but the entries before have {before}"
            ));
        }
        census.usable += 1;
        each(entry);
        Ok(())
    })?;
    Ok(census)
}

/// Every entry, on lines or in a list.
fn each_entry(
    mut reader: impl BufRead,
    mut each: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), DatasetError> {
    skip_mark(&mut reader)?;
    let mut begin = Vec::new();
    let first = first_byte(&mut reader, &mut begin)?;
    // Skipped bytes count for the line numbers of errors.
    let whole = begin.as_slice().chain(reader);
    if first == Some(b'[') {
        each_element(whole, &mut each)
    } else {
        each_line(whole, each)
    }
}

/// Reads a list entry by entry: a file of any size needs only the memory of its largest entry.
fn each_element(
    reader: impl Read,
    each: &mut dyn FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), DatasetError> {
    let left = Cell::new(LONGEST);
    let bounded = Bounded {
        reader,
        left: &left,
    };
    let mut deserializer = serde_json::Deserializer::from_reader(BufReader::new(bounded));
    let mut refused = None;
    let elements = Elements {
        each,
        left: &left,
        refused: &mut refused,
    };
    let read = deserializer
        .deserialize_seq(elements)
        .and_then(|()| deserializer.end());
    match (read, refused) {
        (_, Some(refused)) => Err(refused),
        (Ok(()), None) => Ok(()),
        (Err(error), None) if error.is_io() => Err(DatasetError::Read(error.into())),
        (Err(error), None) => Err(DatasetError::Json(error)),
    }
}

struct Elements<'a> {
    each: &'a mut dyn FnMut(&[u8]) -> Result<(), String>,
    left: &'a Cell<usize>,
    refused: &'a mut Option<DatasetError>,
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let mut number = 0;
        while let Some(raw) = elements.next_element::<Box<RawValue>>()? {
            number += 1;
            self.left.set(LONGEST);
            if let Err(reason) = (self.each)(raw.get().as_bytes()) {
                *self.refused = Some(DatasetError::Entry {
                    what: "entry",
                    number,
                    reason,
                });
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

/// A reader that fails when one entry is too long.
struct Bounded<'a, R> {
    reader: R,
    left: &'a Cell<usize>,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        match self.left.get().checked_sub(read) {
            Some(left) => self.left.set(left),
            None => {
                return Err(io::Error::other(format!(
                    "an entry is longer than {} MiB",
                    LONGEST >> 20
                )));
            }
        }
        Ok(read)
    }
}

/// The first element of a list that starts here; `None` for an empty list. The bytes read for it go to `read`.
pub(super) fn first_element(reader: &mut impl BufRead, read: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut kept = Recorder {
        reader: reader.take(LONGEST as u64),
        read,
    };
    kept.read_exact(&mut [0]).ok()?;
    let mut deserializer = serde_json::Deserializer::from_reader(&mut kept);
    let raw = Box::<RawValue>::deserialize(&mut deserializer).ok()?;
    Some(raw.get().as_bytes().to_vec())
}

/// A reader that records the bytes that are read.
struct Recorder<'a, R> {
    reader: R,
    read: &'a mut Vec<u8>,
}

impl<R: Read> Read for Recorder<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.read.extend_from_slice(&buffer[..length]);
        Ok(length)
    }
}

/// Every line that is not blank.
fn each_line(
    mut reader: impl BufRead,
    mut each: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), DatasetError> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if !read_line(&mut reader, &mut line, number)? {
            break;
        }
        if !line.iter().all(u8::is_ascii_whitespace) {
            each(&line).map_err(|reason| DatasetError::Entry {
                what: "line",
                number,
                reason,
            })?;
        }
    }
    Ok(())
}

/// Adds the next line to `line`; `false` at the end.
pub(super) fn read_line(
    reader: &mut impl BufRead,
    line: &mut Vec<u8>,
    number: usize,
) -> Result<bool, DatasetError> {
    let read = reader
        .by_ref()
        .take(LONGEST as u64 + 1)
        .read_until(b'\n', line)?;
    if read > LONGEST {
        return Err(DatasetError::Entry {
            what: "line",
            number,
            reason: format!("is longer than {} MiB", LONGEST >> 20),
        });
    }
    Ok(read > 0)
}

/// Skips a byte order mark, which some editors add.
pub(super) fn skip_mark(reader: &mut impl BufRead) -> io::Result<()> {
    if reader.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        reader.consume(3);
    }
    Ok(())
}

/// The first byte that is not white space, not consumed; the bytes before it go to `skipped`.
pub(super) fn first_byte(
    reader: &mut impl BufRead,
    skipped: &mut Vec<u8>,
) -> Result<Option<u8>, DatasetError> {
    loop {
        let buffer = reader.fill_buf()?;
        let blank = buffer
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        let found = buffer.get(blank).copied();
        let ended = buffer.is_empty();
        skipped.extend_from_slice(&buffer[..blank]);
        reader.consume(blank);
        if found.is_some() || ended {
            return Ok(found);
        }
        if skipped.len() > LONGEST {
            return Err(DatasetError::Unknown("it starts with too many blanks"));
        }
    }
}

/// Whether an entry is a plain text.
pub(super) fn is_text(entry: &[u8]) -> bool {
    entry.trim_ascii_start().starts_with(b"\"")
}

/// One JSON object; errors with the column.
pub(super) fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, String> {
    let line = line.trim_ascii_end();
    if !line.trim_ascii_start().starts_with(b"{") {
        return Err("is not a JSON object".to_owned());
    }
    parse_any(line)
}

/// One JSON value; errors with the column.
pub(super) fn parse_any<T: DeserializeOwned>(line: &[u8]) -> Result<T, String> {
    serde_json::from_slice(line).map_err(|error| {
        let place = format!(" at line {} column {}", error.line(), error.column());
        let text = error.to_string();
        match text.strip_suffix(&place) {
            Some(text) => format!("{text}, at column {}", error.column()),
            None => text,
        }
    })
}
