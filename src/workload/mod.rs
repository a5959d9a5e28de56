//! Prompts, lengths and arrival times from a seed or a data set. Pure: equal shapes and equal files give equal requests on
//! every machine.
//!
//! Lengths depend only on the seed and the request's position, so every repeat and every load point has the same work.
//! Contents also depend on the scenario and the repeat, so that no prompt is sent twice to a warm server, whose prefix cache
//! would match it. If the server outlives the run, they also depend on a nonce of the run.
//! Synthetic contents are drawn anew ([`Shape`]); those of a data set start with a short salt ([`dataset::Selection`]).

mod arrivals;
pub mod dataset;
mod lengths;
mod prompt;
mod salt;
mod shape;

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng as _;
use rand_pcg::Pcg64Mcg;
use sha2::{Digest as _, Sha256};

pub use arrivals::{arrivals, ramped};
pub use lengths::Lengths;
pub use prompt::{Message, Prompt, PromptForm, Role};
pub use shape::{Conversation, Prefix, Shape};

/// The generator's name, part of the digest: another generator draws other requests from the same seed.
const GENERATOR: &str = "pcg64mcg-0.10";

/// Increased when the same shape would send other requests than before, so that stored baselines do not match by accident.
const REVISION: u32 = 1;

/// One request to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Position in the workload, from 0.
    pub index: usize,
    /// What to send.
    pub prompt: Prompt,
    /// Tokens to request.
    pub output_tokens: u32,
    /// When the trace sent it, from the start of the measurement; `None` without a trace.
    pub due: Option<Duration>,
    /// The previous turn of the conversation, whose answer must end before this one is sent.
    pub follows: Option<Follows>,
}

/// A turn that waits for an earlier one. The turns of a conversation are consecutive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follows {
    /// Position of the earlier request.
    pub index: usize,
    /// Think time between its end and this one.
    pub pause: Duration,
}

/// Purpose of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The n-th warm-up before a measurement, from 0. All have the same lengths or entries, but different contents.
    WarmUp(u32),
    /// The measurement.
    Measured,
}

impl Phase {
    /// Shared by all warm-ups, as a purpose of draws.
    fn kind(self) -> &'static str {
        match self {
            Self::WarmUp(_) => "warm-up",
            Self::Measured => "measured",
        }
    }

    /// Unique for each phase, as a purpose of draws.
    fn purpose(self) -> String {
        match self {
            Self::WarmUp(number @ 1..) => format!("{} {number}", self.kind()),
            Self::WarmUp(0) | Self::Measured => self.kind().to_owned(),
        }
    }
}

/// Source of requests.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Drawn.
    Synthetic(Shape),
    /// Selected from a file.
    Dataset(Arc<dataset::Selection>),
}

/// A part of the requests of a run.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Warm-up or measured requests.
    pub phase: Phase,
    /// Name of the scenario.
    pub scenario: &'a str,
    /// Which repeat, from 0.
    pub repeat: u32,
    /// Makes the contents unique to one run, for a server that has served other runs; lengths, order and digest stay the
    /// same.
    pub nonce: Option<&'a str>,
}

#[cfg(test)]
impl<'a> Part<'a> {
    /// For a run without a nonce.
    pub(crate) fn of(phase: Phase, scenario: &'a str, repeat: u32) -> Self {
        Self {
            phase,
            scenario,
            repeat,
            nonce: None,
        }
    }
}

impl Source {
    /// The requests of that part of a run.
    pub fn requests(&self, part: Part<'_>) -> Vec<Request> {
        match self {
            Self::Synthetic(shape) => shape.requests(part),
            Self::Dataset(selection) => selection.requests(part),
        }
    }

    /// `sha256:…` over everything that decides what is sent, except the load points. `sent_with` has the settings that the
    /// driver adds to each request (endpoint, model, sampling), as name and value.
    pub fn digest(&self, sent_with: &[(&str, String)]) -> String {
        let mut text = match self {
            Self::Synthetic(shape) => shape.described(),
            Self::Dataset(selection) => selection.described(),
        };
        for (name, value) in sent_with {
            text.push_str(name);
            text.push(' ');
            text.push_str(value);
            text.push('\n');
        }
        let hash = Sha256::digest(text.as_bytes());
        format!("sha256:{hash:x}")
    }
}

/// A separate generator for each purpose, so that additional draws for one purpose do not change another.
fn generator(seed: u64, purpose: &[&str]) -> Pcg64Mcg {
    let digest = hash(seed, purpose);
    let mut state = <Pcg64Mcg as rand::SeedableRng>::Seed::default();
    state.copy_from_slice(&digest[..16]);
    Pcg64Mcg::from_seed(state)
}

/// A separate seed for each purpose.
pub fn seed_of(seed: u64, purpose: &[&str]) -> u64 {
    let mut state = [0; 8];
    state.copy_from_slice(&hash(seed, purpose)[..8]);
    u64::from_le_bytes(state)
}

/// A separate number for each purpose.
fn hash(seed: u64, purpose: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    for word in purpose {
        hash.update(word.as_bytes());
        hash.update([0]);
    }
    hash.finalize().into()
}
