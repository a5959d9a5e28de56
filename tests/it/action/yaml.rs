//! A YAML file as JSON: what is needed of action.yml, whose scalars are all texts.

use granit_parser::{Event, Parser};
use serde_json::{Map, Value};

enum Open {
    Sequence(Vec<Value>),
    Mapping(Map<String, Value>, Option<String>),
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the parser's enum may gain presentation events"
)]
pub(super) fn read(text: &str) -> Value {
    let mut open: Vec<Open> = Vec::new();
    let mut root = Value::Null;
    for item in Parser::new_from_str(text) {
        let (event, _) = item.unwrap();
        let finished = match event {
            Event::Scalar(text, ..) => Value::String(text.into_owned()),
            Event::SequenceStart(..) => {
                open.push(Open::Sequence(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Mapping(Map::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop().unwrap() {
                Open::Sequence(items) => Value::Array(items),
                Open::Mapping(entries, _) => Value::Object(entries),
            },
            _ => continue,
        };
        match open.last_mut() {
            None => root = finished,
            Some(Open::Sequence(items)) => items.push(finished),
            Some(Open::Mapping(entries, key)) => match key.take() {
                None => *key = Some(finished.as_str().unwrap().to_owned()),
                Some(key) => assert!(
                    entries.insert(key, finished).is_none(),
                    "a key stands twice"
                ),
            },
        }
    }
    root
}
