//! Synthetic prompts.

use rand::RngExt as _;
use rand_pcg::Pcg64Mcg;

use super::PromptForm;

/// Token ids that stand in every vocabulary in use: below 100 are special and byte tokens, and no served model has
/// fewer than 4,000 tokens. 3,900 different ids are 12 bits a token: no two prompts of a run begin alike by chance.
const TOKEN_IDS: std::ops::Range<u32> = 100..4_000;

/// Short common words; most tokenizers take one token for each.
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

/// What a request carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Token ids.
    TokenIds(Vec<u32>),
    /// Words.
    Words(Vec<&'static str>),
}

impl Prompt {
    /// A prompt of `length` tokens or words.
    pub(super) fn draw(form: PromptForm, length: u32, generator: &mut Pcg64Mcg) -> Self {
        match form {
            PromptForm::TokenIds => Self::TokenIds(
                (0..length)
                    .map(|_| generator.random_range(TOKEN_IDS))
                    .collect(),
            ),
            PromptForm::Words => Self::Words(
                (0..length)
                    .map(|_| WORDS[generator.random_range(0..WORDS.len())])
                    .collect(),
            ),
        }
    }

    /// Its first `length` tokens or words.
    pub(super) fn cut(&self, length: u32) -> Self {
        let length = length as usize;
        match self {
            Self::TokenIds(ids) => Self::TokenIds(ids.iter().take(length).copied().collect()),
            Self::Words(words) => Self::Words(words.iter().take(length).copied().collect()),
        }
    }

    /// Both, one after the other. Of two forms the first decides.
    pub(super) fn extended(mut self, rest: Self) -> Self {
        match (&mut self, rest) {
            (Self::TokenIds(ids), Self::TokenIds(more)) => ids.extend(more),
            (Self::Words(words), Self::Words(more)) => words.extend(more),
            (Self::TokenIds(_), Self::Words(_)) | (Self::Words(_), Self::TokenIds(_)) => {}
        }
        self
    }

    /// Number of tokens or words.
    pub fn len(&self) -> usize {
        match self {
            Self::TokenIds(ids) => ids.len(),
            Self::Words(words) => words.len(),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
