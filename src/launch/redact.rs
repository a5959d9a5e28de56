//! Text of a server made fit to be shown: no control characters, no secrets.

use crate::hidden::is_hidden;

/// What stands where a secret stood.
const MASK: &str = "***";

/// Shorter values of environment variables (`1`, `true`, `DEBUG`) are no secrets, and masking them would make a log
/// unreadable.
const SHORTEST_SECRET: usize = 8;

/// Beginnings of access tokens, each with the fewest characters that must follow: less is an ordinary word
/// (vLLM has an option `hf_overrides`).
const TOKENS: [(&str, usize); 6] = [
    ("hf_", 16),
    ("ghp_", 16),
    ("gho_", 16),
    ("ghu_", 16),
    ("ghs_", 16),
    ("github_pat_", 16),
];

/// Options whose value is a secret.
const SECRET_OPTIONS: [&str; 3] = ["--api-key", "--hf-token", "--token"];

/// Cleans lines of a server's output.
#[derive(Clone, Default)]
pub(super) struct Redactor {
    values: Vec<String>,
}

impl Redactor {
    /// Masks these values wherever they occur, beside everything that looks like a token.
    pub(super) fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut values: Vec<String> = values
            .into_iter()
            .filter(|value| value.len() >= SHORTEST_SECRET)
            .collect();
        // A value that contains another must go first, else its rest would stay.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self { values }
    }

    /// Masks the API key too, however short it is: it is a secret by its name.
    pub(super) fn and_key(mut self, key: Option<&str>) -> Self {
        self.values
            .extend(key.filter(|key| !key.is_empty()).map(str::to_owned));
        self.values
            .sort_by_key(|value| std::cmp::Reverse(value.len()));
        self
    }

    /// The line without escape sequences, control characters and secrets.
    pub(super) fn clean(&self, line: &str) -> String {
        let mut text = without_control(line);
        for value in &self.values {
            text = text.replace(value.as_str(), MASK);
        }
        mask_url_passwords(&mask_bearer(&mask_tokens(&text)))
    }

    /// Arguments without secrets.
    pub(super) fn clean_args(&self, args: &[String]) -> Vec<String> {
        let mut is_secret = false;
        args.iter()
            .map(|arg| {
                if std::mem::take(&mut is_secret) {
                    return MASK.to_owned();
                }
                if let Some((option, _)) = arg.split_once('=')
                    && SECRET_OPTIONS.contains(&option)
                {
                    return format!("{option}={MASK}");
                }
                is_secret = SECRET_OPTIONS.contains(&arg.as_str());
                self.clean(arg)
            })
            .collect()
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

/// Drops ANSI sequences (`ESC [ … letter`, `ESC ] … BEL`) and control characters; a tab becomes a space.
fn without_control(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => match characters.next() {
                Some('[') => {
                    for parameter in characters.by_ref() {
                        if ('@'..='~').contains(&parameter) {
                            break;
                        }
                    }
                }
                Some(']') => {
                    for title in characters.by_ref() {
                        if title == '\u{7}' {
                            break;
                        }
                    }
                }
                _ => {}
            },
            '\t' => text.push(' '),
            control if control.is_control() || is_hidden(control) || is_line_end(control) => {}
            visible => text.push(visible),
        }
    }
    text
}

/// Ends of lines and paragraphs that are no control characters.
fn is_line_end(character: char) -> bool {
    matches!(character, '\u{2028}' | '\u{2029}')
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
    // Lower-casing ASCII only keeps every byte in its place.
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
        let redactor = Redactor::new(["s3cret-value".to_owned(), "1".to_owned()]);
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
            assert_eq!(redactor.clean(line), expected);
        }
    }

    #[test]
    fn escape_sequences_and_control_characters_are_dropped() {
        let line = "\u{1b}[1;31mERROR\u{1b}[0m\tx\u{7}\u{1b}]0;title\u{7}y\u{202e}z\r";
        assert_eq!(Redactor::default().clean(line), "ERROR xyz");
    }

    #[test]
    fn a_token_with_something_unseen_in_it_is_masked_all_the_same() {
        for unseen in ['\u{AD}', '\u{61C}', '\u{2060}', '\u{E0041}'] {
            let line = format!("hf_abcdefghij{unseen}klmnopqrst");
            assert_eq!(Redactor::default().clean(&line), "hf_***", "{unseen:?}");
        }
    }

    #[test]
    fn the_value_of_a_secret_option_is_masked_in_both_spellings() {
        let args = ["--api-key", "k", "--hf-token=abc", "--seed", "1"].map(String::from);
        assert_eq!(
            Redactor::default().clean_args(&args),
            ["--api-key", "***", "--hf-token=***", "--seed", "1"]
        );
    }

    #[test]
    fn a_redactor_does_not_show_what_it_hides() {
        let redactor = Redactor::new(["s3cret-value".to_owned()]);
        assert!(!format!("{redactor:?}").contains("s3cret"));
    }

    #[test]
    fn a_short_api_key_is_masked_where_a_short_setting_is_not() {
        let redactor = Redactor::new(["1".to_owned()]).and_key(Some("abc123"));
        assert_eq!(redactor.clean("level 1 key abc123"), "level 1 key ***");
        assert_eq!(Redactor::default().and_key(Some("")).clean("a"), "a");
    }

    proptest! {
        #[test]
        fn no_line_panics_or_keeps_a_control_character(line in "\\PC*|.*") {
            let clean = Redactor::default().clean(&line);
            prop_assert!(!clean.chars().any(char::is_control));
        }
    }
}
