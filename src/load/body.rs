//! Requests as JSON.

use std::borrow::Cow;

use serde::Serialize;

use crate::config::{Endpoint, ExtraBody, STREAM_OPTIONS, Sampling, usage_per_chunk};
use crate::workload::{Prompt, Request, Role};

/// Settings shared by all requests of a run.
#[derive(Clone, Debug)]
pub struct RequestTemplate {
    /// The API.
    pub endpoint: Endpoint,
    /// The name under which the server lists the model.
    pub model: String,
    /// Sampling parameters.
    pub sampling: Sampling,
    /// Additional keys of each body. perfgate sends none of them itself.
    pub extra_body: ExtraBody,
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<PromptBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<MessageBody<'a>>>,
    max_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_tokens: Option<u32>,
    ignore_eos: bool,
    temperature: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    stream: bool,
    stream_options: StreamOptions,
    #[serde(flatten)]
    more: More<'a>,
}

/// The extra body without the parts of keys that perfgate writes.
struct More<'a>(&'a ExtraBody);

impl Serialize for More<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().filter(|(key, _)| *key != STREAM_OPTIONS))
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum PromptBody<'a> {
    TokenIds(&'a [u32]),
    Text(String),
}

#[derive(Serialize)]
struct MessageBody<'a> {
    role: Role,
    content: Cow<'a, str>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    continuous_usage_stats: Option<bool>,
}

impl RequestTemplate {
    /// Path of the API, `/v1/completions`.
    pub fn path(&self) -> &'static str {
        match self.endpoint {
            Endpoint::Completions => "/v1/completions",
            Endpoint::Chat => "/v1/chat/completions",
        }
    }

    /// Tokens of a prompt that is sent as token ids; for a text the server decides.
    pub fn prompt_tokens(&self, request: &Request) -> Option<u64> {
        match (self.endpoint, &request.prompt) {
            (Endpoint::Completions, Prompt::TokenIds(ids)) => Some(ids.len() as u64),
            (Endpoint::Completions | Endpoint::Chat, _) => None,
        }
    }

    /// The JSON body of one request.
    pub fn body(&self, request: &Request) -> serde_json::Result<Vec<u8>> {
        let (prompt, messages) = match (self.endpoint, &request.prompt) {
            (Endpoint::Completions, Prompt::TokenIds(ids)) => {
                (Some(PromptBody::TokenIds(ids)), None)
            }
            (Endpoint::Completions, Prompt::Words(_) | Prompt::Text(_)) => {
                (Some(PromptBody::Text(request.prompt.text())), None)
            }
            // Refused when the plan is read.
            (Endpoint::Completions, Prompt::Messages(_)) => {
                return Err(serde::ser::Error::custom(
                    "the completions API does not accept messages",
                ));
            }
            (Endpoint::Chat, Prompt::Messages(messages)) => {
                let messages = messages.iter().map(|message| MessageBody {
                    role: message.role,
                    content: Cow::Borrowed(&message.content),
                });
                (None, Some(messages.collect()))
            }
            // The chat API does not accept token ids; the numbers as words are at least the same for both sides.
            (Endpoint::Chat, Prompt::Words(_) | Prompt::Text(_) | Prompt::TokenIds(_)) => {
                let content = Cow::Owned(request.prompt.text());
                let role = Role::User;
                (None, Some(vec![MessageBody { role, content }]))
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
                continuous_usage_stats: usage_per_chunk(&self.extra_body),
            },
            more: More(&self.extra_body),
        })
    }

    /// The settings as name and value, for the workload's digest. A setting that was added later appears only where it is
    /// used, so that stored baselines still match.
    pub fn described(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![
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
        ];
        if !self.extra_body.is_empty() {
            let body = serde_json::Value::Object(self.extra_body.clone());
            settings.push(("extra body", body.to_string()));
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Message;

    fn body(endpoint: Endpoint, prompt: Prompt, ignore_eos: bool) -> String {
        String::from_utf8(rendered(endpoint, prompt, ignore_eos).unwrap()).unwrap()
    }

    fn rendered(
        endpoint: Endpoint,
        prompt: Prompt,
        ignore_eos: bool,
    ) -> serde_json::Result<Vec<u8>> {
        let sampling = Sampling {
            temperature: 0.0,
            top_p: None,
            ignore_eos,
        };
        let template = RequestTemplate {
            endpoint,
            model: "m".to_owned(),
            sampling,
            extra_body: ExtraBody::new(),
        };
        let request = Request {
            index: 0,
            prompt,
            output_tokens: 32,
            due: None,
            follows: None,
        };
        template.body(&request)
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

    #[test]
    fn a_chat_sends_a_conversation_and_a_completion_refuses_it() {
        let conversation = || {
            Prompt::Messages(vec![
                Message::new(Role::System, "be brief"),
                Message::new(Role::User, "why?"),
            ])
        };
        insta::assert_snapshot!(
            body(Endpoint::Chat, conversation(), false),
            @r#"{"model":"m","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"why?"}],"max_tokens":32,"ignore_eos":false,"temperature":0.0,"stream":true,"stream_options":{"include_usage":true}}"#
        );
        assert!(rendered(Endpoint::Completions, conversation(), false).is_err());
        insta::assert_snapshot!(
            body(Endpoint::Completions, Prompt::Text("why?".into()), false),
            @r#"{"model":"m","prompt":"why?","max_tokens":32,"ignore_eos":false,"temperature":0.0,"stream":true,"stream_options":{"include_usage":true}}"#
        );
    }
    #[test]
    fn an_extra_body_follows_the_standard_keys_and_is_part_of_the_digest() {
        let template = |extra: serde_json::Value| RequestTemplate {
            endpoint: Endpoint::Completions,
            model: "m".to_owned(),
            sampling: Sampling::default(),
            extra_body: extra.as_object().cloned().unwrap_or_default(),
        };
        let request = Request {
            index: 0,
            prompt: Prompt::TokenIds(vec![300]),
            output_tokens: 2,
            due: None,
            follows: None,
        };
        let more = template(serde_json::json!({"top_k": 20, "chat_template_kwargs": {"a": 0.1}}));
        insta::assert_snapshot!(
            String::from_utf8(more.body(&request).unwrap()).unwrap(),
            @r#"{"model":"m","prompt":[300],"max_tokens":2,"min_tokens":2,"ignore_eos":true,"temperature":0.0,"stream":true,"stream_options":{"include_usage":true},"chat_template_kwargs":{"a":0.1},"top_k":20}"#
        );
        let counted = serde_json::json!({"stream_options": {"continuous_usage_stats": true}});
        let counted = template(counted).body(&request).unwrap();
        let end = r#""stream_options":{"include_usage":true,"continuous_usage_stats":true}}"#;
        assert!(String::from_utf8(counted).unwrap().ends_with(end));
        let nothing = template(serde_json::Value::Null).described();
        assert_eq!(nothing.len(), 5);
        let settings = more.described();
        assert_eq!(settings[..5], nothing);
        insta::assert_snapshot!(settings[5].1, @r#"{"chat_template_kwargs":{"a":0.1},"top_k":20}"#);
    }
}
