//! A shared start of all prompts of one round, so that a server's prefix cache has no match from earlier rounds.

use std::sync::Arc;

use super::prompt::draw_token_ids;
use super::{Message, Prompt, PromptForm, generator};

/// Words at the start of every prompt of a round. 48 bits: two rounds of a run never start alike by chance.
const WORDS: u32 = 8;

/// Token ids: 12 bits each.
const TOKEN_IDS: u32 = 4;

/// The shared start of all prompts of one round, so that their common parts stay common.
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

    /// The messages, with the salt at the start of the first one.
    pub(super) fn messages(&self, messages: &[Message]) -> Vec<Message> {
        let mut salted = messages.to_vec();
        if let Some(first) = salted.first_mut() {
            first.content = self.text(&first.content);
        }
        salted
    }

    /// Purpose of draws that differ with the salt.
    pub(super) fn words<'a>(&'a self, what: &'a str) -> Vec<&'a str> {
        let words = self.purpose.iter().map(String::as_str);
        ["salt", what].into_iter().chain(words).collect()
    }
}
