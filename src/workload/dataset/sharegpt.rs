//! ShareGPT: a list of `conversations`, each of turns with `from` and `value`; or one such entry per line. Turns of `role`
//! and `content`, as other clients write them, are accepted too.

use serde::Deserialize;

use super::lines::{Refusal, parse};
use super::{Content, Entry, Units};
use crate::workload::{Message, Role};

const TOO_FEW: &str = "fewer than two turns";
const EMPTY: &str = "an empty turn";
const UNKNOWN: &str = "a turn with a role other than human, gpt and system";
const IN_A_ROW: &str = "two turns in a row with the same role";

/// An entry of the file.
#[derive(Deserialize)]
struct Raw {
    conversations: Vec<RawTurn>,
}

#[derive(Deserialize)]
struct RawTurn {
    from: Option<String>,
    role: Option<String>,
    value: Option<String>,
    content: Option<String>,
}

/// The entry of one line. One with another structure is wrong, one with other turns is unusable.
pub(super) fn entry(line: &[u8], position: usize, _: Units) -> Result<Entry, Refusal> {
    let messages = conversation(parse(line)?).map_err(Refusal::Unusable)?;
    Ok(Entry {
        position,
        at: None,
        content: Content::Messages(messages),
        output_tokens: None,
    })
}

/// The messages of an entry: optionally a system prompt, then questions and answers in turn. Answers before the first
/// question, which occur where long conversations were split, are dropped.
fn conversation(raw: Raw) -> Result<Vec<Message>, &'static str> {
    let mut messages: Vec<Message> = Vec::with_capacity(raw.conversations.len());
    let mut last = Role::Assistant;
    for turn in raw.conversations {
        let value = turn
            .value
            .or(turn.content)
            .filter(|value| !value.trim().is_empty())
            .ok_or(EMPTY)?;
        let asked = messages
            .last()
            .is_some_and(|message| message.role != Role::System);
        let from = turn.from.or(turn.role).unwrap_or_default();
        let role = match from.to_ascii_lowercase().as_str() {
            "human" | "user" => Role::User,
            "gpt" | "chatgpt" | "bing" | "bard" | "assistant" | "model" => Role::Assistant,
            "system" if messages.is_empty() => Role::System,
            _ => return Err(UNKNOWN),
        };
        if role == Role::Assistant && !asked {
            continue;
        }
        if role != Role::System {
            if role == last {
                return Err(IN_A_ROW);
            }
            last = role;
        }
        messages.push(Message::new(role, value));
    }
    if messages
        .iter()
        .any(|message| message.role == Role::Assistant)
    {
        Ok(messages)
    } else {
        Err(TOO_FEW)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read as _};

    use proptest::prelude::*;

    use super::super::Census;
    use super::super::lines::{self, LONE_SURROGATE};
    use super::*;

    fn entries(text: &str) -> Result<(Vec<Entry>, Census), String> {
        let mut entries = Vec::new();
        let mut each = |entry| entries.push(entry);
        let census = lines::read(text.as_bytes(), Units::default(), entry, &mut each)
            .map_err(|error| error.to_string())?;
        Ok((entries, census))
    }

    fn turns(pairs: &[(&str, &str)]) -> serde_json::Value {
        let turns: Vec<serde_json::Value> = pairs
            .iter()
            .map(|(from, value)| serde_json::json!({"from": from, "value": value}))
            .collect();
        serde_json::json!({"id": "x", "conversations": turns})
    }

    #[test]
    fn a_list_and_lines_are_the_same_entries() {
        let both = [
            turns(&[("human", "Why?"), ("gpt", "So.")]),
            turns(&[
                ("system", "Be brief."),
                ("gpt", "…"),
                ("user", "A?"),
                ("gpt", "B."),
                ("human", "C?"),
            ]),
        ];
        let list = serde_json::to_string_pretty(&both).unwrap();
        let lines = both.each_ref().map(serde_json::Value::to_string).join("\n");
        assert_eq!(entries(&list).unwrap(), entries(&lines).unwrap());
        let (entries, _) = entries(&list).unwrap();
        let Content::Messages(messages) = &entries[1].content else {
            panic!("{entries:?}")
        };
        let roles: Vec<Role> = messages.iter().map(|message| message.role).collect();
        assert_eq!(
            roles,
            [Role::System, Role::User, Role::Assistant, Role::User]
        );
    }

    #[test]
    fn unusable_entries_are_counted_with_the_reason() {
        let list = serde_json::json!([
            turns(&[]),
            turns(&[("human", "Why?")]),
            turns(&[("human", "Why?"), ("gpt", " ")]),
            turns(&[("human", "Why?"), ("gpt", "So.")]),
            turns(&[("human", "Why?"), ("human", "Why?"), ("gpt", "So.")]),
            turns(&[("human", "Why?"), ("tool", "1"), ("gpt", "So.")]),
        ]);
        let (entries, census) = entries(&list.to_string()).unwrap();
        assert_eq!(
            (census.usable, entries.len(), entries[0].position),
            (1, 1, 3)
        );
        let counted: Vec<(&str, usize)> = census.unusable.into_iter().collect();
        assert_eq!(
            counted,
            [(UNKNOWN, 1), (EMPTY, 1), (TOO_FEW, 2), (IN_A_ROW, 1)]
        );
    }

    #[test]
    fn roles_and_contents_are_accepted_as_turns() {
        let line = r#"{"conversations": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]}"#;
        assert_eq!(
            entries(line).unwrap().0,
            entries(&turns(&[("human", "Why?"), ("gpt", "So.")]).to_string())
                .unwrap()
                .0
        );
    }

    #[test]
    fn a_lone_surrogate_makes_only_its_entry_unusable() {
        let good = turns(&[("human", "Why?"), ("gpt", "So.")]).to_string();
        for half in [r"\ud83d", r"\ude00", r"\ud83d\u0041"] {
            let bad = good.replace("So.", half);
            for text in [format!("[{bad}, {good}]"), format!("{bad}\n{good}")] {
                let (entries, census) = entries(&text).unwrap();
                assert_eq!(entries[0].position, 1, "{text}");
                assert_eq!(census.unusable[LONE_SURROGATE], 1, "{text}");
            }
        }
    }

    #[test]
    fn another_structure_is_an_error_with_its_place() {
        let messages: Vec<String> = [
            "[\n{\"conversations\": []},\n{\"prompt\": \"a\"}]",
            "[{\"conversations\": [{\"value\": 5}]}]",
            "[{\"conversations\": []}",
            "[] x",
            "{\"conversations\": []}\n{\"items\": []}",
        ]
        .into_iter()
        .map(|text| entries(text).unwrap_err())
        .collect();
        insta::assert_snapshot!(messages.join("\n"));
    }

    #[test]
    fn an_endless_entry_is_refused_before_it_fills_the_memory() {
        let endless = io::repeat(b'a');
        let text = b"[{\"conversations\": [{\"from\": \"human\", \"value\": \"".chain(endless);
        let reader = io::BufReader::new(text);
        let error = lines::read(reader, Units::default(), entry, &mut |_| {}).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot be read: an entry is longer than 64 MiB"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_entries_or_an_error(text in "(\\[|\\{\"conversations\": \\[|\\{\"from\": \"(human|gpt)\", |\"value\": |\\PC|[\\]}\",:\n]){0,40}") {
            if let Ok((entries, census)) = entries(&text) {
                prop_assert_eq!(entries.len(), census.usable);
            }
        }
    }
}
