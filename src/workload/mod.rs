//! Prompts, lengths and arrival times from a seed. Pure: equal shapes give equal requests, on every machine.
//!
//! Lengths depend on the seed and the request's position only, so every repeat and every load point carries the same
//! work; token ids also depend on the scenario and the repeat, so that no prompt is sent twice to a warm server, where
//! the prefix cache would answer it.

mod arrivals;
mod lengths;
mod prompt;

use rand::SeedableRng as _;
use rand_pcg::Pcg64Mcg;
use sha2::{Digest as _, Sha256};

pub use arrivals::arrivals;
pub use lengths::Lengths;
pub use prompt::Prompt;

/// The generator's name, part of the digest: another generator draws other requests from the same seed.
const GENERATOR: &str = "pcg64mcg-0.10";

/// Raised when the same shape would send something else than before, so that stored baselines do not match by accident.
const REVISION: u32 = 1;

/// Whether prompts are token ids (exact lengths without a tokenizer) or words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptForm {
    /// Token ids, for `/v1/completions`.
    TokenIds,
    /// Words, for `/v1/chat/completions`; about one token each, the server's `usage` tells exactly.
    Words,
}

/// What decides the requests, but for the load points.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Token ids or words.
    pub form: PromptForm,
    /// Measured requests per repeat of one scenario.
    pub num_requests: usize,
    /// Requests before each measurement.
    pub warmup_requests: usize,
    /// Prompt lengths in tokens.
    pub input_tokens: Lengths,
    /// Output lengths in tokens.
    pub output_tokens: Lengths,
    /// Share of every prompt that is the same in all requests of the run, 0 to 1.
    pub prefix_share: f64,
    /// The seed.
    pub seed: u64,
}

/// One request to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Position in the workload, from 0.
    pub index: usize,
    /// What to send.
    pub prompt: Prompt,
    /// Tokens to ask for.
    pub output_tokens: u32,
}

/// The requests of one pass over one scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Pass {
    /// Sent first, at the measured load, and not counted.
    pub warmup: Vec<Request>,
    /// Measured.
    pub measured: Vec<Request>,
}

impl Shape {
    /// The requests of repeat `repeat` (from 0) of one scenario.
    pub fn pass(&self, scenario: &str, repeat: u32) -> Pass {
        Pass {
            warmup: self.requests("warm-up", scenario, repeat, self.warmup_requests),
            measured: self.requests("measured", scenario, repeat, self.num_requests),
        }
    }

    /// `sha256:…` over everything that decides what is sent but the load points. `sent_with` are the settings that the
    /// driver adds to each request (endpoint, model, sampling), as name and value.
    pub fn digest(&self, sent_with: &[(&str, String)]) -> String {
        let mut text = format!(
            "perfgate workload {REVISION}\ngenerator {GENERATOR}\nform {:?}\nrequests {}\nwarm-up {}\ninput {}\noutput \
             {}\nprefix {}\nseed {}\n",
            self.form,
            self.num_requests,
            self.warmup_requests,
            self.input_tokens,
            self.output_tokens,
            self.prefix_share,
            self.seed,
        );
        for (name, value) in sent_with {
            text.push_str(name);
            text.push(' ');
            text.push_str(value);
            text.push('\n');
        }
        let hash = Sha256::digest(text.as_bytes());
        format!("sha256:{hash:x}")
    }

    fn requests(&self, phase: &str, scenario: &str, repeat: u32, count: usize) -> Vec<Request> {
        let mut lengths = generator(self.seed, &["lengths", phase]);
        let mut contents = generator(
            self.seed,
            &["contents", phase, scenario, &repeat.to_string()],
        );
        let mut prefixes = generator(self.seed, &["prefix"]);
        let prefix = Prompt::draw(self.form, self.longest_prefix(), &mut prefixes);
        (0..count)
            .map(|index| {
                let input = self.input_tokens.draw(&mut lengths);
                let output_tokens = self.output_tokens.draw(&mut lengths);
                let shared = prefix_length(input, self.prefix_share);
                let prompt = prefix.cut(shared).extended(Prompt::draw(
                    self.form,
                    input - shared,
                    &mut contents,
                ));
                Request {
                    index,
                    prompt,
                    output_tokens,
                }
            })
            .collect()
    }

    fn longest_prefix(&self) -> u32 {
        if self.prefix_share > 0.0 {
            prefix_length(self.input_tokens.largest(), self.prefix_share)
        } else {
            0
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a u32 is a u32"
)]
fn prefix_length(input: u32, share: f64) -> u32 {
    (f64::from(input) * share.clamp(0.0, 1.0)) as u32
}

/// A generator of its own for each purpose, so that drawing more of one thing does not change another.
fn generator(seed: u64, purpose: &[&str]) -> Pcg64Mcg {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    for word in purpose {
        hash.update(word.as_bytes());
        hash.update([0]);
    }
    let digest = hash.finalize();
    let mut state = <Pcg64Mcg as rand::SeedableRng>::Seed::default();
    state.copy_from_slice(&digest[..16]);
    Pcg64Mcg::from_seed(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        Shape {
            form: PromptForm::TokenIds,
            num_requests: 50,
            warmup_requests: 5,
            input_tokens: Lengths::Normal {
                mean: 100.0,
                std: 20.0,
            },
            output_tokens: Lengths::Uniform { min: 10, max: 30 },
            prefix_share: 0.0,
            seed: 42,
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_requests() {
        assert_eq!(
            shape().pass("concurrency=4", 0),
            shape().pass("concurrency=4", 0)
        );
        assert_ne!(
            shape().pass("concurrency=4", 0),
            Shape {
                seed: 43,
                ..shape()
            }
            .pass("concurrency=4", 0)
        );
    }

    #[test]
    fn repeats_and_scenarios_share_lengths_and_differ_in_content() {
        let first = shape().pass("concurrency=4", 0).measured;
        for other in [
            shape().pass("concurrency=4", 1).measured,
            shape().pass("concurrency=8", 0).measured,
        ] {
            for (a, b) in first.iter().zip(&other) {
                assert_eq!(a.prompt.len(), b.prompt.len());
                assert_eq!(a.output_tokens, b.output_tokens);
                assert_ne!(a.prompt, b.prompt);
            }
        }
    }

    #[test]
    fn a_shared_prefix_is_the_same_in_all_requests() {
        let shape = Shape {
            prefix_share: 0.5,
            input_tokens: Lengths::Constant(40),
            ..shape()
        };
        let pass = shape.pass("concurrency=1", 0);
        let prefix = pass.warmup[0].prompt.cut(20);
        for request in &pass.measured {
            assert_eq!(request.prompt.len(), 40);
            assert_eq!(request.prompt.cut(20), prefix);
            assert_ne!(request.prompt.cut(21), pass.warmup[0].prompt.cut(21));
        }
    }

    #[test]
    fn the_digest_changes_with_everything_that_decides_what_is_sent() {
        let sent_with = [("model", "m".to_owned())];
        let digest = shape().digest(&sent_with);
        assert_eq!(digest, shape().digest(&sent_with));
        let others = [
            Shape { seed: 1, ..shape() }.digest(&sent_with),
            Shape {
                num_requests: 51,
                ..shape()
            }
            .digest(&sent_with),
            Shape {
                warmup_requests: 6,
                ..shape()
            }
            .digest(&sent_with),
            Shape {
                prefix_share: 0.1,
                ..shape()
            }
            .digest(&sent_with),
            Shape {
                form: PromptForm::Words,
                ..shape()
            }
            .digest(&sent_with),
            Shape {
                output_tokens: Lengths::Constant(3),
                ..shape()
            }
            .digest(&sent_with),
            shape().digest(&[("model", "n".to_owned())]),
        ];
        for other in others {
            assert_ne!(digest, other);
        }
    }
}
