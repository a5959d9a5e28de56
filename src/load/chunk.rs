//! Parses one event of a completion stream.
//!
//! The shapes are those of vLLM's `/v1/completions` and `/v1/chat/completions`; unknown fields are skipped.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::secret;

/// The content of one event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent properties of an event"
)]
pub struct Chunk<'a> {
    /// It has generated text: content, reasoning or a tool call. A role alone or an empty text does not count.
    pub has_text: bool,
    /// It has a choice, with or without text: the first token in `vllm bench serve`.
    pub has_choice: bool,
    /// It has a role, like the first chunk of a chat, which also has an empty text.
    pub has_role: bool,
    /// It ends the answer with the finish reason of a complete answer.
    pub is_last: bool,
    /// Prompt tokens, if given, and output tokens so far, as counted by the server. A `usage` without output tokens is
    /// ignored.
    pub usage: Option<(Option<u64>, u64)>,
    /// `system_fingerprint`, if given.
    pub fingerprint: Option<Cow<'a, str>>,
    /// Position of the text in the event, without its quotes, if the event has no other content.
    only_text: Option<Range<usize>>,
}

/// An event that is not a chunk of an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The server reports a failure inside the stream.
    #[error("the server sent an error in the stream: {0}")]
    Server(String),
    /// The server aborted the answer: `abort`, `error`, `content_filter` and every other reason of an incomplete answer.
    #[error("the server ended the answer with `{0}`")]
    Ended(String),
    /// Several answers to one request: their tokens have no separate times.
    #[error("the server sent several choices, but one was requested")]
    Choices,
    /// Not an event of an OpenAI-compatible server.
    #[error("the stream contains an event that is not a completion chunk: {0}")]
    Shape(String),
}

/// Finish reasons of an answer that the model ended, or that reached its length limit.
const ENDS: [&str; 4] = ["stop", "length", "tool_calls", "function_call"];

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    usage: Option<Usage>,
    #[serde(borrow)]
    system_fingerprint: Option<Cow<'a, str>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    // Fields of an error without the field `error`.
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    message: Option<IgnoredAny>,
    code: Option<IgnoredAny>,
    detail: Option<IgnoredAny>,
}

impl Event<'_> {
    /// Whether it is an error, in any of the shapes that servers use. An event without content (only an `id`) is not an
    /// error.
    fn is_error(&self) -> bool {
        let is_chunk = self.choices.is_some() || self.usage.is_some();
        let says_what = self.message.is_some() || self.code.is_some() || self.detail.is_some();
        // Some servers have the field in every chunk, but empty.
        let is_nothing = |error: &RawValue| matches!(error.get(), "false" | "\"\"" | "{}");
        self.error
            .is_some_and(|error| !(is_chunk && is_nothing(error)))
            || self
                .object
                .is_some_and(|object| object.get() == r#""error""#)
            || (!is_chunk && says_what)
    }
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: Count,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    role: Option<IgnoredAny>,
    #[serde(borrow)]
    content: Option<Text<'a>>,
    // vLLM called it `reasoning_content` before it became `reasoning`.
    #[serde(borrow)]
    reasoning_content: Option<Text<'a>>,
    #[serde(borrow)]
    reasoning: Option<Text<'a>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<ToolCall<'a>>>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

impl ToolCall<'_> {
    /// Whether it only announces a call, as some servers do before the first token.
    fn is_announcement(&self) -> bool {
        let is_empty =
            |part: Option<&RawValue>| part.is_none_or(|part| matches!(part.get(), "\"\"" | "{}"));
        let function = self.function.as_ref();
        function.is_some_and(|function| is_empty(function.name) && is_empty(function.arguments))
    }
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default, rename = "prompt_tokens")]
    prompt: Count,
    #[serde(default, rename = "completion_tokens")]
    completion: Count,
    // The names of another OpenAI API, which some gateways use here too.
    #[serde(default, rename = "input_tokens")]
    input: Count,
    #[serde(default, rename = "output_tokens")]
    output: Count,
}

impl Usage {
    fn counts(&self) -> Option<(Option<u64>, u64)> {
        let output = self.completion.0.or(self.output.0)?;
        Some((self.prompt.0.or(self.input.0), output))
    }
}

/// No prompt and no answer has more tokens: larger counts are errors of the server, and must not enter sums.
const MOST_TOKENS: u64 = u32::MAX as u64;

/// A count, if given: `null` counts as absent.
#[derive(Clone, Copy, Default)]
struct Count(Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        if raw == "null" {
            return Ok(Self(None));
        }
        // Some servers write whole numbers as `12.0`.
        let digits = raw.trim_end_matches('0').strip_suffix('.').unwrap_or(raw);
        let count = digits.parse().ok().filter(|count| *count <= MOST_TOKENS);
        count.map(|count| Self(Some(count))).ok_or_else(|| {
            serde::de::Error::custom(format_args!("`{}` is not a valid count", phrase(raw)))
        })
    }
}

/// A string as written in the event, with its quotes, not decoded.
#[derive(Clone, Copy)]
struct Text<'a>(&'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        if raw.starts_with('"') {
            Ok(Self(raw))
        } else {
            let wrong = serde::de::Unexpected::Other("something else");
            Err(serde::de::Error::invalid_type(wrong, &"a string"))
        }
    }
}

impl Text<'_> {
    fn is_empty(self) -> bool {
        self.0.len() == 2
    }

    /// The decoded string.
    fn decoded(self) -> String {
        serde_json::from_str(self.0).unwrap_or_default()
    }

    /// Its position in `data`, without the quotes.
    fn place(self, data: &[u8]) -> Option<Range<usize>> {
        let start = (self.0.as_ptr() as usize).checked_sub(data.as_ptr() as usize)? + 1;
        let end = start + self.0.len() - 2;
        (end < data.len()).then_some(start..end)
    }
}

impl<'a> Choice<'a> {
    /// Every text, empty ones too.
    fn texts(&self) -> impl Iterator<Item = Text<'a>> {
        let of_delta = self
            .delta
            .iter()
            .flat_map(|delta| [delta.content, delta.reasoning_content, delta.reasoning]);
        [self.text].into_iter().chain(of_delta).flatten()
    }

    /// Its finish reason, if any. Some servers send an empty one with every chunk.
    fn end(&self) -> Option<Text<'a>> {
        self.finish_reason.filter(|reason| !reason.is_empty())
    }

    fn calls_tools(&self) -> bool {
        let calls = self
            .delta
            .as_ref()
            .and_then(|delta| delta.tool_calls.as_ref());
        calls.is_some_and(|calls| calls.iter().any(|call| !call.is_announcement()))
    }
}

/// Parses the data of one event, except `[DONE]`.
pub fn read_chunk(data: &[u8]) -> Result<Chunk<'_>, ChunkError> {
    let event: Event<'_> =
        serde_json::from_slice(data).map_err(|error| ChunkError::Shape(error.to_string()))?;
    if event.is_error() {
        return Err(server_error(data));
    }
    let choices = event.choices.unwrap_or_default();
    if choices.len() > 1 || choices.iter().any(|choice| choice.index.0 > Some(0)) {
        return Err(ChunkError::Choices);
    }
    let mut is_last = false;
    for reason in choices.iter().filter_map(Choice::end) {
        let reason = reason.decoded();
        if !ENDS.contains(&reason.as_str()) {
            return Err(ChunkError::Ended(phrase(&reason)));
        }
        is_last = true;
    }
    let calls_tools = choices.iter().any(Choice::calls_tools);
    let mut texts = choices.iter().flat_map(Choice::texts);
    let only_text = match (texts.next(), texts.next()) {
        (Some(text), None) if !is_last && !calls_tools && event.usage.is_none() => text.place(data),
        _ => None,
    };
    let has_text = choices
        .iter()
        .flat_map(Choice::texts)
        .any(|text| !text.is_empty());
    Ok(Chunk {
        has_text: has_text || calls_tools,
        has_choice: !choices.is_empty(),
        has_role: choices
            .iter()
            .filter_map(|choice| choice.delta.as_ref())
            .any(|delta| delta.role.is_some()),
        is_last,
        usage: event.usage.as_ref().and_then(Usage::counts),
        fingerprint: event.system_fingerprint,
        only_text,
    })
}

/// The error in the data of an event of the type `error`.
pub(super) fn server_error(data: &[u8]) -> ChunkError {
    ChunkError::Server(error_text(&String::from_utf8_lossy(data)))
}

/// An event of a stream with its text cut out. The events of a stream differ only in their text, so an event that matches
/// needs no JSON parser: only its text is different.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Pattern {
    /// The pattern of an event whose only content is its text.
    pub fn of(data: &[u8], chunk: &Chunk<'_>) -> Option<Self> {
        let text = chunk.only_text.clone()?;
        Some(Self {
            before: data[..text.start].to_vec(),
            after: data[text.end..].to_vec(),
        })
    }

    /// Whether `data` matches with another text, and if so, whether that text is not empty. For `None` the parser must
    /// decide.
    pub fn has_text(&self, data: &[u8]) -> Option<bool> {
        let text = data
            .strip_prefix(self.before.as_slice())?
            .strip_suffix(self.after.as_slice())?;
        is_string_content(text).then_some(!text.is_empty())
    }
}

/// Whether the bytes are valid between the quotes of a JSON string (RFC 8259 §7).
fn is_string_content(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest
        .iter()
        .position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\'))
    {
        let escaped = match rest[at..] {
            [
                b'\\',
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't',
                ..,
            ] => 2,
            [b'\\', b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(u8::is_ascii_hexdigit) => 6,
            _ => return false,
        };
        rest = &rest[at + escaped..];
    }
    std::str::from_utf8(bytes).is_ok()
}

/// The message in an error body of either shape (`{"error": {"message": …}}`, `{"error": "…"}`), or the start of the body.
/// Secrets are masked before the text is cut or escaped: a server may repeat a header of the request.
pub fn error_text(body: &str) -> String {
    let value: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let message = value.as_ref().and_then(|value| {
        let error = value.get("error").unwrap_or(value);
        let message = error
            .get("message")
            .or_else(|| error.get("detail"))
            .unwrap_or(error);
        message.as_str().map(str::to_owned)
    });
    let text = message.unwrap_or_else(|| secret::masked_json(body));
    phrase(&secret::masked_words(&text))
}

/// Text of a server as a phrase: one line of limited length.
fn phrase(text: &str) -> String {
    const LONGEST: usize = 300;
    let one_line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    one_line.trim().chars().take(LONGEST).collect()
}

#[cfg(test)]
#[path = "chunk_tests.rs"]
mod tests;
