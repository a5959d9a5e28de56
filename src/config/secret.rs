//! Finds the parts of a file that may be secret, to mask them in problems, which appear in logs and annotations.
//!
//! The search covers the whole tree and not only the known keys, because problems also show neighbouring lines,
//! misspelt or repeated keys, and servers in excess.

use std::ops::Range;

use super::headers::{is_header_name, is_name};
use super::node::{Node, Value};
use crate::metric::nearest;
use crate::secret::{is_secret_name, is_secret_option};

/// Values of every `env` and of all `headers`, in any shape, and values elsewhere that look like secrets. Names stay
/// visible: the message is about them.
pub(super) fn in_tree(root: &Node, source: &str) -> Vec<Range<usize>> {
    let mut spans = in_any_text(source);
    walk(root, source, false, &mut spans);
    spans
}

/// What is recognised without a tree: credentials of addresses, and values of secret options in a command.
fn in_any_text(source: &str) -> Vec<Range<usize>> {
    let mut spans = addresses(source);
    spans.extend(option_values(source));
    spans
}

/// The words after `--api-key` and its like, in any kind of list or text, up to the next option, key or end of the list.
fn option_values(source: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut follows = false;
    let mut rest = 0;
    while let Some(start) = source[rest..].find(|c: char| !is_between_words(c)) {
        let start = rest + start;
        if source[rest..start].contains([']', '}']) {
            follows = false;
        }
        let word = &source[start..];
        let word = &word[..word.find(is_between_words).unwrap_or(word.len())];
        rest = start + word.len();
        let (option, value) = word.split_once('=').unwrap_or((word, ""));
        if is_secret_option(option) {
            follows = value.is_empty();
            spans.push(rest - value.len()..rest);
        } else if word.ends_with(':') || (word.starts_with('-') && word.len() > 1) {
            follows = false;
        } else if follows && word != "-" {
            spans.push(start..rest);
        }
    }
    spans.retain(|span| !span.is_empty());
    spans
}

fn is_between_words(character: char) -> bool {
    character.is_whitespace() || ",\"'[]{}".contains(character)
}

/// Whether the key may mean `headers`, also if misspelt.
fn is_headers(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.contains("header") || nearest(&key, ["headers"].into_iter()).is_some()
}

/// All values of headers, except names of variables.
fn walk_headers(node: &Node, is_variable: bool, spans: &mut Vec<Range<usize>>) {
    match &node.value {
        Value::Scalar { text, .. } if is_variable && is_name(text) => {}
        Value::Scalar { .. } => spans.push(node.span.clone()),
        Value::Sequence(items) => {
            for item in items {
                walk_headers(item, false, spans);
            }
        }
        Value::Mapping(entries) => {
            for (key, value) in entries {
                if !is_header_name(&key.name) {
                    spans.push(key.span.clone());
                }
                walk_headers(value, key.name == "env", spans);
            }
        }
    }
}

fn walk(node: &Node, source: &str, in_env: bool, spans: &mut Vec<Range<usize>>) {
    match &node.value {
        Value::Scalar { text, .. } => {
            let assignment = text
                .split_once('=')
                .is_some_and(|(name, _)| is_variable(name));
            if assignment || (in_env && !is_name(text)) {
                spans.push(after_equals(source, node.span.clone()));
            }
        }
        Value::Sequence(items) => {
            for item in items {
                walk(item, source, in_env, spans);
            }
        }
        Value::Mapping(entries) => {
            for (key, value) in entries {
                if in_env && !is_name(&key.name) {
                    spans.push(after_equals(source, key.span.clone()));
                }
                let is_env = key.name == "env";
                match &value.value {
                    _ if in_env || is_headers(&key.name) || is_secret_name(&key.name) => {
                        walk_headers(value, false, spans);
                    }
                    Value::Scalar { .. } if is_env => spans.push(value.span.clone()),
                    Value::Scalar { .. } | Value::Sequence(_) | Value::Mapping(_) => {
                        walk(value, source, is_env, spans);
                    }
                }
            }
        }
    }
}

/// The part after `=`; the whole span if there is no `=`.
fn after_equals(source: &str, span: Range<usize>) -> Range<usize> {
    let written = source.get(span.clone()).unwrap_or_default();
    let start = written.find('=').map_or(0, |equals| equals + 1);
    span.start + start..span.end
}

fn is_variable(name: &str) -> bool {
    is_name(name) && !name.contains(|c: char| c.is_ascii_lowercase())
}

/// The letters, digits and underscores at the end of a text.
fn last_word(text: &str) -> &str {
    let mut words = text.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.next().unwrap_or_default()
}

/// Secrets in text that is not valid YAML: the rest of the line after `NAME=` and after `NAME:` of a secret name, and
/// everything that may be part of `headers`.
pub(super) fn in_text(source: &str) -> Vec<Range<usize>> {
    let mut spans = in_any_text(source);
    let mut covered = 0;
    for (at, separator) in source.match_indices(['=', ':']) {
        if at < covered {
            continue;
        }
        let before = &source[..at];
        let name = last_word(before);
        // A key may be quoted.
        let key = last_word(before.trim_end_matches(['"', '\'']));
        if separator == ":" && is_headers(key) {
            covered = end_of_block(source, at);
            spans.push(at + 1..covered);
        } else if is_secret_name(key) || (separator == "=" && is_variable(name)) {
            let rest = &source[at + 1..];
            covered = at + 1 + rest.find('\n').unwrap_or(rest.len());
            spans.push(at + 1..covered);
        }
    }
    spans
}

/// Start of the first line after the one at `at` that is not indented further.
fn end_of_block(source: &str, at: usize) -> usize {
    let indentation = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let line_start = source[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let own = indentation(&source[line_start..]);
    let mut lines = source[at..].split_inclusive('\n');
    let mut end = at + lines.next().map_or(0, str::len);
    for line in lines {
        if !line.trim().is_empty() && indentation(line) <= own {
            break;
        }
        end += line.len();
    }
    end
}

/// The credentials and the query of `scheme://user:password@host/path?query`.
fn addresses(source: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'');
    let mut covered = 0;
    for (at, sign) in source.match_indices("://") {
        // The end of a query is searched once, also in a long text of many addresses.
        if at < covered {
            continue;
        }
        let start = at + sign.len();
        let rest = &source[start..];
        let host = rest.find(|c| ends(c) || matches!(c, '/' | '?' | '#'));
        if let Some(sign) = rest[..host.unwrap_or(rest.len())].rfind('@') {
            spans.push(start..start + sign);
        }
        let path = &rest[..rest.find("://").unwrap_or(rest.len())];
        let stop = path.find(|c| ends(c) || c == '?');
        if let Some(stop) = stop.filter(|stop| path[*stop..].starts_with('?')) {
            let query = start + stop + 1;
            covered = query + source[query..].find(ends).unwrap_or(source.len() - query);
            spans.push(query..covered);
        }
    }
    spans.retain(|span| !span.is_empty());
    spans
}

#[cfg(test)]
mod tests {
    use super::super::{read_plan, read_policy};

    #[test]
    fn a_problem_never_shows_a_secret_in_any_spelling() {
        for source in [
            "server: {docker: {image: i, env: [\"HF_TOKEN=sesame\"]}}",
            "server:\n  docker:\n    image: i\n    env:\n      - HF_TOKEN=sesame\n",
            "server: {docker: {image: i, env: {HF_TOKEN: sesame}}}",
            "server:\n  docker:\n    image: i\n    env:\n      HF_TOKEN: sesame\n",
            "server: {docker: {image: i, env: [{HF_TOKEN: sesame}]}}",
            "server: {docker: {image: i, env: {HF_TOKEN=sesame}}}",
            "server: {docker: {image: i, env: HF_TOKEN=sesame}}",
            "server: {docker: {image: i, env: [open-sesame]}}",
            "server: {docker: {image: i, envs: [HF_TOKEN=sesame]}}",
            "server: {docker: {image: i, env: [HF_TOKEN], env: [HF_TOKEN=sesame]}}",
            "server: {docker: {image: i, env: [HF_TOKEN=sesame]}, url: \"http://h\"}",
            "server: {process: {command: [c], env: {HF_TOKEN: sesame}}}",
            "server:\n  docker:\n    image: i\n    env:\n    - |\n      HF_TOKEN=sesame\n",
            "server: {docker: {image: i, env: [\"HF_TOKEN=\n    sesame\"]}}",
            "server: {docker: {image: i, env: [[HF_TOKEN=sesame]]}}",
            "server: {docker: {image: i, env: [HF_TOKEN=sesame",
            "server: {docker: {image: i, env: [\"HF_TOKEN=open sesame\"",
            "server: {docker: {env: {HF_TOKEN: sesame",
            "headers: {X-Key: sesame, Host: x}",
            "headers: {X-Key: sesame, x-key: sesame}",
            "headers:\n  Host: sesame\n  X-Key: open-sesame\n",
            "headers: open-sesame",
            "headers: [\"X-Key: sesame\"]",
            "headers:\n  - X-Key: sesame\n",
            "headers: {Bearer open-sesame: x}",
            "headers: {Bearer open-sesame: }",
            "headers: {X-Key: {env: open-sesame}}",
            "headers: {X-Key: {env: {of: sesame}}}",
            "headers: {X-Key: {variable: sesame}}",
            "headers: {X-Key: [sesame]}",
            "headers:\n  X-Key: |\n    open\n    sesame\n",
            "heders: {X-Key: sesame}",
            "header: {X-Key: sesame}",
            "extra_headers: {X-Key: sesame}",
            "Headers: {X-Key: sesame}\nmodle: m",
            "server: {url: \"http://h\", headers: {X-Key: sesame}}",
            "headers: {X-Key: sesame",
            "\"headers\": {\"X-Key\": \"open sesame\"",
            "headers:\n  X-Key: sesame\n  X-Other: \"sesame",
            "headers:\n  X-Key: sesame\n\n  X-Other: [sesame\nrepeat: 1",
            "server: {url: \"ftp://me:sesame@host\"}",
            "server: {url: \"http://me:sesame@host\"}",
            "server: {url: \"http://host/?token=sesame\"}",
            "server: {docker: {image: i, env: {HF_TOKEN: [sesame]}}}",
            "server: {docker: {image: i, env: sesame}}",
            "api_key: sesame",
            "api_keys: [sesame, {a: sesame}]",
            "PGPASSWORD: sesame",
            "api_key: sesame\nserver: [",
            "\"api-key\": sesame\nserver: [",
            "a: http://b,http://c/?token=sesame",
            "a: http://b/?from=http://c/&token=sesame",
            "server:\n  docker:\n    image: i\n    args: \"--api-key sesame\"\n",
            "server:\n  docker:\n    image: i\n    args: [--api-key, sesame, {a: b}]\n",
            "server: {docker: {image: i, args: [--api_key=sesame], bogus: 1}}",
            "server: {docker: {image: i, args: [\"--hf-token=sesame\"], bogus: 1}}",
            "server:\n  docker:\n    image: i\n    args:\n      - --api-key\n      - open\n      - sesame\n    bogus: 1\n",
            "server: {process: {command: \"vllm --port {port} --api-key sesame\"}}",
            "server: {docker: {image: i, args: [--api-key, sesame",
        ] {
            let problems = read_plan("perfgate.yaml", &format!("model: m\n{source}")).unwrap_err();
            assert!(
                !problems.to_string().contains("sesame"),
                "{source}\n{problems}"
            );
            assert!(!problems.source.contains("sesame"), "{source}");
            let problems = read_policy("thresholds.yaml", source).unwrap_err();
            assert!(
                !problems.to_string().contains("sesame"),
                "{source}\n{problems}"
            );
        }
    }

    /// A change controls the file, which may be eight times as long: a search that is not linear would take hours.
    #[test]
    fn a_long_line_of_addresses_is_read_in_a_moment() {
        for line in ["://", "://?", "://a@", "--api-key ", "KEY=", "\"key\":"] {
            super::in_text(&line.repeat((1 << 19) / line.len()));
        }
    }

    #[test]
    fn a_masked_line_keeps_its_columns() {
        let source = "model: m\nserver: {docker: {image: i, env: [\"A=ß\", B], gpu: 1}}";
        let problems = read_plan("perfgate.yaml", source).unwrap_err();
        assert_eq!(problems.source.len(), source.len());
        insta::assert_snapshot!(problems.to_string(), @r#"
        `perfgate.yaml` has 2 problems

        error[invalid-value]: `server.docker.env` has an entry that is not a variable name
         --> perfgate.yaml:2:35
          |
        2 | server: {docker: {image: i, env: ["A=***, B], gpu: 1}}
          |                                   ^^^^^^
          |
          = help: write only the name; perfgate reads the value from its environment and never stores it

        error[unknown-key]: unknown key `server.docker.gpu`
         --> perfgate.yaml:2:47
          |
        2 | server: {docker: {image: i, env: ["A=***, B], gpu: 1}}
          |                                               ^^^
          |
          = help: the nearest known key is `gpus`
        "#);
    }
}
