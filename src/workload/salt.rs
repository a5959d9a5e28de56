//! What makes the prompts of a pass new to a server's prefix cache without making them new to each other.

use std::sync::Arc;

use super::prompt::draw_token_ids;
use super::{Message, Prompt, PromptForm, generator};

/// Words or token ids at the head of every prompt of a pass. 48 bits: the passes of a run never begin alike by chance.
const WORDS: u32 = 8;

/// Token ids: 12 bits each.
const TOKEN_IDS: u32 = 4;

/// The head that all prompts of one pass share, so that what they have in common stays in common within the pass.
#[derive(Clone, Debug)]
pub(super) struct Salt {
    purpose: Vec<String>,
    seed: u64,
}

impl Salt {
    /// The salt of a purpose, such as phase, scenario and repeat.
    pub(super) fn new(seed: u64, purpose: &[&str]) -> Self {
        let purpose = purpose.iter().map(|&word| word.to_owned()).collect();
        Self { purpose, seed }
    }

    /// `about face farm …`, a blank line, and the text.
    pub(super) fn text(&self, text: &str) -> Arc<str> {
        let mut generator = generator(self.seed, &self.words("text"));
        let head = Prompt::draw(PromptForm::Words, WORDS, &mut generator).text();
        format!("{head}\n\n{text}").into()
    }

    /// The head and the ids.
    pub(super) fn token_ids(&self, ids: &[u32]) -> Vec<u32> {
        let mut generator = generator(self.seed, &self.words("token ids"));
        let mut salted = draw_token_ids(TOKEN_IDS, &mut generator);
        salted.extend(ids);
        salted
    }

    /// The messages with the head at the beginning of the first one.
    pub(super) fn messages(&self, messages: &[Message]) -> Vec<Message> {
        let mut salted = messages.to_vec();
        if let Some(first) = salted.first_mut() {
            first.content = self.text(&first.content);
        }
        salted
    }

    /// Words by which contents are drawn that differ with the salt.
    pub(super) fn words<'a>(&'a self, what: &'a str) -> Vec<&'a str> {
        let words = self.purpose.iter().map(String::as_str);
        ["salt", what].into_iter().chain(words).collect()
    }
}
