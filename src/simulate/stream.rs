//! Chunks and bodies in the format of vLLM 0.32.

use serde_json::{Value, json};

use super::request::{Accepted, Api};

/// Words of the answers.
const WORDS: [&str; 16] = [
    " river", " stone", " lamp", " green", " quiet", " seven", " paper", " north", " cloud",
    " field", " music", " early", " glass", " table", " water", " light",
];

/// The answer to one request.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) accepted: Accepted,
    pub(super) id: u64,
    pub(super) created: u64,
    pub(super) model: String,
    pub(super) fingerprint: String,
}

impl Answer {
    /// Text of one token.
    fn word(&self, index: u32) -> &'static str {
        let mixed = self
            .id
            .wrapping_mul(31)
            .wrapping_add(u64::from(index).wrapping_mul(7));
        WORDS[usize::try_from(mixed % WORDS.len() as u64).unwrap_or(0)]
    }

    fn name(&self) -> String {
        match self.accepted.api {
            Api::Completions => format!("cmpl-{:016x}", self.id),
            Api::Chat => format!("chatcmpl-{:016x}", self.id),
        }
    }

    fn usage(&self, output: u32) -> Value {
        let prompt = self.accepted.prompt_tokens;
        json!({"prompt_tokens": prompt, "total_tokens": prompt + output, "completion_tokens": output})
    }

    /// All events of token `index`, in one write. In chat the first token includes the role chunk; the last token includes usage
    /// and `[DONE]`.
    pub(super) fn events(&self, index: u32, last: bool) -> String {
        let mut text = String::new();
        let accepted = &self.accepted;
        if accepted.api == Api::Chat && index == 0 {
            let choice = json!({"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": null, "finish_reason": null});
            let mut chunk = self.chunk(&json!([choice]), accepted.continuous_usage.then_some(0));
            chunk["prompt_token_ids"] = Value::Null;
            chunk["prompt_text"] = Value::Null;
            push(&mut text, &chunk);
        }
        let reason = last.then_some(self.accepted.finish_reason);
        let choice = match accepted.api {
            Api::Completions => json!({
                "index": 0, "text": self.word(index), "logprobs": null, "finish_reason": reason, "stop_reason": null,
                "prompt_token_ids": null, "token_ids": null
            }),
            Api::Chat => {
                let mut choice = json!({
                    "index": 0, "delta": {"content": self.word(index)}, "logprobs": null, "finish_reason": reason,
                    "token_ids": null
                });
                if last {
                    choice["stop_reason"] = Value::Null;
                }
                choice
            }
        };
        push(
            &mut text,
            &self.chunk(
                &json!([choice]),
                accepted.continuous_usage.then_some(index + 1),
            ),
        );
        if last {
            if accepted.include_usage {
                let mut chunk = self.chunk(&json!([]), Some(index + 1));
                chunk["system_fingerprint"] = json!(self.fingerprint);
                push(&mut text, &chunk);
            }
            text.push_str("data: [DONE]\n\n");
        }
        text
    }

    /// A failure in the middle of the stream.
    pub(super) fn error_events() -> String {
        let mut text = String::new();
        let message = "EngineCore encountered an issue (simulated)";
        push(
            &mut text,
            &json!({"error": {"message": message, "type": "InternalServerError", "param": null, "code": 500}}),
        );
        text.push_str("data: [DONE]\n\n");
        text
    }

    fn chunk(&self, choices: &Value, usage: Option<u32>) -> Value {
        let object = match self.accepted.api {
            Api::Completions => "text_completion",
            Api::Chat => "chat.completion.chunk",
        };
        let mut chunk = json!({
            "id": self.name(), "object": object, "created": self.created, "model": self.model, "choices": choices
        });
        if let Some(output) = usage {
            chunk["usage"] = self.usage(output);
        }
        chunk
    }

    /// The whole answer for a request without streaming.
    pub(super) fn body(&self) -> Value {
        let output = self.accepted.output_tokens;
        let text: String = (0..output).map(|index| self.word(index)).collect();
        let (object, choice) = match self.accepted.api {
            Api::Completions => (
                "text_completion",
                json!({"index": 0, "text": text, "logprobs": null, "finish_reason": self.accepted.finish_reason, "stop_reason": null}),
            ),
            Api::Chat => (
                "chat.completion",
                json!({
                    "index": 0, "message": {"role": "assistant", "content": text}, "logprobs": null,
                    "finish_reason": self.accepted.finish_reason, "stop_reason": null
                }),
            ),
        };
        json!({
            "id": self.name(), "object": object, "created": self.created, "model": self.model, "choices": [choice],
            "system_fingerprint": self.fingerprint, "usage": self.usage(output)
        })
    }
}

fn push(text: &mut String, event: &Value) {
    text.push_str("data: ");
    text.push_str(&event.to_string());
    text.push_str("\n\n");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn stream(api: Api, continuous_usage: bool, output_tokens: u32) -> Vec<Value> {
        let accepted = Accepted {
            api,
            prompt_tokens: 18,
            output_tokens,
            finish_reason: "length",
            stream: true,
            include_usage: true,
            continuous_usage,
        };
        let answer = Answer {
            accepted,
            id: 1,
            created: 2,
            model: "tiny-llm".to_owned(),
            fingerprint: "f".to_owned(),
        };
        let text: String = (0..output_tokens)
            .map(|index| answer.events(index, index + 1 == output_tokens))
            .collect();
        events(&text)
    }

    fn events(text: &str) -> Vec<Value> {
        let events: Vec<&str> = text
            .split("\n\n")
            .filter(|event| !event.is_empty())
            .collect();
        assert_eq!(events.last(), Some(&"data: [DONE]"));
        events[..events.len() - 1]
            .iter()
            .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
            .collect()
    }

    fn fields(value: &Value, path: &str, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    found.insert(format!("{path}.{name}"));
                    fields(value, &format!("{path}.{name}"), found);
                }
            }
            Value::Array(items) => items
                .iter()
                .for_each(|item| fields(item, &format!("{path}[]"), found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn streams_have_the_fields_of_the_recorded_ones_event_by_event() {
        for (name, api, continuous, tokens) in [
            ("completions-continuous-usage", Api::Completions, true, 12),
            ("completions-usage", Api::Completions, false, 12),
            ("chat-usage", Api::Chat, false, 12),
            ("chat-one-token", Api::Chat, false, 1),
        ] {
            let path = format!(
                "{}/tests/fixtures/vllm-0.32-cpu/sse/{name}.sse",
                env!("CARGO_MANIFEST_DIR")
            );
            let recorded = events(&std::fs::read_to_string(path).unwrap());
            let ours = stream(api, continuous, tokens);
            assert_eq!(ours.len(), recorded.len(), "{name}");
            for (ours, recorded) in ours.iter().zip(&recorded) {
                let (mut a, mut b) = (BTreeSet::new(), BTreeSet::new());
                fields(ours, "", &mut a);
                fields(recorded, "", &mut b);
                assert_eq!(a, b, "{name}: {ours} against {recorded}");
            }
        }
    }
}
