//! Files of one JSON object a line.

use std::io::{self, BufRead, Read as _};

use serde::de::DeserializeOwned;

use super::{Census, DatasetError, Entry};

/// A line, or an entry of a list, is no longer than this: more than a prompt of ten million tokens as text.
pub(super) const LONGEST: usize = 64 << 20;

/// Reads a file of one entry a line. `entry` gets a line and its entry's position.
pub(super) fn read(
    mut reader: impl BufRead,
    mut entry: impl FnMut(&[u8], usize) -> Result<Entry, String>,
    each: &mut dyn FnMut(Entry),
) -> Result<Census, DatasetError> {
    skip_mark(&mut reader)?;
    let mut census = Census::default();
    let mut timed = None;
    each_line(reader, |line| {
        let entry = entry(line, census.usable)?;
        let is_timed = entry.at.is_some();
        if *timed.get_or_insert(is_timed) != is_timed {
            let (here, before) = if is_timed {
                ("a", "none")
            } else {
                ("no", "one")
            };
            return Err(format!(
                "has {here} `timestamp`, and the lines before have {before}"
            ));
        }
        census.usable += 1;
        each(entry);
        Ok(())
    })?;
    Ok(census)
}

/// Every line with something on it.
pub(super) fn each_line(
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
            each(&line).map_err(|reason| DatasetError::Line {
                line: number,
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
        return Err(DatasetError::Line {
            line: number,
            reason: format!("is longer than {} MiB", LONGEST >> 20),
        });
    }
    Ok(read > 0)
}

/// Skips a byte order mark, which editors of other systems leave.
pub(super) fn skip_mark(reader: &mut impl BufRead) -> io::Result<()> {
    if reader.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        reader.consume(3);
    }
    Ok(())
}

/// The first byte that is no white space, left where it is; what stands before it goes to `skipped`.
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
            return Err(DatasetError::Unknown("it begins with nothing but blanks"));
        }
    }
}

/// One JSON object; errors with the column.
pub(super) fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, String> {
    let line = line.trim_ascii_end();
    if !line.trim_ascii_start().starts_with(b"{") {
        return Err("is no JSON object".to_owned());
    }
    serde_json::from_slice(line).map_err(|error| {
        let place = format!(" at line {} column {}", error.line(), error.column());
        let text = error.to_string();
        match text.strip_suffix(&place) {
            Some(text) => format!("{text}, at column {}", error.column()),
            None => text,
        }
    })
}
