//! `headers` and `extra_body` of `perfgate.yaml`, and conversion of YAML to JSON.

use super::extra_body::{ExtraBody, check_extra_body, instead_of};
use super::fields::{entries, report_duplicates};
use super::headers::{Headers, WrongHeader};
use super::node::{Node, Value};
use super::problem::{Code, Collector};

/// Names with a value or with the variable that contains it. Problems quote no value, and `secret` masks values in the
/// lines that are shown.
pub(super) fn read_headers(node: &Node, what: &str, collector: &mut Collector) -> Option<Headers> {
    let Value::Mapping(entries) = &node.value else {
        let message = format!("`{what}` must be a map of names and values");
        return collector.invalid_with_hint(node, message, "write `headers: {X-Route: canary}`");
    };
    let mut headers = Headers::default();
    for (key, value) in entries {
        let name = key.name.as_str();
        let added = match &value.value {
            _ if value.is_null() => headers.add(name, ""),
            Value::Scalar { text, .. } => headers.add(name, text),
            Value::Mapping(_) | Value::Sequence(_) => {
                headers.add_variable(name, variable(value).unwrap_or_default())
            }
        };
        if let Err(wrong) = added {
            let code = if matches!(wrong, WrongHeader::Twice(_)) {
                Code::DuplicateKey
            } else {
                Code::InvalidValue
            };
            collector.push_with_hint(code, &key.span, wrong.to_string(), wrong.hint());
        }
    }
    Some(headers)
}

/// The text of `{env: VARIABLE}`.
fn variable(node: &Node) -> Option<&str> {
    let Value::Mapping(entries) = &node.value else {
        return None;
    };
    match entries.as_slice() {
        [(key, value)] if key.name == "env" => match &value.value {
            Value::Scalar { text, .. } => Some(text),
            Value::Sequence(_) | Value::Mapping(_) => None,
        },
        _ => None,
    }
}

pub(super) fn read_extra_body(
    node: &Node,
    what: &str,
    collector: &mut Collector,
) -> Option<ExtraBody> {
    let message = format!("`{what}` must be a map of keys and values");
    let hint = "write `extra_body: {top_k: 20}`";
    let mut body = ExtraBody::new();
    for (key, value) in entries(node, message, Some(hint), collector)? {
        let json = to_json(value);
        if let Some(instead) = instead_of(&key.name, &json) {
            let message = format!("perfgate sets `extra_body.{}` itself", key.name);
            collector.push_with_hint(Code::Contradiction, &key.span, message, instead);
            continue;
        }
        report_unclear_values(value, "a value of `extra_body`", collector);
        body.insert(key.name.clone(), json);
    }
    if let Err(wrong) = check_extra_body(&body) {
        return collector.invalid_with_hint(node, wrong.to_string(), wrong.hint());
    }
    Some(body)
}

/// Reports values that JSON cannot represent: a repeated key, and `.nan` or `.inf`. `what` is the name of the value in
/// the message, with its article.
pub(super) fn report_unclear_values(node: &Node, what: &str, collector: &mut Collector) {
    match &node.value {
        Value::Scalar {
            text,
            quoted: false,
        } if is_not_finite(text) => {
            let message = format!("{what} must be a finite number, not `{text}`");
            collector.push(Code::InvalidValue, &node.span, message);
        }
        Value::Scalar { .. } => {}
        Value::Sequence(items) => {
            for item in items {
                report_unclear_values(item, what, collector);
            }
        }
        Value::Mapping(entries) => {
            report_duplicates(entries, collector);
            for (_, value) in entries {
                report_unclear_values(value, what, collector);
            }
        }
    }
}

fn is_not_finite(text: &str) -> bool {
    let word = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
    matches!(word.as_str(), ".nan" | ".inf")
}

/// The value as JSON.
pub(super) fn to_json(node: &Node) -> serde_json::Value {
    if let Some(truth) = node.truth() {
        return truth.into();
    }
    match &node.value {
        _ if node.is_null() => serde_json::Value::Null,
        Value::Scalar { text, quoted: true } => text.clone().into(),
        // A plain scalar that is valid JSON keeps its type; all others are text.
        Value::Scalar {
            text,
            quoted: false,
        } => serde_json::from_str(text).unwrap_or_else(|_not_json| text.clone().into()),
        Value::Sequence(items) => items.iter().map(to_json).collect(),
        Value::Mapping(entries) => {
            let object = entries
                .iter()
                .map(|(key, value)| (key.name.clone(), to_json(value)));
            serde_json::Value::Object(object.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::read_plan;

    fn problems(source: &str) -> String {
        read_plan("perfgate.yaml", &format!("model: m\n{source}"))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn headers_and_extra_body_are_read_as_they_are_sent() {
        let source = "model: m
headers:
  X-Route: canary
  X-Number: 007
  X-Key: {env: GATEWAY_KEY}
extra_body:
  top_k: 20
  chat_template_kwargs: {enable_thinking: false}
  stop: [\"20\", null]
";
        let mut plan = read_plan("perfgate.yaml", source).unwrap();
        plan.headers
            .resolve(&|name| Some(name.to_lowercase()))
            .unwrap();
        let sent: Vec<(&str, &str)> = plan.headers.sent().collect();
        assert_eq!(
            sent,
            [
                ("X-Key", "gateway_key"),
                ("X-Number", "007"),
                ("X-Route", "canary")
            ]
        );
        insta::assert_snapshot!(serde_json::Value::Object(plan.extra_body), @r#"{"chat_template_kwargs":{"enable_thinking":false},"stop":["20",null],"top_k":20}"#);
    }

    #[test]
    fn forbidden_extras_are_reported_at_their_place_without_values() {
        insta::assert_snapshot!(problems(
            "\
headers:
  X-Route: open-sesame
  x-route: {env: SESAME}
  Host: open-sesame
  X Y: open-sesame
  X-List: [open-sesame]
  X-Wrong: {var: open-sesame}
  X-Name: {env: open-sesame}
  X-Nothing:
  X-Line: \"open\\nsesame\"
extra_body:
  max_tokens: 7
  top_k: .nan
  top_k: 5
"
        ));
        insta::assert_snapshot!(problems("headers: open-sesame\nextra_body: [1]"), @"
        `perfgate.yaml` has 2 problems

        error[invalid-value]: `headers` must be a map of names and values
         --> perfgate.yaml:2:10
          |
        2 | headers: ***********
          |          ^^^^^^^^^^^
          |
          = help: write `headers: {X-Route: canary}`

        error[invalid-value]: `extra_body` must be a map of keys and values
         --> perfgate.yaml:3:13
          |
        3 | extra_body: [1]
          |             ^
          |
          = help: write `extra_body: {top_k: 20}`
        ");
    }
}
