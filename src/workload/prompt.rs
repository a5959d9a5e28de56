//! Prompts, drawn or from a file.

use std::sync::Arc;

use rand::RngExt as _;
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};

/// Form of drawn prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptForm {
    /// Token ids: exact lengths without a tokenizer; for `/v1/completions` only.
    TokenIds,
    /// Words; about one token each, the server's `usage` has the exact number.
    Words,
}

/// Token ids that exist in every common vocabulary: below 100 are special and byte tokens, and no served model has fewer than
/// 4,000 tokens. 3,900 different ids are 12 bits per token, so no two prompts of a run start alike by chance.
const TOKEN_IDS: std::ops::Range<u32> = 100..4_000;

/// Short common words; most tokenizers use one token for each.
const WORDS: [&str; 64] = [
    "about",
    "after",
    "again",
    "air",
    "all",
    "along",
    "also",
    "always",
    "animal",
    "answer",
    "any",
    "around",
    "ask",
    "away",
    "back",
    "because",
    "before",
    "began",
    "below",
    "best",
    "better",
    "between",
    "big",
    "book",
    "both",
    "boy",
    "build",
    "call",
    "came",
    "can",
    "car",
    "carry",
    "change",
    "city",
    "close",
    "come",
    "country",
    "cut",
    "day",
    "different",
    "does",
    "done",
    "door",
    "down",
    "draw",
    "each",
    "early",
    "earth",
    "easy",
    "eat",
    "end",
    "enough",
    "even",
    "every",
    "example",
    "eye",
    "face",
    "family",
    "far",
    "farm",
    "father",
    "feet",
    "few",
    "find",
];

/// The author of a chat message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The operator of the service.
    System,
    /// The same, in newer APIs.
    Developer,
    /// The user.
    User,
    /// The model.
    Assistant,
}

/// One message of a chat. Turns of one conversation share their texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its author.
    pub role: Role,
    /// Its text.
    pub content: Arc<str>,
}

impl Message {
    /// Creates a message.
    pub fn new(role: Role, content: impl Into<Arc<str>>) -> Self {
        Self {
            role,
            content: content.into(),
        }
    }
}

/// Content of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Token ids.
    TokenIds(Vec<u32>),
    /// Drawn words.
    Words(Vec<&'static str>),
    /// A text of a data set.
    Text(Arc<str>),
    /// A chat of more than one message.
    Messages(Vec<Message>),
}

impl Prompt {
    /// A prompt of `length` tokens or words.
    pub(super) fn draw(form: PromptForm, length: u32, generator: &mut Pcg64Mcg) -> Self {
        match form {
            PromptForm::TokenIds => Self::TokenIds(draw_token_ids(length, generator)),
            PromptForm::Words => Self::Words(
                (0..length)
                    .map(|_| WORDS[generator.random_range(0..WORDS.len())])
                    .collect(),
            ),
        }
    }

    /// Its first `length` tokens or words; a text from a file stays whole.
    pub(super) fn cut(&self, length: u32) -> Self {
        let length = length as usize;
        match self {
            Self::TokenIds(ids) => Self::TokenIds(ids.iter().take(length).copied().collect()),
            Self::Words(words) => Self::Words(words.iter().take(length).copied().collect()),
            Self::Text(_) | Self::Messages(_) => self.clone(),
        }
    }

    /// Two drawn prompts joined. If the forms differ, the first decides.
    pub(super) fn extended(mut self, rest: Self) -> Self {
        match (&mut self, rest) {
            (Self::TokenIds(ids), Self::TokenIds(more)) => ids.extend(more),
            (Self::Words(words), Self::Words(more)) => words.extend(more),
            (Self::TokenIds(_) | Self::Words(_) | Self::Text(_) | Self::Messages(_), _) => {}
        }
        self
    }

    /// As one text: words with a space between them, token ids as numbers, messages one below the other.
    pub fn text(&self) -> String {
        match self {
            Self::TokenIds(ids) => {
                let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
                ids.join(" ")
            }
            Self::Words(words) => words.join(" "),
            Self::Text(text) => text.to_string(),
            Self::Messages(messages) => {
                let contents: Vec<&str> = messages
                    .iter()
                    .map(|message| message.content.as_ref())
                    .collect();
                contents.join("\n")
            }
        }
    }
}

/// `length` ids, each equally likely.
pub(super) fn draw_token_ids(length: u32, generator: &mut Pcg64Mcg) -> Vec<u32> {
    (0..length)
        .map(|_| generator.random_range(TOKEN_IDS))
        .collect()
}
