//! What one event of a completion stream says.
//!
//! The shapes are those of vLLM's `/v1/completions` and `/v1/chat/completions`; unknown fields are skipped.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// What one event says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// It carries generated text: content, reasoning or a tool call. A role alone or an empty text is none.
    pub has_text: bool,
    /// It belongs to the answer: text, or an empty last piece with the finish reason.
    pub is_answer: bool,
    /// Why the answer ended, where this chunk ends it.
    pub finish_reason: Option<String>,
    /// Prompt and output tokens so far, as the server counted them.
    pub usage: Option<(u64, u64)>,
    /// `system_fingerprint`, where given.
    pub fingerprint: Option<String>,
}

/// An event that is no chunk of an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The server says that it failed, in the middle of a stream.
    #[error("the server sent an error in the stream: {0}")]
    Server(String),
    /// Not what an OpenAI-compatible server sends.
    #[error("the stream has an event that is no completion chunk: {0}")]
    Shape(String),
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default)]
    choices: Vec<Choice<'a>>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    system_fingerprint: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<Cow<'a, str>>,
    // vLLM called it `reasoning_content` before it became `reasoning`.
    #[serde(borrow, default)]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reasoning: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

impl Choice<'_> {
    fn has_text(&self) -> bool {
        let filled =
            |text: &Option<Cow<'_, str>>| text.as_ref().is_some_and(|text| !text.is_empty());
        filled(&self.text)
            || self.delta.as_ref().is_some_and(|delta| {
                filled(&delta.content)
                    || filled(&delta.reasoning_content)
                    || filled(&delta.reasoning)
                    || delta
                        .tool_calls
                        .as_ref()
                        .is_some_and(|calls| !calls.is_empty())
            })
    }
}

/// Reads the data of one event. `[DONE]` is not one of them.
pub fn read_chunk(data: &[u8]) -> Result<Chunk, ChunkError> {
    let event: Event<'_> =
        serde_json::from_slice(data).map_err(|error| ChunkError::Shape(error.to_string()))?;
    if let Some(error) = event.error {
        return Err(ChunkError::Server(error_text(error.get())));
    }
    let has_text = event.choices.iter().any(Choice::has_text);
    let finish_reason = event
        .choices
        .iter()
        .find_map(|choice| choice.finish_reason.as_deref());
    Ok(Chunk {
        has_text,
        is_answer: has_text || finish_reason.is_some(),
        finish_reason: finish_reason.map(str::to_owned),
        usage: event
            .usage
            .map(|usage| (usage.prompt_tokens, usage.completion_tokens)),
        fingerprint: event.system_fingerprint.map(Cow::into_owned),
    })
}

/// The message in an error body of either shape (`{"error": {"message": …}}`, `{"error": "…"}`), or the body's begin.
pub fn error_text(body: &str) -> String {
    /// A reason is a phrase; a whole page in a status column helps nobody.
    const LONGEST: usize = 300;
    let value: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let message = value.as_ref().and_then(|value| {
        let error = value.get("error").unwrap_or(value);
        let message = error
            .get("message")
            .or_else(|| error.get("detail"))
            .unwrap_or(error);
        message.as_str().map(str::to_owned)
    });
    let text = message.unwrap_or_else(|| body.to_owned());
    let one_line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    one_line.trim().chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_or_an_empty_text_is_no_token() {
        for data in [
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
            r#"{"choices":[{"index":0,"text":"","finish_reason":null}]}"#,
        ] {
            let chunk = read_chunk(data.as_bytes()).unwrap();
            assert!(!chunk.has_text && !chunk.is_answer, "{data}");
        }
    }

    #[test]
    fn content_reasoning_and_tool_calls_are_tokens() {
        for delta in [
            r#"{"content":"a"}"#,
            r#"{"reasoning_content":"a"}"#,
            r#"{"reasoning":"\u00e9"}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}"#,
        ] {
            let data = format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#);
            assert!(read_chunk(data.as_bytes()).unwrap().has_text, "{data}");
        }
    }

    #[test]
    fn the_last_chunk_may_be_empty_but_for_its_finish_reason() {
        let chunk = read_chunk(br#"{"choices":[{"text":"","finish_reason":"length"}]}"#).unwrap();
        assert!(chunk.is_answer && !chunk.has_text);
        assert_eq!(chunk.finish_reason.as_deref(), Some("length"));
    }

    #[test]
    fn an_error_in_the_stream_is_a_failure_with_the_servers_words() {
        let object =
            br#"{"error":{"message":"engine is dead","type":"InternalServerError","code":500}}"#;
        assert_eq!(
            read_chunk(object),
            Err(ChunkError::Server("engine is dead".to_owned()))
        );
        assert_eq!(
            read_chunk(br#"{"error":"gone"}"#),
            Err(ChunkError::Server("gone".to_owned()))
        );
    }

    #[test]
    fn an_error_body_of_any_shape_becomes_one_line() {
        assert_eq!(
            error_text(r#"{"error":{"message":"too\nlong"}}"#),
            "too long"
        );
        assert_eq!(error_text(r#"{"detail":"Not Found"}"#), "Not Found");
        assert_eq!(error_text("<html>\u{1b}[31m"), "<html> [31m");
    }
}
