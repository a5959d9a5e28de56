//! Requests of a data set.

use std::fmt;
use std::time::Duration;

use super::{Content, Entry, Format, Turns, Units};
use crate::text::count::count;
use crate::workload::prompt::draw_token_ids;
use crate::workload::salt::Salt;
use crate::workload::{
    Follows, GENERATOR, Lengths, Message, Part, Phase, Prompt, Request, Role, generator,
};

/// Increased when the same file and choice would send other requests than before.
const REVISION: u32 = 1;

/// Latest due time: no clock that starts now reaches a century.
const LATEST: Duration = Duration::from_hours(100 * 365 * 24);

/// What to select from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Format of the file.
    pub format: Format,
    /// Its units.
    pub units: Units,
    /// SHA-256 of the file's bytes, in hexadecimal.
    pub sha256: String,
    /// Measured requests per repeat of one scenario.
    pub num_requests: usize,
    /// Requests before each measurement.
    pub warmup_requests: usize,
    /// Which turns of conversations are sent; `None` for the format's default.
    pub turns: Option<Turns>,
    /// Think time between an answer and the next turn.
    pub pause: Duration,
    /// Factor by which a trace is sent faster; `None` for its own speed.
    pub speedup: Option<f64>,
    /// Whether entries are sent again if there are too few.
    pub repeat_entries: bool,
    /// Whether prompts start with words that are new in every round.
    pub salt: bool,
    /// Output lengths of entries without one.
    pub output_tokens: Option<Lengths>,
    /// Seed of the order, of lengths and of drawn contents.
    pub seed: u64,
}

/// Why a file does not provide what was selected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// It has no usable entry.
    #[error("has no usable entry")]
    Nothing,
    /// It has too few requests.
    #[error("provides {}, but `num_requests` is {wanted}", count(*has, "request"))]
    TooFew {
        /// Requests of all its entries.
        has: usize,
        /// Requested number.
        wanted: usize,
    },
    /// No request is left for the warm-up, which must not send measured prompts unchanged.
    #[error("provides {}, but without a salt measurement and warm-up need {wanted}", count(*has, "request"))]
    NoneLeft {
        /// Requests of all its entries.
        has: usize,
        /// Measured and warm-up requests.
        wanted: usize,
    },
    /// Neither the entry nor the plan sets an output length.
    #[error("entry {0} does not set the number of output tokens, and `output_tokens` is missing")]
    NoLength(usize),
    /// `turns` for a file without conversations.
    #[error("has no conversations, but `turns` is set")]
    NoTurns,
    /// `speedup` for a file without times.
    #[error("has no time stamps, but `speedup` is set")]
    NoTimes,
}

/// The entries of a run, in order, each with the output lengths of its requests.
#[derive(Clone, PartialEq)]
pub struct Selection {
    pub(crate) choice: Choice,
    turns: Turns,
    entries: Vec<Entry>,
    warmup: Vec<Chosen>,
    measured: Vec<Chosen>,
}

/// One selected entry.
#[derive(Clone, Debug, PartialEq)]
struct Chosen {
    /// Index into the entries.
    entry: usize,
    /// How many rounds through the entries came before.
    round: u32,
    /// Tokens to request in each of its sent turns.
    output_tokens: Vec<u32>,
}

/// Shows the settings instead of the requests: the debug text of a plan is hashed.
impl fmt::Debug for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Selection").field(&self.described()).finish()
    }
}

impl Selection {
    /// Selects from `entries`, which are in the order of a [`Sample`](super::Sample) of at least the number of requests including
    /// the warm-up, or all entries of the file.
    pub fn new(choice: Choice, entries: Vec<Entry>) -> Result<Self, ChoiceError> {
        let is_timed = entries.first().ok_or(ChoiceError::Nothing)?.at.is_some();
        if choice.speedup.is_some() && !is_timed {
            return Err(ChoiceError::NoTimes);
        }
        let has_turns = |entry: &Entry| matches!(entry.content, Content::Messages(_));
        if choice.turns.is_some() && !entries.iter().any(has_turns) {
            return Err(ChoiceError::NoTurns);
        }
        let turns = choice.turns.unwrap_or(match choice.format {
            Format::ShareGpt => Turns::First,
            Format::Jsonl | Format::Mooncake => Turns::Last,
        });
        let has: usize = entries.iter().map(|entry| turns_of(entry, turns)).sum();
        let wanted = choice.num_requests.saturating_add(choice.warmup_requests);
        if has < choice.num_requests && !choice.repeat_entries {
            return Err(ChoiceError::TooFew {
                has,
                wanted: choice.num_requests,
            });
        }
        if has < wanted && !choice.salt && !choice.repeat_entries {
            return Err(ChoiceError::NoneLeft { has, wanted });
        }
        let mut selection = Self {
            turns,
            entries,
            warmup: Vec::new(),
            measured: Vec::new(),
            choice,
        };
        let mut next = 0;
        selection.measured =
            selection.take(Phase::Measured, selection.choice.num_requests, &mut next)?;
        // After the measured ones, or from the start again if there are no others: the warm-up has another salt.
        selection.warmup = selection.take(
            Phase::WarmUp(0),
            selection.choice.warmup_requests,
            &mut next,
        )?;
        Ok(selection)
    }

    /// The same selection with other sizes, from the kept entries.
    pub fn resized(
        &self,
        num_requests: usize,
        warmup_requests: usize,
    ) -> Result<Self, ChoiceError> {
        let choice = Choice {
            num_requests,
            warmup_requests,
            ..self.choice.clone()
        };
        Self::new(choice, self.entries.clone())
    }

    /// Entries from `next` on that provide `count` requests; the last conversation is cut.
    fn take(
        &self,
        phase: Phase,
        count: usize,
        next: &mut usize,
    ) -> Result<Vec<Chosen>, ChoiceError> {
        let mut lengths = generator(self.choice.seed, &["lengths", phase.kind()]);
        let (mut chosen, mut left) = (Vec::new(), count);
        while left > 0 {
            let index = *next % self.entries.len();
            let entry = &self.entries[index];
            let turns = turns_of(entry, self.turns).min(left);
            let own = entry.output_tokens.map(Lengths::Constant);
            let output = own
                .or(self.choice.output_tokens)
                .ok_or(ChoiceError::NoLength(entry.position + 1))?;
            chosen.push(Chosen {
                entry: index,
                round: u32::try_from(*next / self.entries.len()).unwrap_or(u32::MAX),
                output_tokens: (0..turns).map(|_| output.draw(&mut lengths)).collect(),
            });
            left -= turns;
            *next += 1;
        }
        Ok(chosen)
    }

    /// Time from the first to the last measured request by the trace's clock, and the number of gaps between them.
    pub fn span(&self) -> Option<(Duration, u32)> {
        let first = self.at(self.measured.first()?)?;
        let last = self.at(self.measured.last()?)?;
        let gaps = u32::try_from(self.measured.len() - 1).ok()?;
        (gaps > 0).then(|| (last.saturating_sub(first), gaps))
    }

    /// Whether the entries have time stamps.
    pub fn is_timed(&self) -> bool {
        self.entries.first().is_some_and(|entry| entry.at.is_some())
    }

    /// The first entry, counted from 1, that needs the chat API.
    pub fn first_for_chat(&self) -> Option<usize> {
        self.first_with(|prompt| matches!(prompt, Prompt::Messages(_)))
    }

    /// The first entry, counted from 1, that needs the completions API.
    pub fn first_for_completions(&self) -> Option<usize> {
        self.first_with(|prompt| matches!(prompt, Prompt::TokenIds(_)))
    }

    fn first_with(&self, matching: impl Fn(&Prompt) -> bool) -> Option<usize> {
        let mut chosen = self.measured.iter().chain(&self.warmup);
        let chosen = chosen.find(|chosen| self.prompts(chosen, None).iter().any(&matching))?;
        Some(self.entries[chosen.entry].position + 1)
    }

    /// `sharegpt sha256:0123456789ab`: short name of the data set.
    pub fn name(&self) -> String {
        let Choice { format, sha256, .. } = &self.choice;
        let short = sha256.get(..12).unwrap_or(sha256);
        format!("{format} sha256:{short}")
    }

    /// Output lengths, for display.
    pub fn output_lengths(&self) -> String {
        let own = |chosen: &&Chosen| self.entries[chosen.entry].output_tokens.is_some();
        match (
            self.measured.iter().filter(own).count(),
            self.choice.output_tokens,
        ) {
            (0, Some(lengths)) => lengths.to_string(),
            (count, Some(lengths)) if count < self.measured.len() => {
                format!("as in the data set, else {lengths}")
            }
            _ => "as in the data set".to_owned(),
        }
    }

    /// All settings that decide what is sent, as text for the digest.
    pub(in crate::workload) fn described(&self) -> String {
        let choice = &self.choice;
        let output = choice
            .output_tokens
            .map_or_else(|| "none".to_owned(), |lengths| lengths.to_string());
        // Default units are omitted, so that digests from before these settings still match.
        let units = if choice.units == Units::default() {
            String::new()
        } else {
            let Units { time, block_tokens } = choice.units;
            format!("time stamps {}\nblock {block_tokens}\n", time.name())
        };
        format!(
            "perfgate data set {REVISION}\ngenerator {GENERATOR}\nfile sha256:{}\nformat {}\nturns {}\npause {} ns\norder \
             {}\nspeedup {}\nrequests {}\nwarm-up {}\nrepeat entries {}\nsalt {}\noutput {output}\nseed {}\n{units}",
            choice.sha256,
            choice.format,
            self.turns.name(),
            choice.pause.as_nanos(),
            if self.is_timed() {
                "by time"
            } else {
                "bottom-k sha256"
            },
            choice.speedup.unwrap_or(1.0),
            choice.num_requests,
            choice.warmup_requests,
            choice.repeat_entries,
            if choice.salt { "per pass" } else { "none" },
            choice.seed,
        )
    }

    /// The requests of that part of a run.
    pub fn requests(&self, part: Part<'_>) -> Vec<Request> {
        let Part {
            phase,
            scenario,
            repeat,
            nonce,
        } = part;
        let chosen = match phase {
            Phase::WarmUp(_) => &self.warmup,
            Phase::Measured => &self.measured,
        };
        let (purpose, repeat) = (phase.purpose(), repeat.to_string());
        let begin = chosen.first().and_then(|first| self.at(first));
        let mut requests: Vec<Request> = Vec::new();
        for chosen in chosen {
            let round = chosen.round.to_string();
            let mut purpose = vec![purpose.as_str(), scenario, &repeat, &round];
            purpose.extend(nonce);
            let salt = self
                .choice
                .salt
                .then(|| Salt::new(self.choice.seed, &purpose));
            let due = self.at(chosen).zip(begin).map(|(at, begin)| {
                let later = at.saturating_sub(begin).as_secs_f64();
                let faster = later / self.choice.speedup.unwrap_or(1.0);
                Duration::try_from_secs_f64(faster).map_or(LATEST, |due| Duration::min(due, LATEST))
            });
            let prompts = self.prompts(chosen, salt.as_ref()).into_iter();
            for (turn, (prompt, output)) in prompts.zip(&chosen.output_tokens).enumerate() {
                let index = requests.len();
                requests.push(Request {
                    index,
                    prompt,
                    output_tokens: *output,
                    due: due.filter(|_| turn == 0),
                    follows: (turn > 0).then(|| Follows {
                        index: index - 1,
                        pause: self.choice.pause,
                    }),
                });
            }
        }
        requests
    }

    /// When an entry is sent, by the trace's clock; later rounds follow the first.
    fn at(&self, chosen: &Chosen) -> Option<Duration> {
        let first = self.entries.first()?.at?;
        let span = self.entries.last()?.at?.saturating_sub(first);
        // One mean gap between the last entry and the first of the next round.
        let gaps = u32::try_from(self.entries.len() - 1)
            .unwrap_or(u32::MAX)
            .max(1);
        let round = (span + span / gaps).saturating_mul(chosen.round);
        Some(self.entries[chosen.entry].at?.saturating_add(round))
    }

    /// One prompt for each sent turn.
    fn prompts(&self, chosen: &Chosen, salt: Option<&Salt>) -> Vec<Prompt> {
        let entry = &self.entries[chosen.entry];
        match &entry.content {
            Content::Text(text) => vec![Prompt::Text(match salt {
                Some(salt) => salt.text(text),
                None => text.clone(),
            })],
            Content::TokenIds(ids) => vec![Prompt::TokenIds(match salt {
                Some(salt) => salt.token_ids(ids),
                None => ids.clone(),
            })],
            Content::Blocks { tokens, hash_ids } => {
                vec![Prompt::TokenIds(
                    self.blocks(entry, *tokens, hash_ids, salt),
                )]
            }
            Content::Messages(messages) => {
                let messages = self.sent(messages);
                let messages = match salt {
                    Some(salt) => salt.messages(messages),
                    None => messages.to_vec(),
                };
                let questions = questions(&messages);
                let sent = match self.turns {
                    Turns::First => questions.first().copied().into_iter().collect(),
                    Turns::Last => questions.last().copied().into_iter().collect(),
                    Turns::All => questions,
                };
                sent.into_iter()
                    .take(chosen.output_tokens.len())
                    .map(|last| history(&messages[..=last]))
                    .collect()
            }
        }
    }

    /// The messages for requests. The first question of ShareGPT is sent without a system prompt, as other load generators do,
    /// so that completions can send it too.
    fn sent<'a>(&self, messages: &'a [Message]) -> &'a [Message] {
        let begins_with_system = messages
            .first()
            .is_some_and(|message| message.role == Role::System);
        let alone = self.choice.format == Format::ShareGpt && self.turns == Turns::First;
        &messages[usize::from(alone && begins_with_system)..]
    }

    /// Token ids, block by block from the block ids. A salt changes the drawn ids, but not the length.
    fn blocks(
        &self,
        entry: &Entry,
        tokens: u32,
        hash_ids: &[u64],
        salt: Option<&Salt>,
    ) -> Vec<u32> {
        let draw = |what: &str, number: &str, count: u32| {
            let mut purpose = salt.map_or_else(|| vec![what], |salt| salt.words(what));
            purpose.push(number);
            draw_token_ids(count, &mut generator(self.choice.seed, &purpose))
        };
        let mut ids = Vec::with_capacity(tokens as usize);
        let mut left = tokens;
        for hash_id in hash_ids {
            let count = left.min(self.choice.units.block_tokens);
            ids.extend(draw("block", &hash_id.to_string(), count));
            left -= count;
        }
        ids.extend(draw("entry", &entry.position.to_string(), left));
        ids
    }
}

/// Number of requests of an entry.
fn turns_of(entry: &Entry, turns: Turns) -> usize {
    match (&entry.content, turns) {
        (Content::Messages(messages), Turns::All) => questions(messages).len(),
        (_, _) => 1,
    }
}

/// Positions of the questions.
fn questions(messages: &[Message]) -> Vec<usize> {
    messages
        .iter()
        .enumerate()
        .filter(|(_, message)| message.role == Role::User)
        .map(|(index, _)| index)
        .collect()
}

/// A question after the earlier messages; alone, it is a text that both APIs can send.
fn history(messages: &[Message]) -> Prompt {
    match messages {
        [only] => Prompt::Text(only.content.clone()),
        all => Prompt::Messages(all.to_vec()),
    }
}

#[cfg(test)]
#[path = "selection_tests.rs"]
mod tests;
