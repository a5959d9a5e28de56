//! Requests as JSON.

use serde::Serialize;

use crate::config::{Endpoint, Sampling};
use crate::workload::{Prompt, Request};

/// What all requests of a run have in common.
#[derive(Clone, Debug)]
pub struct RequestTemplate {
    /// Which API.
    pub endpoint: Endpoint,
    /// The name under which the server lists the model.
    pub model: String,
    /// Sampling parameters.
    pub sampling: Sampling,
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<PromptBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<[Message; 1]>,
    max_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_tokens: Option<u32>,
    ignore_eos: bool,
    temperature: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    stream: bool,
    stream_options: StreamOptions,
}

enum PromptBody<'a> {
    TokenIds(&'a [u32]),
    Text(String),
}

impl Serialize for PromptBody<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::TokenIds(ids) => ids.serialize(serializer),
            Self::Text(text) => text.serialize(serializer),
        }
    }
}

#[derive(Serialize)]
struct Message {
    role: &'static str,
    content: String,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

impl RequestTemplate {
    /// Path of the API, `/v1/completions`.
    pub fn path(&self) -> &'static str {
        match self.endpoint {
            Endpoint::Completions => "/v1/completions",
            Endpoint::Chat => "/v1/chat/completions",
        }
    }

    /// The JSON body of one request.
    pub fn body(&self, request: &Request) -> serde_json::Result<Vec<u8>> {
        let text = |words: &[&str]| words.join(" ");
        let (prompt, messages) = match (self.endpoint, &request.prompt) {
            (Endpoint::Completions, Prompt::TokenIds(ids)) => {
                (Some(PromptBody::TokenIds(ids)), None)
            }
            (Endpoint::Completions, Prompt::Words(words)) => {
                (Some(PromptBody::Text(text(words))), None)
            }
            (Endpoint::Chat, Prompt::Words(words)) => (
                None,
                Some([Message {
                    role: "user",
                    content: text(words),
                }]),
            ),
            // Chat has no way to send token ids; the numbers as words are at least the same for both sides.
            (Endpoint::Chat, Prompt::TokenIds(ids)) => {
                let content = ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
                (
                    None,
                    Some([Message {
                        role: "user",
                        content,
                    }]),
                )
            }
        };
        serde_json::to_vec(&Body {
            model: &self.model,
            prompt,
            messages,
            max_tokens: request.output_tokens,
            min_tokens: self.sampling.ignore_eos.then_some(request.output_tokens),
            ignore_eos: self.sampling.ignore_eos,
            temperature: self.sampling.temperature,
            top_p: self.sampling.top_p,
            stream: true,
            stream_options: StreamOptions {
                include_usage: true,
            },
        })
    }

    /// The settings as name and value, for the workload's digest.
    pub fn described(&self) -> Vec<(&'static str, String)> {
        vec![
            ("path", self.path().to_owned()),
            ("model", self.model.clone()),
            ("temperature", self.sampling.temperature.to_string()),
            (
                "top_p",
                self.sampling
                    .top_p
                    .map(|top_p| top_p.to_string())
                    .unwrap_or_default(),
            ),
            ("ignore_eos", self.sampling.ignore_eos.to_string()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(endpoint: Endpoint, prompt: Prompt, ignore_eos: bool) -> String {
        let sampling = Sampling {
            temperature: 0.0,
            top_p: None,
            ignore_eos,
        };
        let template = RequestTemplate {
            endpoint,
            model: "m".to_owned(),
            sampling,
        };
        let request = Request {
            index: 0,
            prompt,
            output_tokens: 32,
        };
        String::from_utf8(template.body(&request).unwrap()).unwrap()
    }

    #[test]
    fn a_completion_carries_token_ids_and_exact_lengths() {
        insta::assert_snapshot!(
            body(Endpoint::Completions, Prompt::TokenIds(vec![300, 301]), true),
            @r#"{"model":"m","prompt":[300,301],"max_tokens":32,"min_tokens":32,"ignore_eos":true,"temperature":0.0,"stream":true,"stream_options":{"include_usage":true}}"#
        );
    }

    #[test]
    fn a_chat_carries_one_user_message() {
        insta::assert_snapshot!(
            body(Endpoint::Chat, Prompt::Words(vec!["about", "after"]), false),
            @r#"{"model":"m","messages":[{"role":"user","content":"about after"}],"max_tokens":32,"ignore_eos":false,"temperature":0.0,"stream":true,"stream_options":{"include_usage":true}}"#
        );
    }
}
