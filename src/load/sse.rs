//! A parser of server-sent events (WHATWG HTML, "Server-sent events") on bytes.
//!
//! It accepts any split of the bytes, and returns the data of whole events with the type as far as it matters. Other fields
//! are skipped.

/// Longest buffered event. A token's chunk has about 250 bytes; a longer event is not part of a token stream, and must not
/// fill the memory.
const LONGEST_EVENT: usize = 4 << 20;

/// An event longer than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {LONGEST_EVENT} bytes")]
pub struct EventTooLong;

/// An event with data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its data.
    pub data: &'a [u8],
    /// Its type.
    pub kind: Kind,
}

/// The type of an event, as far as it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// No type, or `message`, which is the same.
    #[default]
    Message,
    /// `error`.
    Error,
    /// Any other. Some servers keep a stream alive with events of their own type.
    Other,
}

/// Splits a byte stream into the data of its events. It copies only data that the edge of a piece cuts.
#[derive(Debug, Default)]
pub struct SseParser {
    /// The incomplete line.
    line: Vec<u8>,
    /// The data of the incomplete event.
    data: Vec<u8>,
    /// Whether that event has data, possibly empty.
    has_data: bool,
    /// The type of that event.
    kind: Kind,
    /// Whether the last byte was a carriage return, which a line feed may complete.
    after_return: bool,
    /// Whether the first line, which may start with a byte order mark, is over.
    begun: bool,
}

impl SseParser {
    /// Takes the next bytes and calls `on_event` for every event that they complete.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        mut on_event: impl FnMut(Event<'_>),
    ) -> Result<(), EventTooLong> {
        let mut rest = bytes;
        if self.after_return && rest.first() == Some(&b'\n') {
            rest = &rest[1..];
        }
        if !bytes.is_empty() {
            self.after_return = false;
        }
        while let Some(end) = memchr::memchr2(b'\n', b'\r', rest) {
            let line = &rest[..end];
            let pair = rest[end] == b'\r' && rest.get(end + 1) == Some(&b'\n');
            let after = &rest[end + 1 + usize::from(pair)..];
            if self.begun && self.line.is_empty() && !self.has_data && self.kind == Kind::Message {
                // The common event, one line and its blank line in one piece, is passed on without a copy.
                let blank = match after {
                    [b'\n', ..] => 1,
                    [b'\r', b'\n', ..] => 2,
                    _ => 0,
                };
                if blank > 0
                    && let Some(value) = data_value(line)
                {
                    on_event(Event {
                        data: value,
                        kind: Kind::Message,
                    });
                    rest = &after[blank..];
                    continue;
                }
            }
            if self.line.is_empty() {
                self.end_line(line, &mut on_event);
            } else {
                self.line.extend_from_slice(line);
                let mut line = std::mem::take(&mut self.line);
                self.end_line(&line, &mut on_event);
                line.clear();
                self.line = line;
            }
            self.after_return = rest[end] == b'\r' && end + 1 == rest.len();
            rest = after;
        }
        self.line.extend_from_slice(rest);
        if self.line.len() + self.data.len() > LONGEST_EVENT {
            return Err(EventTooLong);
        }
        Ok(())
    }

    /// The stream has ended. An event that lacks only its last blank line is passed on too: some servers omit it, and no
    /// received data is dropped.
    pub fn finish(mut self, mut on_event: impl FnMut(Event<'_>)) {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.end_line(&line, &mut on_event);
        }
        self.end_line(b"", &mut on_event);
    }

    fn end_line(&mut self, line: &[u8], on_event: &mut impl FnMut(Event<'_>)) {
        let line = if self.begun {
            line
        } else {
            line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line)
        };
        self.begun = true;
        if line.is_empty() {
            if self.has_data {
                on_event(Event {
                    data: &self.data,
                    kind: self.kind,
                });
                self.data.clear();
                self.has_data = false;
            }
            self.kind = Kind::Message;
        } else if let Some(value) = data_value(line) {
            if self.has_data {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(value);
            self.has_data = true;
        } else if let Some(kind) = value_of(b"event", line) {
            // Of several types the last counts.
            self.kind = match kind {
                b"error" => Kind::Error,
                b"" | b"message" => Kind::Message,
                _ => Kind::Other,
            };
        }
    }
}

/// The value of a `data` line; `None` for a comment (`: keep-alive`) or another field.
fn data_value(line: &[u8]) -> Option<&[u8]> {
    value_of(b"data", line)
}

fn value_of<'a>(field: &[u8], line: &'a [u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(field)? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The data of all events, with the type in front unless it is `message`.
    fn events(pieces: &[&[u8]]) -> Vec<String> {
        let shown = |event: Event<'_>| {
            let mark = match event.kind {
                Kind::Error => "error: ",
                Kind::Other => "other: ",
                Kind::Message => "",
            };
            format!("{mark}{}", String::from_utf8_lossy(event.data))
        };
        let mut parser = SseParser::default();
        let mut events = Vec::new();
        for piece in pieces {
            parser
                .feed(piece, |event| events.push(shown(event)))
                .unwrap();
        }
        parser.finish(|event| events.push(shown(event)));
        events
    }

    #[test]
    fn events_end_at_blank_lines_with_any_line_ending() {
        assert_eq!(
            events(&[b"data: a\n\ndata:b\r\n\r\ndata: c\r\rdata\n\n"]),
            ["a", "b", "c", ""]
        );
    }

    #[test]
    fn comments_and_other_fields_are_skipped_and_data_lines_are_joined() {
        assert_eq!(
            events(&[b": keep-alive\n\nevent: message\nid: 1\ndata: a\ndata:  b\n\n"]),
            ["a\n b"]
        );
    }

    #[test]
    fn the_type_error_applies_to_its_own_event_only() {
        assert_eq!(
            events(&[b"data: a\n\nevent: error\ndata: b\n\ndata: c\n\nevent: error\nevent: x\ndata: d\n\n"]),
            ["a", "error: b", "c", "other: d"]
        );
        assert_eq!(
            events(&[b"data: a\nevent:error\n\nevent: error\n\ndata: b\n\n"]),
            ["error: a", "b"]
        );
    }

    #[test]
    fn a_missing_last_blank_line_loses_no_data() {
        assert_eq!(events(&[b"data: a\n\ndata: [DONE]"]), ["a", "[DONE]"]);
    }

    #[test]
    fn a_carriage_return_and_its_line_feed_may_arrive_separately() {
        assert_eq!(
            events(&[b"data: a\r", b"\n\r", b"\n", b"data: b\r\n\r\n"]),
            ["a", "b"]
        );
    }

    #[test]
    fn an_endless_event_is_an_error_and_the_buffer_stays_bounded() {
        let mut parser = SseParser::default();
        let piece = vec![b'x'; 1 << 20];
        let fed: Result<Vec<()>, _> = (0..5).map(|_| parser.feed(&piece, |_| ())).collect();
        assert_eq!(fed, Err(EventTooLong));
    }

    #[test]
    fn every_recorded_stream_ends_with_done() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/vllm-0.32-cpu/sse");
        let mut seen = 0;
        for entry in folder.read_dir().unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            let events = events(&[&bytes]);
            assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
            assert!(events.len() > 2);
            seen += 1;
        }
        assert!(seen > 10, "{seen}");
    }

    proptest! {
        #[test]
        fn any_split_of_the_bytes_gives_the_same_events(
            text in "(data: ?[a-zé✓]{0,5}|:|event: x|event: error|\r\n|\n|\r|\u{feff}){0,40}", cuts in prop::collection::vec(0..200_usize, 0..12)
        ) {
            let bytes = text.as_bytes();
            let mut ends: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            ends.push(bytes.len());
            ends.sort_unstable();
            let mut start = 0;
            let pieces: Vec<&[u8]> = ends.into_iter().map(|end| { let piece = &bytes[start..end]; start = end; piece }).collect();
            prop_assert_eq!(events(&pieces), events(&[bytes]));
        }
    }
}
