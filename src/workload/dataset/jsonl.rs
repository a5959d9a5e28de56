//! JSONL: one prompt or list of messages per line, with or without a time stamp; or a list of them. A plain text is a prompt.

use serde::Deserialize;

use super::lines::{self, Refusal, parse, parse_any};
use super::{Content, Entry, Units, output_tokens, timestamp};
use crate::workload::{Message, Role};

/// A line. Other keys are ignored.
#[derive(Default, Deserialize)]
struct Line {
    timestamp: Option<f64>,
    prompt: Option<PromptValue>,
    messages: Option<Vec<RawMessage>>,
    #[serde(alias = "output_len", alias = "output_length", alias = "max_tokens")]
    output_tokens: Option<u32>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "`prompt` must be a text or a list of token ids")]
enum PromptValue {
    Text(String),
    TokenIds(Vec<u32>),
}

#[derive(Deserialize)]
struct RawMessage {
    role: Role,
    content: MessageContent,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "`content` must be a text or a list of parts with `text`"
)]
enum MessageContent {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    text: String,
}

/// The entry of one line.
pub(super) fn entry(line: &[u8], position: usize, units: Units) -> Result<Entry, Refusal> {
    let line = if lines::is_text(line) {
        Line {
            prompt: Some(PromptValue::Text(parse_any(line.trim_ascii_end())?)),
            ..Line::default()
        }
    } else {
        parse(line)?
    };
    let content = match (line.prompt, line.messages) {
        (Some(_), Some(_)) => return Err("has both `prompt` and `messages`".to_owned().into()),
        (None, None) => return Err("has neither `prompt` nor `messages`".to_owned().into()),
        (Some(PromptValue::Text(text)), None) if text.trim().is_empty() => {
            return Err("`prompt` is empty".to_owned().into());
        }
        (Some(PromptValue::Text(text)), None) => Content::Text(text.into()),
        (Some(PromptValue::TokenIds(ids)), None) if ids.is_empty() => {
            return Err("`prompt` is empty".to_owned().into());
        }
        (Some(PromptValue::TokenIds(ids)), None) => Content::TokenIds(ids),
        (None, Some(messages)) => Content::Messages(conversation(messages)?),
    };
    Ok(Entry {
        position,
        at: timestamp(line.timestamp, units.time)?,
        content,
        output_tokens: output_tokens("output_tokens", line.output_tokens)?,
    })
}

fn conversation(messages: Vec<RawMessage>) -> Result<Vec<Message>, String> {
    let messages: Vec<Message> = messages
        .into_iter()
        .map(|RawMessage { role, content }| match content {
            MessageContent::Text(text) => Message::new(role, text),
            MessageContent::Parts(parts) => {
                let texts: Vec<String> = parts.into_iter().map(|part| part.text).collect();
                Message::new(role, texts.join("\n"))
            }
        })
        .collect();
    if !messages.iter().any(|message| message.role == Role::User) {
        return Err("`messages` has no user message".to_owned());
    }
    if let Some(index) = messages
        .iter()
        .position(|message| message.content.trim().is_empty())
    {
        return Err(format!("message {} of `messages` is empty", index + 1));
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Format, read};
    use super::*;

    fn entries(text: &str) -> Result<Vec<Entry>, String> {
        let mut entries = Vec::new();
        read(
            Format::Jsonl,
            Units::default(),
            text.as_bytes(),
            &mut |entry| entries.push(entry),
        )
        .map_err(|error| error.to_string())?;
        Ok(entries)
    }

    #[test]
    fn prompts_are_texts_token_ids_or_messages_with_any_name_of_the_length() {
        let text = concat!(
            "\u{feff}{\"prompt\": \"Why?\", \"output_tokens\": 7, \"id\": \"x\"}\r\n\n",
            "{\"prompt\": [1, 2, 3], \"max_tokens\": 8}\n",
            "{\"messages\": [{\"role\": \"system\", \"content\": \"Be brief.\"}, {\"role\": \"user\", ",
            "\"content\": [{\"type\": \"text\", \"text\": \"Why?\"}]}], \"output_len\": 9}"
        );
        let entries = entries(text).unwrap();
        assert_eq!(entries[0].content, Content::Text("Why?".into()));
        assert_eq!(entries[1].content, Content::TokenIds(vec![1, 2, 3]));
        let Content::Messages(messages) = &entries[2].content else {
            panic!("{entries:?}")
        };
        assert_eq!(messages[1], Message::new(Role::User, "Why?"));
        let lengths: Vec<Option<u32>> = entries.iter().map(|entry| entry.output_tokens).collect();
        assert_eq!(lengths, [Some(7), Some(8), Some(9)]);
    }

    #[test]
    fn a_list_of_texts_prompts_or_messages_is_the_same_as_lines() {
        let messages = "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}";
        for both in [
            ["\"a\"", "\"b\""],
            ["{\"prompt\": \"a\"}", "\"b\""],
            [messages, messages],
        ] {
            let list = entries(&format!(" [{}]", both.join(",\n"))).unwrap();
            assert_eq!(list.len(), 2);
            assert_eq!(list, entries(&both.join("\n")).unwrap());
        }
        let messages = entries("[\"a\",\n{\"prompt\": 5}]").unwrap_err();
        assert!(
            messages.starts_with("entry 2: `prompt` must be"),
            "{messages}"
        );
    }

    #[test]
    fn a_bad_line_is_an_error_with_its_number_and_the_problem() {
        let good = "{\"prompt\": \"a\"}";
        let messages: Vec<String> = [
            "{\"prompt\": 5}",
            "{\"prompt\": \" \"}",
            "{\"prompt\": []}",
            "{\"prompt\": \"a\"",
            "{\"prompt\": \"a\", \"output_tokens\": 0}",
            "{\"prompt\": \"a\", \"output_tokens\": -1}",
            "{\"prompt\": \"a\", \"output_tokens\": 3, \"max_tokens\": 4}",
            "{\"prompt\": \"a\", \"messages\": []}",
            "{\"question\": \"a\"}",
            "{\"messages\": []}",
            "{\"messages\": [{\"role\": \"tool\", \"content\": \"a\"}]}",
            "{\"messages\": [{\"role\": \"user\", \"content\": \"\"}]}",
            "{\"prompt\": \"a\", \"timestamp\": 5}",
            "{\"prompt\": \"a\", \"timestamp\": -5}",
            "[1]",
            "5",
        ]
        .into_iter()
        .map(|line| entries(&format!("{good}\n\n{line}\n{good}")).unwrap_err())
        .collect();
        insta::assert_snapshot!(messages.join("\n"));
    }

    proptest! {
        #[test]
        fn any_text_is_entries_or_an_error(text in "(\\{\"(prompt|messages|timestamp)\": |\\PC|[\\[\\]{}\",:0-9\n]){0,60}") {
            if let Ok(entries) = entries(&text) {
                prop_assert!(entries.iter().enumerate().all(|(index, entry)| entry.position == index));
            }
        }

        #[test]
        fn what_is_written_is_read(prompt in "\\PC*[a-z]\\PC*", tokens in 1_u32..5_000, time in 0.0..1e12_f64) {
            let line = serde_json::json!({"prompt": prompt, "output_tokens": tokens, "timestamp": time});
            let entry = entry(line.to_string().as_bytes(), 3, Units::default()).unwrap();
            prop_assert_eq!(entry.content, Content::Text(prompt.into()));
            prop_assert_eq!(entry.output_tokens, Some(tokens));
            prop_assert!((entry.at.unwrap().as_secs_f64() * 1000.0 - time).abs() < 0.001);
        }
    }
}
