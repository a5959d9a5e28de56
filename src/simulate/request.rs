//! Parses a completion request with vLLM's checks and vLLM's error messages.

use serde::Deserialize;
use serde_json::{Value, json};

use super::options::Options;

/// Tokens that a chat template adds per message.
const TEMPLATE_TOKENS: u32 = 8;

/// vLLM's default for a completion without `max_tokens`.
const DEFAULT_MAX_TOKENS: u32 = 16;

/// The called API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Completions,
    Chat,
}

/// An accepted request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) api: Api,
    pub(super) prompt_tokens: u32,
    pub(super) output_tokens: u32,
    /// `length`, or `stop` if the answer ends before its limit.
    pub(super) finish_reason: &'static str,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    pub(super) continuous_usage: bool,
}

/// A refused request, with its status.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) body: Value,
}

#[derive(Debug, Deserialize)]
struct Body {
    model: Option<String>,
    prompt: Option<Value>,
    messages: Option<Vec<Message>>,
    max_tokens: Option<i64>,
    max_completion_tokens: Option<i64>,
    min_tokens: Option<i64>,
    ignore_eos: Option<bool>,
    n: Option<u32>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    content: Value,
}

#[derive(Debug, Default, Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
    continuous_usage_stats: Option<bool>,
}

/// An error in vLLM's format.
pub(super) fn refused(status: u16, kind: &str, param: &str, message: &str) -> Refused {
    let body = json!({"error": {"message": message, "type": kind, "param": param, "code": status}});
    Refused { status, body }
}

fn bad(param: &str, message: &str) -> Refused {
    refused(400, "BadRequestError", param, message)
}

/// Parses and checks a body.
pub(super) fn read(api: Api, bytes: &[u8], options: &Options) -> Result<Accepted, Refused> {
    let body: Body = serde_json::from_slice(bytes).map_err(|error| {
        refused(
            400,
            "Bad Request",
            "body",
            &format!("1 validation error:\n  {{'loc': 'body', 'msg': '{error}'}}"),
        )
    })?;
    if let Some(model) = body
        .model
        .as_deref()
        .filter(|model| *model != options.model)
    {
        let message = format!(
            "The model `{model}` does not exist. Valid aliases: {}.",
            options.model
        );
        return Err(refused(404, "NotFoundError", "model", &message));
    }
    let stream = body.stream.unwrap_or(false);
    if body.stream_options.is_some() && !stream {
        let message =
            "Stream options can only be defined when `stream=True`. (parameter=stream_options)";
        return Err(bad("stream_options", message));
    }
    if body.n.unwrap_or(1) != 1 {
        return Err(bad(
            "n",
            "The simulator answers with one choice only. (parameter=n)",
        ));
    }
    let (prompt_tokens, fingerprint) = prompt(api, &body)?;
    if prompt_tokens >= options.max_model_len {
        let limit = options.max_model_len;
        let message = format!(
            "This model's maximum context length is {limit} tokens. However, your prompt contains at least \
             {prompt_tokens} input tokens. Please reduce the length of the input prompt. (parameter=input_tokens, \
             value={prompt_tokens})"
        );
        return Err(bad("input_tokens", &message));
    }
    let most = output_limit(api, &body, prompt_tokens, options)?;
    let least = body
        .min_tokens
        .and_then(|least| u32::try_from(least).ok())
        .unwrap_or(0)
        .min(most)
        .max(1);
    // Deterministic by prompt, as greedy sampling is: the same prompt ends at the same position in every run.
    let drawn = if body.ignore_eos.unwrap_or(false) {
        most
    } else {
        ending(fingerprint, least, most)
    };
    // A request that never fits would block all requests behind it.
    let capacity = options.cache_tokens();
    if u64::from(prompt_tokens) + u64::from(drawn) > capacity {
        let needed = u64::from(prompt_tokens) + u64::from(drawn);
        let message = format!(
            "The KV cache holds {capacity} tokens and this request needs {needed}. (parameter=input_tokens)"
        );
        return Err(bad("input_tokens", &message));
    }
    let usage = body.stream_options.unwrap_or_default();
    Ok(Accepted {
        api,
        prompt_tokens,
        output_tokens: drawn,
        finish_reason: if drawn < most { "stop" } else { "length" },
        stream,
        include_usage: usage.include_usage.unwrap_or(false),
        continuous_usage: usage.continuous_usage_stats.unwrap_or(false),
    })
}

/// Number of tokens of the prompt, and a number that identifies its content.
fn prompt(api: Api, body: &Body) -> Result<(u32, u64), Refused> {
    let missing =
        "Either prompt or prompt_embeds must be provided and non-empty. (parameter=prompt)";
    let (tokens, text) = match api {
        Api::Chat => {
            let messages = body.messages.as_deref().unwrap_or_default();
            if messages.is_empty() {
                let message = "1 validation error:\n  {'type': 'missing', 'loc': 'body.messages', 'msg': 'Field required'}";
                return Err(refused(400, "Bad Request", "body.messages", message));
            }
            let text: Vec<String> = messages
                .iter()
                .map(|message| content(&message.content))
                .collect();
            let text = text.join("\n");
            (count_tokens(&text) + TEMPLATE_TOKENS, text)
        }
        Api::Completions => match body.prompt.as_ref() {
            Some(Value::String(text)) if !text.is_empty() => (count_tokens(text), text.clone()),
            Some(Value::Array(ids)) if !ids.is_empty() && ids.iter().all(Value::is_u64) => (
                u32::try_from(ids.len()).unwrap_or(u32::MAX),
                body.prompt
                    .as_ref()
                    .map(Value::to_string)
                    .unwrap_or_default(),
            ),
            Some(Value::Array(ids)) if !ids.is_empty() => {
                return Err(bad(
                    "prompt",
                    "The simulator takes one prompt a request. (parameter=prompt)",
                ));
            }
            Some(_) | None => return Err(bad("prompt", missing)),
        },
    };
    Ok((tokens.max(1), fnv(text.as_bytes())))
}

fn content(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part.get("text").and_then(Value::as_str))
            .collect::<Vec<_>>()
            .join("\n"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

/// One token per word: the simulator has no vocabulary.
pub(super) fn count_tokens(text: &str) -> u32 {
    u32::try_from(text.split_whitespace().count()).unwrap_or(u32::MAX)
}

fn output_limit(
    api: Api,
    body: &Body,
    prompt_tokens: u32,
    options: &Options,
) -> Result<u32, Refused> {
    let left = options.max_model_len - prompt_tokens;
    let asked = body.max_completion_tokens.or(body.max_tokens);
    let limit = options.max_model_len;
    match asked {
        None if api == Api::Chat => Ok(left),
        None => Ok(DEFAULT_MAX_TOKENS.min(left)),
        Some(asked) if asked < 1 => {
            let message = format!(
                "max_tokens must be at least 1, got {asked}. (parameter=max_tokens, value={asked})"
            );
            Err(bad("max_tokens", &message))
        }
        Some(asked) => match u32::try_from(asked) {
            Ok(tokens) if tokens <= left => Ok(tokens),
            Ok(_) | Err(_) => {
                let message = format!(
                    "max_tokens={asked} cannot be greater than max_model_len={limit} less the prompt. Please request \
                     fewer output tokens. (parameter=max_tokens, value={asked})"
                );
                Err(bad("max_tokens", &message))
            }
        },
    }
}

/// Length of an answer without a fixed length: derived from the prompt, between both limits.
fn ending(fingerprint: u64, least: u32, most: u32) -> u32 {
    let span = u64::from(most - least) + 1;
    least + u32::try_from(fingerprint % span).unwrap_or(0)
}

/// FNV-1a: spreads prompts over lengths; its cryptographic strength does not matter.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completion(body: &str) -> Result<Accepted, Refused> {
        read(
            Api::Completions,
            body.as_bytes(),
            &Options {
                model: "m".to_owned(),
                max_model_len: 2048,
                ..Options::default()
            },
        )
    }

    #[test]
    fn token_ids_and_ignored_ends_give_exact_lengths() {
        let accepted = completion(r#"{"model":"m","prompt":[300,301,302],"max_tokens":12,"ignore_eos":true,"stream":true,"stream_options":{"include_usage":true}}"#).unwrap();
        assert_eq!(
            (
                accepted.prompt_tokens,
                accepted.output_tokens,
                accepted.finish_reason
            ),
            (3, 12, "length")
        );
        assert!(accepted.include_usage && accepted.stream);
    }

    #[test]
    fn an_answer_may_end_early_and_always_at_the_same_position() {
        let body =
            r#"{"model":"m","prompt":"hello brain the river","max_tokens":500,"min_tokens":100}"#;
        let accepted = completion(body).unwrap();
        assert!((100..=500).contains(&accepted.output_tokens));
        assert_eq!(completion(body), Ok(accepted));
    }

    #[test]
    fn a_request_that_never_fits_is_refused_instead_of_blocking_the_queue() {
        let small = Options {
            model: "m".to_owned(),
            kv_cache_tokens: 100,
            ..Options::default()
        };
        let body =
            |tokens: u32| format!(r#"{{"prompt":[1,2],"max_tokens":{tokens},"ignore_eos":true}}"#);
        assert!(read(Api::Completions, body(98).as_bytes(), &small).is_ok());
        assert_eq!(
            read(Api::Completions, body(99).as_bytes(), &small)
                .unwrap_err()
                .status,
            400
        );
    }

    #[test]
    fn refusals_have_the_status_and_the_message_of_the_real_server() {
        let recorded = |name: &str| {
            let path = format!(
                "{}/tests/fixtures/vllm-0.32-cpu/errors/{name}.json",
                env!("CARGO_MANIFEST_DIR")
            );
            serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap()
        };
        let named = Options {
            model: "tiny-llm".to_owned(),
            max_model_len: 2048,
            ..Options::default()
        };
        for (name, status, body) in [
            (
                "bad-model",
                404,
                r#"{"model":"no-such-model","prompt":"a"}"#,
            ),
            ("missing-prompt", 400, r#"{"model":"tiny-llm"}"#),
            (
                "negative-max-tokens",
                400,
                r#"{"model":"tiny-llm","prompt":"a","max_tokens":-1}"#,
            ),
            (
                "stream-options-without-stream",
                400,
                r#"{"model":"tiny-llm","prompt":"a","stream_options":{}}"#,
            ),
        ] {
            let refused = read(Api::Completions, body.as_bytes(), &named).unwrap_err();
            assert_eq!(
                (refused.status, refused.body),
                (status, recorded(name)),
                "{name}"
            );
        }
        assert_eq!(completion("{").unwrap_err().status, 400);
        assert_eq!(
            completion(r#"{"prompt":"a","max_tokens":"many"}"#)
                .unwrap_err()
                .status,
            400
        );
    }
}
