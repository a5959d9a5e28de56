//! Requests of a data set.

use std::fmt;
use std::time::Duration;

use super::{Content, Entry, Format, Turns, Units};
use crate::workload::prompt::draw_token_ids;
use crate::workload::salt::Salt;
use crate::workload::{
    Follows, GENERATOR, Lengths, Message, Part, Phase, Prompt, Request, Role, generator,
};

/// Raised when the same file and choice would send something else than before.
const REVISION: u32 = 1;

/// Nothing is due later: a century is beyond every clock that counts from now.
const LATEST: Duration = Duration::from_hours(100 * 365 * 24);

/// What is chosen from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// How the file says it.
    pub format: Format,
    /// Its units.
    pub units: Units,
    /// SHA-256 of the file's bytes, in hexadecimal.
    pub sha256: String,
    /// Measured requests per repeat of one scenario.
    pub num_requests: usize,
    /// Requests before each measurement.
    pub warmup_requests: usize,
    /// Which turns of conversations are sent; `None` for the format's usual ones.
    pub turns: Option<Turns>,
    /// Think time between an answer and the next turn.
    pub pause: Duration,
    /// By how much a trace is faster than it was; `None` as fast.
    pub speedup: Option<f64>,
    /// Whether entries are sent again where there are too few.
    pub repeat_entries: bool,
    /// Whether prompts begin with words that are new in every pass.
    pub salt: bool,
    /// Output lengths of entries that say none.
    pub output_tokens: Option<Lengths>,
    /// Seed of the order, of lengths and of drawn contents.
    pub seed: u64,
}

/// Why a file does not give what was chosen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// It has nothing to send.
    #[error("has no entry that can be used")]
    Nothing,
    /// It has too little to send.
    #[error("gives {has} requests, and `num_requests` is {wanted}")]
    TooFew {
        /// Requests that all its entries give.
        has: usize,
        /// Requests that are asked for.
        wanted: usize,
    },
    /// Nothing is left for the warm-up, and what is measured must not be sent before as it stands.
    #[error("gives {has} requests, and without a salt {wanted} are needed with the warm-up")]
    NoneLeft {
        /// Requests that all its entries give.
        has: usize,
        /// Measured and warm-up requests.
        wanted: usize,
    },
    /// An entry and the plan both say no output length.
    #[error("entry {0} does not say how many tokens to ask for, and neither does `output_tokens`")]
    NoLength(usize),
    /// Turns of something that has none.
    #[error("has no conversations, and `turns` chooses among their turns")]
    NoTurns,
    /// A speed of something that has no times.
    #[error("has no time stamps, and `speedup` shortens the times between them")]
    NoTimes,
}

/// The entries that a run sends, in their order, each with what every pass asks for.
#[derive(Clone, PartialEq)]
pub struct Selection {
    choice: Choice,
    turns: Turns,
    entries: Vec<Entry>,
    warmup: Vec<Chosen>,
    measured: Vec<Chosen>,
}

/// One entry to send.
#[derive(Clone, Debug, PartialEq)]
struct Chosen {
    /// Index into the entries.
    entry: usize,
    /// How often the entries were gone through before.
    round: u32,
    /// Tokens to ask for in each of its turns that are sent.
    output_tokens: Vec<u32>,
}

/// Shows what decides the requests instead of the requests: a plan with it is hashed.
impl fmt::Debug for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Selection").field(&self.described()).finish()
    }
}

impl Selection {
    /// Chooses from `entries`, which are in the order of a [`Sample`](super::Sample) of at least as many as there are
    /// requests with the warm-up, or all that the file has.
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
        // After the measured ones, and round again where there are no others: the warm-up's salt is another.
        selection.warmup = selection.take(
            Phase::WarmUp(0),
            selection.choice.warmup_requests,
            &mut next,
        )?;
        Ok(selection)
    }

    /// The same choice of other sizes, from the entries that were kept.
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

    /// Measured requests, and those before them.
    pub fn sizes(&self) -> (usize, usize) {
        (self.choice.num_requests, self.choice.warmup_requests)
    }

    /// Whether entries are sent again where there are too few.
    pub fn repeats_entries(&self) -> bool {
        self.choice.repeat_entries
    }

    /// Entries from `next` on that give `count` requests; the last conversation is cut.
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

    /// How long the measured requests of a trace take from the first to the last by its own clock, and the gaps between them.
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

    /// The first entry, counted from 1, that only a chat can send.
    pub fn first_for_chat(&self) -> Option<usize> {
        self.first_with(|prompt| matches!(prompt, Prompt::Messages(_)))
    }

    /// The first entry, counted from 1, that only completions can send.
    pub fn first_for_completions(&self) -> Option<usize> {
        self.first_with(|prompt| matches!(prompt, Prompt::TokenIds(_)))
    }

    fn first_with(&self, matching: impl Fn(&Prompt) -> bool) -> Option<usize> {
        let mut chosen = self.measured.iter().chain(&self.warmup);
        let chosen = chosen.find(|chosen| self.prompts(chosen, None).iter().any(&matching))?;
        Some(self.entries[chosen.entry].position + 1)
    }

    /// `sharegpt sha256:0123456789ab`: as a person tells data sets apart.
    pub fn name(&self) -> String {
        let Choice { format, sha256, .. } = &self.choice;
        let short = sha256.get(..12).unwrap_or(sha256);
        format!("{format} sha256:{short}")
    }

    /// Output lengths, as a person reads them.
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

    /// Everything that decides what is sent, as text for the digest.
    pub(in crate::workload) fn described(&self) -> String {
        let choice = &self.choice;
        let output = choice
            .output_tokens
            .map_or_else(|| "none".to_owned(), |lengths| lengths.to_string());
        // Where they are the usual ones the digest is that of the time before there were others.
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
        // One gap of mean length between the last entry and the first of the next round.
        let gaps = u32::try_from(self.entries.len() - 1)
            .unwrap_or(u32::MAX)
            .max(1);
        let round = (span + span / gaps).saturating_mul(chosen.round);
        Some(self.entries[chosen.entry].at?.saturating_add(round))
    }

    /// One prompt for each of the turns that are sent.
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

    /// The messages of which requests are made. The first question of ShareGPT is sent without a system prompt, as
    /// other load generators do, so that completions can send it too.
    fn sent<'a>(&self, messages: &'a [Message]) -> &'a [Message] {
        let begins_with_system = messages
            .first()
            .is_some_and(|message| message.role == Role::System);
        let alone = self.choice.format == Format::ShareGpt && self.turns == Turns::First;
        &messages[usize::from(alone && begins_with_system)..]
    }

    /// Token ids, block by block from the blocks' ids. A salt draws other ones; it takes no room.
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

/// Requests that an entry gives.
fn turns_of(entry: &Entry, turns: Turns) -> usize {
    match (&entry.content, turns) {
        (Content::Messages(messages), Turns::All) => questions(messages).len(),
        (_, _) => 1,
    }
}

/// Where the questions stand.
fn questions(messages: &[Message]) -> Vec<usize> {
    messages
        .iter()
        .enumerate()
        .filter(|(_, message)| message.role == Role::User)
        .map(|(index, _)| index)
        .collect()
}

/// A question after what was said before; alone, it is a text that both APIs can send.
fn history(messages: &[Message]) -> Prompt {
    match messages {
        [only] => Prompt::Text(only.content.clone()),
        all => Prompt::Messages(all.to_vec()),
    }
}

#[cfg(test)]
#[path = "selection_tests.rs"]
mod tests;
