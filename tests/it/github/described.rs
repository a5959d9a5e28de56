//! Whether requests are as GitHub's own description of its API says (the npm package `@octokit/openapi`).

use std::sync::OnceLock;

use serde_json::Value;

use super::fake::{Seen, TOKEN};

/// The description, where it was fetched.
fn description() -> Option<&'static Value> {
    static DESCRIPTION: OnceLock<Option<Value>> = OnceLock::new();
    let read = || {
        let path = std::env::var_os("PERFGATE_TEST_GITHUB_OPENAPI")?;
        Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    };
    DESCRIPTION.get_or_init(read).as_ref()
}

/// Every request has the headers that GitHub asks for, and the description knows it with all its parameters.
pub(crate) fn check(requests: &[Seen]) {
    for seen in requests {
        let header = |name: &str| seen.headers.get(name).map(String::as_str);
        assert_eq!(header("accept"), Some("application/vnd.github+json"));
        assert_eq!(header("x-github-api-version"), Some("2022-11-28"));
        assert_eq!(
            header("authorization"),
            Some(format!("Bearer {TOKEN}").as_str())
        );
        assert!(header("user-agent").unwrap().starts_with("perfgate/"));
    }
    let Some(description) = description() else {
        println!("skipped: no description of GitHub's API (PERFGATE_TEST_GITHUB_OPENAPI)");
        return;
    };
    // The description is of the REST API alone.
    let rest = requests.iter().filter(|seen| seen.path != "/graphql");
    for seen in rest {
        if let Err(wrong) = check_one(description, seen) {
            panic!("{} {}?{}: {wrong}", seen.method, seen.path, seen.query);
        }
    }
}

fn check_one(description: &Value, seen: &Seen) -> Result<(), String> {
    let paths = description["paths"].as_object().unwrap();
    let method = seen.method.to_lowercase();
    let matching = paths
        .iter()
        .filter(|(template, _)| fits(template, &seen.path));
    let operation = matching
        .filter_map(|(template, methods)| {
            methods.get(&method).map(|operation| (template, operation))
        })
        // `/user` before `/{owner}`: the one with the fewest holes.
        .min_by_key(|(template, _)| template.matches('{').count());
    let (template, operation) = operation.ok_or("there is no such operation")?;
    let parameters: Vec<&Value> = operation["parameters"]
        .as_array()
        .map(|all| {
            all.iter()
                .map(|parameter| resolved(description, parameter))
                .collect()
        })
        .unwrap_or_default();
    let schema_of = |place: &str, name: &str| {
        let found = parameters
            .iter()
            .find(|parameter| parameter["in"] == place && parameter["name"] == name);
        found.map(|parameter| &parameter["schema"])
    };
    for (name, value) in pairs(&seen.query) {
        let schema = schema_of("query", &name).ok_or(format!("`{name}` is no parameter"))?;
        check_text(schema, &value).map_err(|wrong| format!("{name}: {wrong}"))?;
    }
    for (hole, value) in template.split('/').zip(seen.path.split('/')) {
        if let Some(name) = hole
            .strip_prefix('{')
            .and_then(|hole| hole.strip_suffix('}'))
        {
            let schema = schema_of("path", name).ok_or(format!("`{name}` is not described"))?;
            check_text(schema, value).map_err(|wrong| format!("{name}: {wrong}"))?;
        }
    }
    let described = &operation["requestBody"]["content"]["application/json"]["schema"];
    match (&seen.body, described.is_null()) {
        (None, true) => Ok(()),
        (None, false) => Err("it needs a body".to_owned()),
        (Some(_), true) => Err("it takes no body".to_owned()),
        (Some(body), false) => check_value(description, described, body, "body"),
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    let same = |(hole, part): (&&str, &&str)| hole.starts_with('{') || hole == part;
    template.len() == path.len() && template.iter().zip(&path).all(same)
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

fn resolved<'a>(description: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => description
            .pointer(reference.trim_start_matches('#'))
            .unwrap(),
        None => value,
    }
}

/// A value in an address.
fn check_text(schema: &Value, text: &str) -> Result<(), String> {
    let is_number = text.parse::<i64>().is_ok();
    if schema["type"] == "integer" && !is_number {
        return Err(format!("`{text}` is no whole number"));
    }
    let listed = schema["enum"].as_array();
    if listed.is_some_and(|listed| !listed.iter().any(|one| one == text)) {
        return Err(format!("`{text}` is none of {listed:?}"));
    }
    Ok(())
}

/// Types, required and unknown properties, enumerations and lengths: what the bodies that perfgate sends are described by.
fn check_value(
    description: &Value,
    schema: &Value,
    value: &Value,
    path: &str,
) -> Result<(), String> {
    let schema = resolved(description, schema);
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        Some(_) | None => true,
    };
    if !fits {
        return Err(format!("{path} is no {}", schema["type"]));
    }
    if let Some(listed) = schema["enum"].as_array()
        && !listed.contains(value)
    {
        return Err(format!("{path} is none of {listed:?}"));
    }
    let at_most = |limit: &str, length: usize| {
        let most = schema[limit].as_u64();
        most.is_none_or(|most| length as u64 <= most)
    };
    match value {
        Value::String(text) if !at_most("maxLength", text.chars().count()) => {
            Err(format!("{path} is too long"))
        }
        Value::Array(items) => {
            if !at_most("maxItems", items.len()) {
                return Err(format!("{path} has too many items"));
            }
            let mut each = items.iter().enumerate();
            each.try_for_each(|(index, item)| {
                check_value(
                    description,
                    &schema["items"],
                    item,
                    &format!("{path}[{index}]"),
                )
            })
        }
        Value::Object(fields) => {
            let required = schema["required"].as_array();
            let missing = required.and_then(|names| {
                names
                    .iter()
                    .find(|name| !fields.contains_key(name.as_str().unwrap()))
            });
            if let Some(name) = missing {
                return Err(format!("{path} has no {name}"));
            }
            fields.iter().try_for_each(|(name, value)| {
                let inner = &schema["properties"][name];
                if inner.is_null() {
                    return Err(format!("{path}.{name} is not described"));
                }
                check_value(description, inner, value, &format!("{path}.{name}"))
            })
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

#[test]
fn a_request_that_is_not_described_is_found() {
    let Some(description) = description() else {
        println!("skipped: no description of GitHub's API (PERFGATE_TEST_GITHUB_OPENAPI)");
        return;
    };
    let wrong = |method: &str, path: &str, query: &str, body: Option<Value>| {
        let seen = Seen {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: std::collections::BTreeMap::new(),
            body,
        };
        check_one(description, &seen).unwrap_err()
    };
    let comments = "/repos/acme/llm/issues/7/comments";
    insta::assert_snapshot!(
        [
            wrong("PUT", comments, "", None),
            wrong("GET", comments, "size=3", None),
            wrong("GET", comments, "page=x", None),
            wrong("GET", "/repos/acme/llm/issues/x/comments", "", None),
            wrong("POST", comments, "", None),
            wrong("POST", comments, "", Some(serde_json::json!({"text": "x"}))),
            wrong("POST", "/repos/acme/llm/statuses/77", "", Some(serde_json::json!({"state": "neutral"}))),
        ]
        .join("\n"),
        @r#"
        there is no such operation
        `size` is no parameter
        page: `x` is no whole number
        issue_number: `x` is no whole number
        it needs a body
        body has no "body"
        body.state is none of [String("error"), String("failure"), String("pending"), String("success")]
        "#
    );
}
