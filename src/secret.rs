//! The secret values of this process: one registry for all code that shows or stores text.
//!
//! A secret is masked by its value wherever it appears: in a line of the server, an error, a result, a report.

use std::sync::{PoisonError, RwLock};

/// The text in place of a secret.
pub const MASK: &str = "***";

/// From this length on a value is masked inside words too. Shorter values are masked only as whole words: the key
/// `demo` must not make `demonstration` unreadable.
pub const LONG: usize = 8;

/// Shorter values are not masked: masking them would make every text unreadable.
const MIN_LENGTH: usize = 4;

static KNOWN: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// Values that were sent to a server and may be ordinary words.
static SENT: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// Masks this value from now on. Each line of a value is masked separately, because text is masked line by line.
pub fn register(value: &str) {
    add_to(&KNOWN, value);
}

/// Masks this value from now on in errors of servers, but not in perfgate's own text: `baseline` may be the value of a
/// header.
pub fn register_sent(value: &str) {
    add_to(&SENT, value);
}

fn add_to(known: &RwLock<Vec<String>>, value: &str) {
    let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
    for line in value.lines().map(str::trim) {
        if line.len() >= MIN_LENGTH && !known.iter().any(|other| other == line) {
            known.push(line.to_owned());
        }
    }
    // A value that contains another must be masked first, else a part of it would stay visible.
    known.sort_by_key(|value| std::cmp::Reverse(value.len()));
}

/// Masks the value of an environment variable. Many are settings (`1`, `true`, `DEBUG`), so short values are masked only
/// if the variable's name marks a secret.
pub fn register_variable(name: &str, value: &str) {
    if value.trim().len() >= LONG || is_secret_name(name) {
        register(value);
    }
}

/// Whether the name of a variable, a header or a key of YAML marks a secret, by the ends of its words: `PGPASSWORD` and
/// `TOKEN2` do, `MAX_TOKENS` is a number.
pub fn is_secret_name(name: &str) -> bool {
    const SECRET_NAME_PARTS: [&str; 11] = [
        "token",
        "key",
        "keys",
        "secret",
        "secrets",
        "password",
        "passwords",
        "passwd",
        "credential",
        "credentials",
        "auth",
    ];
    // The path of a file with a secret is not a secret.
    const PLACES: [&str; 6] = ["file", "path", "dir", "sock", "socket", "url"];
    let name = name.to_ascii_lowercase();
    let words = || name.split(['_', '-', '.']);
    let is_part = |word: &str| {
        let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
        SECRET_NAME_PARTS.iter().any(|part| word.ends_with(part))
    };
    words().any(is_part) && !words().any(|word| PLACES.contains(&word))
}

/// Options of engines whose values are secrets, written with hyphens; engines accept underscores too.
const SECRET_OPTIONS: [&str; 4] = ["--api-key", "--api-keys", "--hf-token", "--token"];

/// Whether the value of this command-line option is a secret.
pub fn is_secret_option(option: &str) -> bool {
    SECRET_OPTIONS.contains(&option.replace('_', "-").as_str())
}

/// The text without secrets.
pub fn masked(text: &str) -> String {
    without_all(&KNOWN, text)
}

/// A server's error text without secrets and without values that were sent to it.
pub fn masked_words(text: &str) -> String {
    without_all(&SENT, &masked(text))
}

fn without_all(known: &RwLock<Vec<String>>, text: &str) -> String {
    let known = known.read().unwrap_or_else(PoisonError::into_inner);
    let mut safe = text.to_owned();
    for value in known.iter() {
        if safe.contains(value.as_str()) {
            safe = without(&safe, value);
        }
    }
    safe
}

/// JSON without secrets in its strings; numbers and structure stay.
pub fn masked_json(text: &str) -> String {
    if is_free_of_secrets(text) {
        return text.to_owned();
    }
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('"') {
        let length = 1 + end_of_string(&rest[start + 1..]) + 1;
        let end = rest.len().min(start + length);
        let string = &rest[start..end];
        safe.push_str(&rest[..start]);
        match serde_json::from_str::<String>(string) {
            Ok(value) if masked(&value) != value => {
                safe.push_str(&serde_json::Value::from(masked(&value)).to_string());
            }
            Ok(_) | Err(_) => safe.push_str(string),
        }
        rest = &rest[end..];
    }
    safe + rest
}

/// Whether this JSON contains no secret, whatever the escapes in its strings.
fn is_free_of_secrets(json: &str) -> bool {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    known.iter().all(|value| {
        let quoted = serde_json::Value::from(value.as_str()).to_string();
        !json.contains(quoted.trim_matches('"'))
    })
}

/// Where the closing quotation mark of a JSON string is.
fn end_of_string(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at,
            _ => {}
        }
    }
    text.len()
}

fn without(text: &str, value: &str) -> String {
    if value.len() >= LONG {
        return text.replace(value, MASK);
    }
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(at) = rest.find(value) {
        let (skipped, found) = rest.split_at(at);
        let behind = &found[value.len()..];
        let last = skipped.chars().next_back().or(before);
        let is_word =
            !last.is_some_and(char::is_alphanumeric) && !behind.starts_with(char::is_alphanumeric);
        safe.push_str(skipped);
        safe.push_str(if is_word { MASK } else { value });
        before = value.chars().next_back();
        rest = behind;
    }
    safe + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_masked_by_its_value_and_a_short_one_only_as_a_word() {
        register("registry-sesame-4711\n");
        register("k3y!");
        register("no");
        assert_eq!(
            masked("a=registry-sesame-4711x, k3y! ak3y! no"),
            "a=***x, *** ak3y! no"
        );
    }

    #[test]
    fn values_sent_to_a_server_are_masked_only_in_its_errors() {
        register_sent("forecast");
        assert_eq!(masked_words("no route `forecast`"), "no route `***`");
        assert_eq!(masked("forecast"), "forecast");
    }

    #[test]
    fn json_stays_json_whatever_a_secret_looks_like() {
        register("12345678");
        register("quote\"and\\stroke");
        let value = serde_json::json!({
            "seed": 12_345_678, "key": "x12345678", "other": "\nquote\"and\\stroke", "end": "\\"
        });
        let shown = masked_json(&serde_json::to_string_pretty(&value).unwrap());
        let expected =
            serde_json::json!({"seed": 12_345_678, "key": "x***", "other": "\n***", "end": "\\"});
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            expected
        );
    }

    #[test]
    fn a_setting_is_not_a_secret_but_a_short_token_is() {
        register_variable("VLLM_LOGGING_LEVEL", "DEBUG7");
        register_variable("MAX_TOKENS", "16384");
        register_variable("HF_TOKEN", "tok-en7");
        assert_eq!(masked("DEBUG7 16384 tok-en7"), "DEBUG7 16384 ***");
    }

    #[test]
    fn a_name_marks_a_secret_by_the_ends_of_its_words() {
        for secret in [
            "HF_TOKEN",
            "api-key",
            "X-ApiKey",
            "PGPASSWORD",
            "TOKEN2",
            "aws.secret.id",
        ] {
            assert!(is_secret_name(secret), "{secret}");
        }
        for setting in [
            "MAX_TOKENS",
            "tokenizer",
            "HF_TOKEN_PATH",
            "SSH_AUTH_SOCK",
            "author",
        ] {
            assert!(!is_secret_name(setting), "{setting}");
        }
    }
}
