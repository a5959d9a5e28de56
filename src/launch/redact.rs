//! Sanitizes text of a server: no control characters, no secrets.

use crate::secret::{self, MASK, is_secret_option};
use crate::text::guard;

/// Prefixes of access tokens, each with the fewest characters that must follow: shorter text is an ordinary word (vLLM has
/// an option `hf_overrides`).
const TOKENS: [(&str, usize); 6] = [
    ("hf_", 16),
    ("ghp_", 16),
    ("gho_", 16),
    ("ghu_", 16),
    ("ghs_", 16),
    ("github_pat_", 16),
];

/// Registers the values of secret options, so that they are masked in every output.
pub fn register_arguments(args: &[String]) {
    // An argument may itself be a command line, as in `sh -c`.
    let within = args
        .iter()
        .filter(|arg| arg.contains(char::is_whitespace))
        .map(|arg| {
            let words = arg.split_whitespace();
            let bare = words.map(|word| word.trim_matches(['"', '\'', ';', ')']).to_owned());
            bare.collect::<Vec<String>>()
        });
    for words in within.chain([args.to_vec()]) {
        for (_, value) in with_secrets(&words).filter_map(|(_, secret)| secret) {
            secret::register(value.trim_matches(['"', '\'']));
        }
    }
}

/// Each word, and whether it is or ends with the value of a secret option: then the part before the value, and the value.
/// An option may have several values.
fn with_secrets(words: &[String]) -> impl Iterator<Item = (&str, Option<(&str, &str)>)> {
    let mut follows = false;
    words.iter().map(move |word| {
        if let Some((option, _)) = word.split_once('=')
            && is_secret_option(option)
        {
            follows = false;
            return (word.as_str(), Some(word.split_at(option.len() + 1)));
        }
        if word.starts_with('-') {
            follows = is_secret_option(word);
            return (word, None);
        }
        (word, follows.then_some(("", word)))
    })
}

/// The line without escape sequences, control characters and secrets.
pub(super) fn clean(line: &str) -> String {
    let text = guard::text(line.trim_end_matches('\r')).replace('\n', " ");
    mask_url_passwords(&mask_bearer(&mask_tokens(&secret::masked(&text))))
}

/// Arguments without secrets.
pub(super) fn clean_args(args: &[String]) -> Vec<String> {
    register_arguments(args);
    let cleaned = with_secrets(args).map(|(arg, secret)| match secret {
        Some((option, _)) => format!("{option}{MASK}"),
        None => clean(arg),
    });
    cleaned.collect()
}

fn mask_tokens(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_word = false;
    while let Some(character) = rest.chars().next() {
        let token = TOKENS.iter().find_map(|(prefix, shortest)| {
            let tail = rest.strip_prefix(prefix).filter(|_| !in_word)?;
            let length = tail
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(tail.len());
            (length >= *shortest).then_some((*prefix, &tail[length..]))
        });
        if let Some((prefix, after)) = token {
            masked.push_str(prefix);
            masked.push_str(MASK);
            rest = after;
        } else {
            masked.push(character);
            rest = &rest[character.len_utf8()..];
        }
        in_word = character.is_alphanumeric();
    }
    masked
}

fn mask_bearer(text: &str) -> String {
    const SCHEME: &str = "bearer ";
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    // Lower-casing ASCII only keeps the position of every byte.
    while let Some(at) = rest.to_ascii_lowercase().find(SCHEME) {
        let (before, secret) = rest.split_at(at + SCHEME.len());
        masked.push_str(before);
        let end = secret
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ','))
            .unwrap_or(secret.len());
        if end > 0 {
            masked.push_str(MASK);
        }
        rest = &secret[end..];
    }
    masked.push_str(rest);
    masked
}

fn mask_url_passwords(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, address) = rest.split_at(at + 3);
        masked.push_str(before);
        let end = address
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\''))
            .unwrap_or(address.len());
        rest = address;
        if let Some(user) = address[..end].rfind('@') {
            masked.push_str(MASK);
            rest = &address[user..];
        }
    }
    masked.push_str(rest);
    masked
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tokens_bearer_headers_and_passwords_are_masked_and_ordinary_words_stay() {
        secret::register_variable("HF_TOKEN", "s3cret-value");
        secret::register_variable("DEBUG", "1");
        let cases = [
            (
                "token=hf_abcdefghijklmnopqrstuvwxyz012345 end",
                "token=hf_*** end",
            ),
            ("hf_overrides={} max=1", "hf_overrides={} max=1"),
            ("self_hf_abcdefghijklmnopqrst", "self_hf_***"),
            (
                "ghp_0123456789abcdefghij ghs_0123456789abcdefghij",
                "ghp_*** ghs_***",
            ),
            ("github_pat_11ABCDEFG0123456789_abcdef", "github_pat_***"),
            (
                "Authorization: Bearer abc.def-ghi",
                "Authorization: Bearer ***",
            ),
            (
                "proxy http://user:pass@proxy:3128/x",
                "proxy http://***@proxy:3128/x",
            ),
            (
                "see https://docs.vllm.ai/a@b",
                "see https://docs.vllm.ai/a@b",
            ),
            ("HF_TOKEN is s3cret-value", "HF_TOKEN is ***"),
        ];
        for (line, expected) in cases {
            assert_eq!(clean(line), expected);
        }
    }

    #[test]
    fn escape_sequences_and_control_characters_are_dropped() {
        let line = "\u{1b}[1;31mERROR\u{1b}[0m\tx\u{7}\u{1b}]0;title\u{7}y\u{202e}z\r";
        assert_eq!(clean(line), "ERROR xyz");
    }

    #[test]
    fn a_token_with_an_invisible_character_is_masked() {
        for unseen in ['\u{AD}', '\u{61C}', '\u{2060}', '\u{E0041}'] {
            let line = format!("hf_abcdefghij{unseen}klmnopqrst");
            assert_eq!(clean(&line), "hf_***", "{unseen:?}");
        }
    }

    #[test]
    fn the_value_of_a_secret_option_is_masked_in_both_spellings() {
        let args = ["--api-key", "k", "--hf-token=abc", "--seed", "1"].map(String::from);
        assert_eq!(
            clean_args(&args),
            ["--api-key", "***", "--hf-token=***", "--seed", "1"]
        );
    }

    #[test]
    fn a_secret_argument_is_masked_in_later_output() {
        let shell = [
            "sh",
            "-c",
            "exec vllm serve m --api_key=one-key-4711 --port 1",
        ];
        register_arguments(&shell.map(String::from));
        let several = ["vllm", "--api-key", "two-key-4711", "k3-y", "--seed", "7"];
        assert_eq!(
            clean_args(&several.map(String::from)),
            ["vllm", "--api-key", MASK, MASK, "--seed", "7"]
        );
        assert_eq!(
            clean("args: {'api_key': ['one-key-4711', 'two-key-4711'], 'x': 'k3-y'} k3-yes"),
            "args: {'api_key': ['***', '***'], 'x': '***'} k3-yes"
        );
    }

    proptest! {
        #[test]
        fn no_line_panics_or_keeps_a_control_character(line in "\\PC*|.*") {
            let clean = clean(&line);
            prop_assert!(!clean.chars().any(char::is_control));
        }
    }
}
