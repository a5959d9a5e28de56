//! What the body of each request has beside what perfgate writes into it.

use serde_json::Value;

use crate::json;
use crate::limits::{self, Limit};

/// Keys and values.
pub type ExtraBody = serde_json::Map<String, Value>;

/// The one key that perfgate writes and whose value the extra body adds to.
pub const STREAM_OPTIONS: &str = "stream_options";

const USAGE_PER_CHUNK: &str = "continuous_usage_stats";

/// Keys that perfgate writes itself, or that would make another thing of what it measures, and what to do instead.
const OWN: [(&str, &str); 15] = [
    ("model", "use `model` and `served_model_name`"),
    ("prompt", PROMPTS),
    ("prompt_embeds", PROMPTS),
    ("messages", PROMPTS),
    ("stream", STREAM),
    (STREAM_OPTIONS, USAGE),
    ("max_tokens", LENGTHS),
    ("max_completion_tokens", LENGTHS),
    ("min_tokens", LENGTHS),
    ("ignore_eos", SAMPLING),
    ("temperature", SAMPLING),
    ("top_p", SAMPLING),
    ("n", ONE_ANSWER),
    ("best_of", ONE_ANSWER),
    (
        "echo",
        "take it out: a prompt that comes back would count as the answer's first token",
    ),
];

const PROMPTS: &str = "use `dataset`, or `input_tokens` and `prompts`";
const STREAM: &str = "take it out: perfgate measures streams, with their `usage`";
const USAGE: &str = "take it out, or ask for `{continuous_usage_stats: true}` alone";
const LENGTHS: &str = "use `output_tokens`";
const SAMPLING: &str = "use `sampling: {temperature: 0, top_p: 1, ignore_eos: true}`";
const ONE_ANSWER: &str = "take it out: each request is measured with one answer";

/// Why this cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongExtraBody {
    /// No JSON, or a key twice.
    #[error("`--extra-body` cannot be read: {0}")]
    Json(String),
    /// JSON, but no object.
    #[error("`--extra-body` must be an object of JSON, not {0}")]
    Shape(&'static str),
    /// A key of perfgate's own.
    #[error("perfgate decides `{key}` of the body itself")]
    Own {
        /// The key.
        key: String,
        /// What to do.
        instead: &'static str,
    },
    /// Of the file and the command line together.
    #[error("what `extra_body` and `--extra-body` give together {0}")]
    TooLarge(Limit),
}

impl WrongExtraBody {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Json(_) | Self::Shape(_) => {
                "write it as in `--extra-body '{\"top_k\": 20}'`, in quotes"
            }
            Self::Own { instead, .. } => instead,
            Self::TooLarge(_) => "send less: it goes along with every request",
        }
    }
}

/// That of a command line.
pub fn extra_body_of(text: &str) -> Result<ExtraBody, WrongExtraBody> {
    if text.len() as u64 > limits::EXTRA_BODY.bytes {
        return Err(WrongExtraBody::TooLarge(limits::EXTRA_BODY));
    }
    let value = json::parse(text.as_bytes());
    let kind = match value.map_err(|error| WrongExtraBody::Json(error.to_string()))? {
        Value::Object(body) => return Ok(body),
        Value::Array(_) => "a list",
        Value::String(_) => "a text",
        Value::Number(_) => "a number",
        Value::Bool(_) => "true or false",
        Value::Null => "null",
    };
    Err(WrongExtraBody::Shape(kind))
}

/// Whether it can be sent beside what perfgate writes.
pub fn check_extra_body(body: &ExtraBody) -> Result<(), WrongExtraBody> {
    for (key, value) in body {
        if let Some(instead) = instead_of(key, value) {
            let key = key.clone();
            return Err(WrongExtraBody::Own { key, instead });
        }
    }
    let text = serde_json::to_string(body).unwrap_or_default();
    if text.len() as u64 > limits::EXTRA_BODY.bytes {
        return Err(WrongExtraBody::TooLarge(limits::EXTRA_BODY));
    }
    Ok(())
}

/// What to do in place of a key that perfgate decides itself.
pub(super) fn instead_of(key: &str, value: &Value) -> Option<&'static str> {
    if key == STREAM_OPTIONS && asks_for_usage_per_chunk(value) {
        return None;
    }
    let own = OWN.iter().find(|(own, _)| *own == key);
    own.map(|(_, instead)| *instead)
}

/// Whether these are the one option of a stream that may be asked for: vLLM and `SGLang` then count the tokens in each chunk.
/// That costs the server time for each of them, so it is not asked for unless somebody wants it.
fn asks_for_usage_per_chunk(options: &Value) -> bool {
    options.as_object().is_some_and(|options| {
        options.len() == 1 && matches!(options.get(USAGE_PER_CHUNK), Some(Value::Bool(_)))
    })
}

/// `usage` in each chunk, where the extra body decides about it.
pub fn usage_per_chunk(body: &ExtraBody) -> Option<bool> {
    body.get(STREAM_OPTIONS)?.get(USAGE_PER_CHUNK)?.as_bool()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        let read = extra_body_of(text).and_then(|body| {
            check_extra_body(&body)?;
            Ok(body)
        });
        match read {
            Ok(body) => Value::Object(body).to_string(),
            Err(wrong) => format!("{wrong}; {}", wrong.hint()),
        }
    }

    #[test]
    fn an_object_is_sent_as_it_is_whatever_the_order_of_its_keys() {
        insta::assert_snapshot!(said(r#"{"top_k": 20, "seed": null, "chat_template_kwargs": {"enable_thinking": false}}"#), @r#"{"chat_template_kwargs":{"enable_thinking":false},"seed":null,"top_k":20}"#);
        insta::assert_snapshot!(said(r#"{"stream_options": {"continuous_usage_stats": true}}"#), @r#"{"stream_options":{"continuous_usage_stats":true}}"#);
    }

    #[test]
    fn what_cannot_be_sent_is_refused_with_what_to_do() {
        insta::assert_snapshot!(said("{top_k: 20}"), @r#"`--extra-body` cannot be read: key must be a string at line 1 column 2; write it as in `--extra-body '{"top_k": 20}'`, in quotes"#);
        insta::assert_snapshot!(said(r#"{"top_k": 20, "top_k": 40}"#), @r#"`--extra-body` cannot be read: duplicate key `top_k` at line 1 column 21; write it as in `--extra-body '{"top_k": 20}'`, in quotes"#);
        insta::assert_snapshot!(said("[1]"), @r#"`--extra-body` must be an object of JSON, not a list; write it as in `--extra-body '{"top_k": 20}'`, in quotes"#);
        insta::assert_snapshot!(said(r#"{"max_tokens": 1}"#), @"perfgate decides `max_tokens` of the body itself; use `output_tokens`");
        for options in [
            r#"{"include_usage": false}"#,
            r#"{"continuous_usage_stats": true, "include_usage": false}"#,
            r#"{"continuous_usage_stats": 1}"#,
            "null",
        ] {
            let told = said(&format!(r#"{{"stream_options": {options}}}"#));
            assert!(
                told.starts_with("perfgate decides `stream_options` of the body itself; "),
                "{told}"
            );
        }
        let long = format!(r#"{{"stop": "{}"}}"#, "x".repeat(70_000));
        insta::assert_snapshot!(said(&long), @"what `extra_body` and `--extra-body` give together is larger than 64 KiB, the limit of an extra request body; send less: it goes along with every request");
    }

    #[test]
    fn every_key_that_a_request_has_already_is_one_of_perfgates_own() {
        use crate::config::{Endpoint, Sampling};
        use crate::load::RequestTemplate;
        use crate::workload::{Prompt, Request};

        for endpoint in [Endpoint::Completions, Endpoint::Chat] {
            let template = RequestTemplate {
                endpoint,
                model: "m".to_owned(),
                sampling: Sampling {
                    top_p: Some(0.5),
                    ..Sampling::default()
                },
                extra_body: ExtraBody::new(),
            };
            let request = Request {
                index: 0,
                prompt: Prompt::Words(vec!["why"]),
                output_tokens: 1,
                due: None,
                follows: None,
            };
            let body: ExtraBody =
                serde_json::from_slice(&template.body(&request).unwrap()).unwrap();
            for key in body.keys() {
                assert!(instead_of(key, &Value::Null).is_some(), "{key}");
            }
        }
    }
}
