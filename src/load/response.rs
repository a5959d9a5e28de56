//! An HTTP/1.1 answer from its bytes: status, and the body without its framing (RFC 9112). No I/O.
//!
//! The body is passed on in the pieces in which it arrived, without a copy. One answer at a time: no pipelining.

use crate::text::count::count;

/// Longest head; a server of this kind sends less.
const LONGEST_HEAD: usize = 64 << 10;

/// Most header lines, including those of a gateway.
const MOST_HEADERS: usize = 256;

/// Most interim answers (1xx) before the final one.
const MOST_INTERIM: u32 = 16;

/// Longest size line or trailer of a chunk.
const LONGEST_LINE: usize = 8 << 10;

/// Longest shown name of a coding; real ones are shorter (`x-compress`).
const LONGEST_CODING: usize = 24;

/// As long as an address that a person writes.
const LONGEST_LOCATION: usize = 200;

/// Bytes that are not a valid answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// The head is not HTTP.
    #[error("the answer is not HTTP: {0}")]
    Head(String),
    /// The head, a framing line, interim answers or the trailer have no end.
    #[error("the answer has a {0} without an end")]
    Endless(&'static str),
    /// The size of a chunk, or the bytes after it, are wrong.
    #[error("the answer's chunked framing is invalid: {0}")]
    Chunk(&'static str),
    /// Bytes follow the end of the answer.
    #[error("the server sent {} after the end of its answer", count(*.0, "byte"))]
    After(usize),
    /// The connection was closed before the start of the answer.
    #[error("the server closed the connection without an answer")]
    Unanswered,
    /// The connection was closed before the end.
    #[error("the connection was closed before the end of the answer")]
    Closed,
}

/// An answer that is being received.
#[derive(Debug, Default)]
pub struct Response {
    state: State,
    status: u16,
    close: bool,
    /// Interim answers so far, and bytes of the trailer.
    interim: u32,
    trailer: usize,
    /// Coding of the body beside its framing.
    coding: Option<String>,
    /// Target of a redirect.
    location: Option<String>,
    /// The incomplete head or framing line.
    partial: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    /// Remaining bytes of the body.
    Length(u64),
    /// The body ends with the connection.
    UntilClose,
    /// The line with a chunk's size.
    ChunkSize,
    /// Remaining bytes of a chunk.
    ChunkData(u64),
    /// The line end after a chunk.
    ChunkEnd,
    /// Lines after the last chunk.
    Trailer,
    Done,
}

impl Response {
    /// The status, once the head is over.
    pub fn status(&self) -> Option<u16> {
        (self.state != State::Head).then_some(self.status)
    }

    /// The coding of the body (`gzip`), which the request does not accept: it hides the text and its arrival times.
    pub fn coding(&self) -> Option<&str> {
        self.coding.as_deref()
    }

    /// Target of a redirect, without its query, which may contain a sign-in token.
    pub fn redirects_to(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// Whether the answer is complete.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether no byte of it has arrived.
    pub fn is_untouched(&self) -> bool {
        self.state == State::Head && self.partial.is_empty()
    }

    /// Whether the connection can carry another request after this answer.
    pub fn keeps_alive(&self) -> bool {
        self.is_done() && !self.close
    }

    /// Takes the next bytes, and passes on the pieces of the body in them with the status.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        mut on_body: impl FnMut(u16, &[u8]),
    ) -> Result<(), ResponseError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.state {
                State::Head => rest = self.head(rest)?,
                State::Length(left) => {
                    let (piece, after) = split(rest, left);
                    on_body(self.status, piece);
                    self.state = match left - piece.len() as u64 {
                        0 => State::Done,
                        left => State::Length(left),
                    };
                    rest = after;
                }
                State::UntilClose => {
                    on_body(self.status, rest);
                    rest = &[];
                }
                State::ChunkSize => rest = self.chunk_size(rest)?,
                State::ChunkData(left) => {
                    let (piece, after) = split(rest, left);
                    on_body(self.status, piece);
                    self.state = match left - piece.len() as u64 {
                        0 => State::ChunkEnd,
                        left => State::ChunkData(left),
                    };
                    rest = after;
                }
                State::ChunkEnd => {
                    rest = self.line(rest, |line| {
                        if line.is_empty() {
                            Ok(State::ChunkSize)
                        } else {
                            Err(ResponseError::Chunk(
                                "a chunk is longer than its stated size",
                            ))
                        }
                    })?;
                }
                State::Trailer => {
                    let before = rest.len();
                    rest = self.line(rest, |line| {
                        Ok(if line.is_empty() {
                            State::Done
                        } else {
                            State::Trailer
                        })
                    })?;
                    self.trailer += before - rest.len();
                    if self.trailer > LONGEST_HEAD {
                        return Err(ResponseError::Endless("trailer"));
                    }
                }
                State::Done => return Err(ResponseError::After(rest.len())),
            }
        }
        Ok(())
    }

    /// The peer has closed the connection.
    pub fn closed(&mut self) -> Result<(), ResponseError> {
        match self.state {
            State::UntilClose => {
                self.state = State::Done;
                Ok(())
            }
            State::Done => Ok(()),
            State::Head if self.partial.is_empty() => Err(ResponseError::Unanswered),
            State::Head
            | State::Length(_)
            | State::ChunkSize
            | State::ChunkData(_)
            | State::ChunkEnd
            | State::Trailer => Err(ResponseError::Closed),
        }
    }

    /// Takes bytes of the head; returns the bytes after it.
    fn head<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], ResponseError> {
        // The whole head is nearly always in one read, so the copy is cheap.
        let before = self.partial.len();
        self.partial.extend_from_slice(bytes);
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut head = httparse::Response::new(&mut headers);
        let mut lenient = httparse::ParserConfig::default();
        // Folded headers (RFC 9112 §5.2), which an old gateway may send.
        lenient.allow_obsolete_multiline_headers_in_responses(true);
        let parsed = lenient
            .parse_response(&mut head, &self.partial)
            .map_err(|error| {
                ResponseError::Head(if error == httparse::Error::TooManyHeaders {
                    format!("more than {MOST_HEADERS} header lines")
                } else {
                    error.to_string()
                })
            })?;
        let httparse::Status::Complete(length) = parsed else {
            return if self.partial.len() > LONGEST_HEAD {
                Err(ResponseError::Endless("head"))
            } else {
                Ok(&[])
            };
        };
        let status = head.code.unwrap_or_default();
        self.state = if (100..200).contains(&status) && status != 101 {
            // After an interim answer the final one follows; but after 101 the connection uses another protocol.
            self.interim += 1;
            if self.interim > MOST_INTERIM {
                return Err(ResponseError::Endless("series of interim answers (1xx)"));
            }
            State::Head
        } else {
            self.status = status;
            let framing = Framing::of(&head)?;
            self.close = framing.close;
            self.coding = framing.coding;
            self.location = framing.location.filter(|_| (300..400).contains(&status));
            framing.state
        };
        self.partial.clear();
        Ok(&bytes[length - before..])
    }

    fn chunk_size<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], ResponseError> {
        self.line(bytes, |line| {
            let digits = line
                .iter()
                .position(|byte| !byte.is_ascii_hexdigit())
                .unwrap_or(line.len());
            let (size, extension) = line.split_at(digits);
            let separated = matches!(extension.first(), None | Some(b';' | b' ' | b'\t'));
            // Sixteen digits are more than any memory.
            if size.is_empty() || size.len() > 15 || !separated {
                return Err(ResponseError::Chunk("a chunk has no size"));
            }
            let size = size.iter().fold(0, |size, digit| {
                size * 16 + u64::from(char::from(*digit).to_digit(16).unwrap_or_default())
            });
            Ok(if size == 0 {
                State::Trailer
            } else {
                State::ChunkData(size)
            })
        })
    }

    /// Takes bytes up to the end of a line, and switches to the state of `next`; returns the bytes after the line.
    fn line<'a>(
        &mut self,
        bytes: &'a [u8],
        next: impl FnOnce(&[u8]) -> Result<State, ResponseError>,
    ) -> Result<&'a [u8], ResponseError> {
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            self.partial.extend_from_slice(bytes);
            return if self.partial.len() > LONGEST_LINE {
                Err(ResponseError::Endless("line of its chunked framing"))
            } else {
                Ok(&[])
            };
        };
        let without_return = |line: &[u8]| line.len() - usize::from(line.last() == Some(&b'\r'));
        self.state = if self.partial.is_empty() {
            let line = &bytes[..end];
            next(&line[..without_return(line)])?
        } else {
            self.partial.extend_from_slice(&bytes[..end]);
            let state = next(&self.partial[..without_return(&self.partial)])?;
            self.partial.clear();
            state
        };
        Ok(&bytes[end + 1..])
    }
}

fn split(bytes: &[u8], most: u64) -> (&[u8], &[u8]) {
    bytes.split_at(usize::try_from(most).map_or(bytes.len(), |most| most.min(bytes.len())))
}

/// How the body is framed (RFC 9112 §6.3).
struct Framing {
    state: State,
    close: bool,
    coding: Option<String>,
    location: Option<String>,
}

impl Framing {
    fn of(head: &httparse::Response<'_, '_>) -> Result<Self, ResponseError> {
        let mut length = None;
        let mut chunked = false;
        let mut coding = None;
        let mut location = None;
        // HTTP/1.0 closes by default.
        let mut close = head.version == Some(0);
        for header in head.headers.iter() {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            let value = String::from_utf8_lossy(header.value);
            let values = || value.split(',').map(str::trim);
            if is("transfer-encoding") {
                chunked = values()
                    .next_back()
                    .is_some_and(|last| last.eq_ignore_ascii_case("chunked"));
                coding = values().find_map(unreadable_coding).or(coding);
            } else if is("content-encoding") {
                coding = values().find_map(unreadable_coding).or(coding);
            } else if is("location") {
                let shown = value.split('?').next().unwrap_or_default().chars();
                location = Some(shown.take(LONGEST_LOCATION).collect());
            } else if is("content-length") {
                let value = value.trim();
                let wrong = || ResponseError::Head(format!("invalid content length `{value}`"));
                // A sign is not allowed, but Rust's parser accepts it.
                let digits = Some(value).filter(|value| !value.starts_with('+'));
                let given = digits.and_then(|value| value.parse().ok());
                let given: u64 = given.ok_or_else(wrong)?;
                if length.is_some_and(|length| length != given) {
                    return Err(wrong());
                }
                length = Some(given);
            } else if is("connection") {
                for option in values() {
                    close |= option.eq_ignore_ascii_case("close");
                    close &= !option.eq_ignore_ascii_case("keep-alive");
                }
            }
        }
        let state = match (head.code, chunked, length) {
            (Some(101 | 204 | 304), _, _) | (_, false, Some(0)) => State::Done,
            (_, true, _) => State::ChunkSize,
            (_, false, Some(length)) => State::Length(length),
            (_, false, None) => {
                close = true;
                State::UntilClose
            }
        };
        close |= head.code == Some(101);
        Ok(Self {
            state,
            close,
            coding,
            location,
        })
    }
}

/// A coding that hides the content.
fn unreadable_coding(coding: &str) -> Option<String> {
    let plain = ["chunked", "identity", ""];
    let is_plain = plain.iter().any(|plain| coding.eq_ignore_ascii_case(plain));
    (!is_plain).then(|| coding.chars().take(LONGEST_CODING).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Read = Result<(Option<u16>, String, bool, bool), ResponseError>;

    fn read(pieces: &[&[u8]], closed: bool) -> Read {
        let mut response = Response::default();
        let mut body = Vec::new();
        for piece in pieces {
            response.receive(piece, |_, part| body.extend_from_slice(part))?;
        }
        if closed {
            response.closed()?;
        }
        Ok((
            response.status(),
            String::from_utf8_lossy(&body).into_owned(),
            response.is_done(),
            response.keeps_alive(),
        ))
    }

    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nB;a=b\r\n wide world\r\n0\r\nx: y\r\n\r\n";

    #[test]
    fn every_framing_gives_the_body_and_whether_the_connection_can_be_used_again() {
        let cases: [(&[u8], bool, &str, bool); 6] = [
            (CHUNKED, false, "hello wide world", true),
            (
                b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nbad",
                false,
                "bad",
                true,
            ),
            (
                b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nConnection: close\r\n\r\nok",
                false,
                "ok",
                false,
            ),
            (
                b"HTTP/1.0 200 OK\r\n\r\nto the end",
                true,
                "to the end",
                false,
            ),
            (
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx",
                false,
                "x",
                true,
            ),
            (
                b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
                false,
                "",
                true,
            ),
        ];
        for (bytes, closed, body, keeps_alive) in cases {
            let (_, read_body, done, alive) = read(&[bytes], closed).unwrap();
            assert_eq!(
                (read_body.as_str(), done, alive),
                (body, true, keeps_alive),
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[test]
    fn an_answer_that_ends_early_is_an_error_at_every_byte() {
        assert_eq!(read(&[b""], true), Err(ResponseError::Unanswered));
        for length in 1..CHUNKED.len() {
            assert_eq!(
                read(&[&CHUNKED[..length]], true),
                Err(ResponseError::Closed),
                "{length}"
            );
        }
    }

    #[test]
    fn a_coding_that_hides_the_body_is_recognised() {
        for (headers, coding) in [
            ("content-encoding: gzip\r\n", Some("gzip")),
            ("Content-Encoding: identity, br\r\n", Some("br")),
            ("transfer-encoding: gzip, chunked\r\n", Some("gzip")),
            (
                "content-encoding: identity\r\ntransfer-encoding: chunked\r\n",
                None,
            ),
        ] {
            let mut response = Response::default();
            let head = format!("HTTP/1.1 200 OK\r\n{headers}\r\n");
            response.receive(head.as_bytes(), |_, _| ()).unwrap();
            assert_eq!(response.coding(), coding, "{headers}");
        }
    }

    #[test]
    fn a_redirect_has_its_target_without_the_query() {
        for (status, location) in [(307, Some("https://login.example/v1")), (200, None)] {
            let mut response = Response::default();
            let head = format!(
                "HTTP/1.1 {status} X\r\nLocation: https://login.example/v1?token=secret\r\ncontent-length: 0\r\n\r\n"
            );
            response.receive(head.as_bytes(), |_, _| ()).unwrap();
            assert_eq!(response.redirects_to(), location, "{status}");
        }
    }

    #[test]
    fn the_head_of_an_old_or_verbose_gateway_is_read() {
        let many = |count: usize| "x-a: b\r\n".repeat(count);
        for headers in ["x-a: b\r\n  folded\r\n".to_owned(), many(MOST_HEADERS - 1)] {
            let head = format!("HTTP/1.1 200 OK\r\n{headers}content-length: 2\r\n\r\nok");
            let (status, body, done, _) = read(&[head.as_bytes()], false).unwrap();
            assert_eq!((status, body.as_str(), done), (Some(200), "ok", true));
        }
        let head = format!("HTTP/1.1 200 OK\r\n{}\r\n", many(MOST_HEADERS + 1));
        let error = read(&[head.as_bytes()], false).unwrap_err().to_string();
        assert!(error.contains("more than 256 header lines"), "{error}");
    }

    #[test]
    fn another_protocol_does_not_count_as_an_interim_answer() {
        let mut response = Response::default();
        let head = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n";
        response.receive(head, |_, _| ()).unwrap();
        assert_eq!(response.status(), Some(101));
        assert!(response.is_done() && !response.keeps_alive());
    }

    #[test]
    fn broken_answers_are_errors_with_a_reason() {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        for (text, reason) in [
            ("SSH-2.0-OpenSSH\r\n".to_owned(), "not HTTP"),
            (format!("{head}\r\n"), "no size"),
            (format!("{head}-1\r\n"), "no size"),
            (format!("{head}ffffffffffffffffff\r\n"), "no size"),
            (format!("{head}2\r\nabc\r\n"), "longer than its stated size"),
            (format!("{head}0\r\n\r\nmore"), "4 bytes after the end"),
            (format!("{head}{}", "0".repeat(9_000)), "without an end"),
            (
                format!("{head}0\r\n{}", "x: y\r\n".repeat(12_000)),
                "a trailer without an end",
            ),
            (
                "HTTP/1.1 100 Continue\r\n\r\n".repeat(20),
                "a series of interim answers (1xx) without an end",
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n".to_owned(),
                "content length `many`",
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\n".to_owned(),
                "content length `+5`",
            ),
        ] {
            let error = read(&[text.as_bytes()], false).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_split_of_the_bytes_gives_the_same_answer(cuts in prop::collection::vec(0..CHUNKED.len(), 0..12)) {
            let mut ends = cuts;
            ends.push(CHUNKED.len());
            ends.sort_unstable();
            let mut start = 0;
            let pieces: Vec<&[u8]> = ends.into_iter().map(|end| { let piece = &CHUNKED[start..end]; start = end; piece }).collect();
            prop_assert_eq!(read(&pieces, false), read(&[CHUNKED], false));
        }
    }
}
