//! Extra keys for the body of each request, beside those that perfgate writes.

use serde_json::Value;

use crate::json;
use crate::limits::{self, Limit};

/// Keys and values.
pub type ExtraBody = serde_json::Map<String, Value>;

/// The only key of perfgate's own to which the extra body may add.
pub const STREAM_OPTIONS: &str = "stream_options";

const USAGE_PER_CHUNK: &str = "continuous_usage_stats";

/// Keys that perfgate sets itself or that would change what it measures, and what to do instead.
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
        "remove it: the server would return the prompt, and perfgate would count it as the first token",
    ),
];

const PROMPTS: &str = "use `dataset`, or `input_tokens` and `prompts`";
const STREAM: &str = "remove it: perfgate measures streams and needs their `usage`";
const USAGE: &str = "remove it, or set only `{continuous_usage_stats: true}`";
const LENGTHS: &str = "use `output_tokens`";
const SAMPLING: &str = "use `sampling: {temperature: 0, top_p: 1, ignore_eos: true}`";
const ONE_ANSWER: &str = "remove it: perfgate measures one answer for each request";

/// Why an extra body is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongExtraBody {
    /// Not valid JSON, or a key is given twice.
    #[error("`--extra-body` cannot be read: {0}")]
    Json(String),
    /// JSON, but not an object.
    #[error("`--extra-body` must be a JSON object, not {0}")]
    Shape(&'static str),
    /// A key that perfgate sets itself.
    #[error("perfgate sets the body key `{key}` itself")]
    Own {
        /// The key.
        key: String,
        /// What to do.
        instead: &'static str,
    },
    /// File and command line together are too large.
    #[error("the body from `extra_body` and `--extra-body` {0}")]
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
            Self::TooLarge(_) => "make it smaller: every request carries it",
        }
    }
}

/// The extra body from the command line.
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

/// Checks that the extra body does not change keys that perfgate sets.
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

/// What to do instead of setting a key that perfgate sets itself.
pub(super) fn instead_of(key: &str, value: &Value) -> Option<&'static str> {
    if key == STREAM_OPTIONS && enables_usage_per_chunk(value) {
        return None;
    }
    let own = OWN.iter().find(|(own, _)| *own == key);
    own.map(|(_, instead)| *instead)
}

/// Whether this is the only stream option that users may set: vLLM and `SGLang` then count the tokens in each chunk.
/// This costs server time for each chunk, so perfgate sets it only on request.
fn enables_usage_per_chunk(options: &Value) -> bool {
    options.as_object().is_some_and(|options| {
        options.len() == 1 && matches!(options.get(USAGE_PER_CHUNK), Some(Value::Bool(_)))
    })
}

/// Whether the extra body requests `usage` in each chunk; `None` if it does not set it.
pub fn usage_per_chunk(body: &ExtraBody) -> Option<bool> {
    body.get(STREAM_OPTIONS)?.get(USAGE_PER_CHUNK)?.as_bool()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
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
    fn an_object_is_accepted_in_any_order_of_keys() {
        insta::assert_snapshot!(message(r#"{"top_k": 20, "seed": null, "chat_template_kwargs": {"enable_thinking": false}}"#), @r#"{"chat_template_kwargs":{"enable_thinking":false},"seed":null,"top_k":20}"#);
        insta::assert_snapshot!(message(r#"{"stream_options": {"continuous_usage_stats": true}}"#), @r#"{"stream_options":{"continuous_usage_stats":true}}"#);
    }

    #[test]
    fn a_forbidden_body_is_refused_with_a_hint() {
        insta::assert_snapshot!(message("{top_k: 20}"), @r#"`--extra-body` cannot be read: key must be a string at line 1 column 2; write it as in `--extra-body '{"top_k": 20}'`, in quotes"#);
        insta::assert_snapshot!(message(r#"{"top_k": 20, "top_k": 40}"#), @r#"`--extra-body` cannot be read: duplicate key `top_k` at line 1 column 21; write it as in `--extra-body '{"top_k": 20}'`, in quotes"#);
        insta::assert_snapshot!(message("[1]"), @r#"`--extra-body` must be a JSON object, not a list; write it as in `--extra-body '{"top_k": 20}'`, in quotes"#);
        insta::assert_snapshot!(message(r#"{"max_tokens": 1}"#), @"perfgate sets the body key `max_tokens` itself; use `output_tokens`");
        for options in [
            r#"{"include_usage": false}"#,
            r#"{"continuous_usage_stats": true, "include_usage": false}"#,
            r#"{"continuous_usage_stats": 1}"#,
            "null",
        ] {
            let refusal = message(&format!(r#"{{"stream_options": {options}}}"#));
            assert!(
                refusal.starts_with("perfgate sets the body key `stream_options` itself; "),
                "{refusal}"
            );
        }
        let long = format!(r#"{{"stop": "{}"}}"#, "x".repeat(70_000));
        insta::assert_snapshot!(message(&long), @"the body from `extra_body` and `--extra-body` is larger than 64 KiB, the limit of an extra request body; make it smaller: every request carries it");
    }

    #[test]
    fn every_key_that_perfgate_writes_is_refused() {
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
