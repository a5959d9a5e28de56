//! Model of continuous batching: steps, their cost, and their tokens. Pure: no clock, no I/O.
//!
//! A step decodes one token of every running sequence, and processes up to a budget of prompt tokens of sequences in prefill
//! (chunked prefill). Its cost is `step_base + step_per_running · decoding + prefill_per_token · prompt tokens`, times the
//! speed of this start and the noise of this step. A sequence waits until it has a slot, and space in the KV cache for its
//! prompt and its whole answer, so there is no pre-emption.

use std::collections::VecDeque;

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use statrs::distribution::{ContinuousCDF as _, Normal};

use super::options::{Costs, Options};

/// Most tokens of one step, as vLLM's `max_num_batched_tokens`.
const STEP_BUDGET: u32 = 8192;

/// One request in the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Unique within the engine.
    pub id: u64,
    /// Prompt tokens.
    pub prompt: u32,
    /// Tokens to generate, at least 1.
    pub output: u32,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    sequence: Sequence,
    prefill_left: u32,
    produced: u32,
}

/// A token from a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its sequence.
    pub id: u64,
    /// Its position, from 0.
    pub index: u32,
    /// Whether it is the last.
    pub last: bool,
}

/// Duration and result of a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// Seconds.
    pub duration: f64,
    /// Tokens at its end.
    pub tokens: Vec<Token>,
    /// Sequences that left the queue at its start.
    pub admitted: Vec<u64>,
}

/// The batching model.
#[derive(Debug)]
pub struct Engine {
    costs: Costs,
    decode_factor: f64,
    prefill_factor: f64,
    step_noise: f64,
    max_running: usize,
    cache_tokens: u64,
    cache_used: u64,
    waiting: VecDeque<Sequence>,
    running: Vec<Running>,
    generator: Pcg64Mcg,
}

impl Engine {
    /// An idle engine. Draws the speed of this start.
    pub fn new(options: &Options) -> Self {
        let start = u64::from(options.start).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut generator = Pcg64Mcg::seed_from_u64(options.seed ^ start);
        let speed = log_normal(options.noise, &mut generator) * options.slowdown;
        Self {
            costs: options.costs,
            decode_factor: speed * options.decode_slowdown,
            prefill_factor: speed * options.prefill_slowdown,
            step_noise: options.step_noise,
            max_running: options.max_num_seqs,
            cache_tokens: options.cache_tokens(),
            cache_used: 0,
            waiting: VecDeque::new(),
            running: Vec::new(),
            generator,
        }
    }

    /// Puts a request at the end of the queue.
    pub fn submit(&mut self, sequence: Sequence) {
        self.waiting.push_back(sequence);
    }

    /// Removes a request whose client has disconnected.
    pub fn cancel(&mut self, id: u64) {
        self.waiting.retain(|sequence| sequence.id != id);
        if let Some(index) = self
            .running
            .iter()
            .position(|running| running.sequence.id == id)
        {
            self.cache_used -= tokens_needed(&self.running.swap_remove(index).sequence);
        }
    }

    /// Running requests.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Waiting requests.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Share of the KV cache in use.
    #[expect(clippy::cast_precision_loss, reason = "a share for display")]
    pub fn cache_usage(&self) -> f64 {
        self.cache_used as f64 / self.cache_tokens.max(1) as f64
    }

    /// The next step, or `None` if there is no work.
    pub fn step(&mut self) -> Option<Step> {
        let admitted = self.admit();
        if self.running.is_empty() {
            return None;
        }
        let mut step = Step {
            admitted,
            ..Step::default()
        };
        let mut decoding = 0_u32;
        let mut prefilled = 0_u32;
        for running in &mut self.running {
            if running.prefill_left > 0 {
                let piece = running.prefill_left.min(STEP_BUDGET - prefilled);
                running.prefill_left -= piece;
                prefilled += piece;
                if running.prefill_left > 0 {
                    continue;
                }
            } else {
                decoding += 1;
            }
            let last = running.produced + 1 == running.sequence.output;
            step.tokens.push(Token {
                id: running.sequence.id,
                index: running.produced,
                last,
            });
            running.produced += 1;
        }
        let done = |running: &Running| running.produced == running.sequence.output;
        let freed: u64 = self
            .running
            .iter()
            .filter(|running| done(running))
            .map(|running| tokens_needed(&running.sequence))
            .sum();
        self.cache_used -= freed;
        self.running.retain(|running| !done(running));

        let decode = (self.costs.step_base + self.costs.step_per_running * f64::from(decoding))
            * self.decode_factor;
        let prefill = self.costs.prefill_per_token * f64::from(prefilled) * self.prefill_factor;
        step.duration = (decode + prefill) * log_normal(self.step_noise, &mut self.generator);
        Some(step)
    }

    fn admit(&mut self) -> Vec<u64> {
        let mut admitted = Vec::new();
        while let Some(next) = self.waiting.front() {
            if self.running.len() >= self.max_running
                || self.cache_used + tokens_needed(next) > self.cache_tokens
            {
                break;
            }
            self.cache_used += tokens_needed(next);
            self.running.push(Running {
                sequence: *next,
                prefill_left: next.prompt.max(1),
                produced: 0,
            });
            admitted.push(next.id);
            self.waiting.pop_front();
        }
        admitted
    }
}

/// KV-cache tokens that a request needs until its end.
fn tokens_needed(sequence: &Sequence) -> u64 {
    u64::from(sequence.prompt) + u64::from(sequence.output)
}

/// A factor with mean 1 (approximately) and that relative standard deviation.
fn log_normal(deviation: f64, generator: &mut Pcg64Mcg) -> f64 {
    let uniform = generator
        .random::<f64>()
        .clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    (deviation * Normal::standard().inverse_cdf(uniform)).exp()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sequence(id: u64, prompt: u32, output: u32) -> Sequence {
        Sequence { id, prompt, output }
    }

    fn run(engine: &mut Engine) -> Vec<Step> {
        std::iter::from_fn(|| engine.step()).collect()
    }

    #[test]
    fn the_cost_of_a_step_follows_the_model() {
        let mut engine = Engine::new(&Options::default());
        engine.submit(sequence(1, 100, 3));
        engine.submit(sequence(2, 50, 2));
        let durations: Vec<f64> = run(&mut engine).iter().map(|step| step.duration).collect();
        let expected = [
            0.004 + 150.0 * 0.000_02,
            0.004 + 2.0 * 0.000_1,
            0.004 + 0.000_1,
        ];
        for (got, wanted) in durations.iter().zip(expected) {
            assert!((got - wanted).abs() < 1e-12, "{durations:?}");
        }
        assert_eq!(durations.len(), 3);
    }

    #[test]
    fn a_long_prompt_spans_steps() {
        let mut engine = Engine::new(&Options {
            max_model_len: 100_000,
            ..Options::default()
        });
        engine.submit(sequence(1, STEP_BUDGET + 1, 1));
        let steps = run(&mut engine);
        assert_eq!(
            steps
                .iter()
                .map(|step| step.tokens.len())
                .collect::<Vec<_>>(),
            [0, 1]
        );
    }

    #[test]
    fn with_a_full_cache_or_full_slots_requests_wait_in_order() {
        let mut engine = Engine::new(&Options {
            kv_cache_tokens: 100,
            max_num_seqs: 2,
            ..Options::default()
        });
        for id in 0..3 {
            engine.submit(sequence(id, 30, 10));
        }
        assert_eq!(engine.step().unwrap().admitted, [0, 1]);
        assert_eq!((engine.running(), engine.waiting()), (2, 1));
        assert!((engine.cache_usage() - 0.8).abs() < 1e-12);
        let steps = run(&mut engine);
        assert!(steps.iter().any(|step| step.admitted == [2]));
        assert!(engine.cache_usage().abs() < 1e-12);
    }

    #[test]
    fn slow_downs_apply_to_their_part() {
        let duration = |options: &Options| {
            let mut engine = Engine::new(options);
            engine.submit(sequence(1, 1000, 2));
            run(&mut engine)
                .iter()
                .map(|step| step.duration)
                .collect::<Vec<_>>()
        };
        let usual = duration(&Options::default());
        let decode = duration(&Options {
            decode_slowdown: 2.0,
            ..Options::default()
        });
        let prefill = duration(&Options {
            prefill_slowdown: 2.0,
            ..Options::default()
        });
        assert!((decode[1] - 2.0 * usual[1]).abs() < 1e-12);
        assert!((prefill[1] - usual[1]).abs() < 1e-12);
        assert!((prefill[0] - usual[0] - 0.02).abs() < 1e-12);
    }

    #[test]
    fn every_start_has_its_own_speed_with_the_configured_deviation() {
        let speeds: Vec<f64> = (0..2000)
            .map(|start| {
                let mut engine = Engine::new(&Options {
                    noise: 0.02,
                    seed: 5,
                    start,
                    ..Options::default()
                });
                engine.submit(sequence(1, 1, 1));
                (run(&mut engine)[0].duration / 0.004_02).ln()
            })
            .collect();
        let mean = speeds.iter().sum::<f64>() / 2000.0;
        let deviation = (speeds
            .iter()
            .map(|speed| (speed - mean).powi(2))
            .sum::<f64>()
            / 2000.0)
            .sqrt();
        assert!((deviation - 0.02).abs() < 0.001, "{deviation}");
    }

    proptest! {
        #[test]
        fn every_request_gets_each_token_once_and_the_cache_ends_empty(
            sizes in prop::collection::vec((0..500_u32, 1..40_u32), 1..40), slots in 1..8_usize, cancelled in 0..40_u64
        ) {
            let mut engine = Engine::new(&Options { max_num_seqs: slots, kv_cache_tokens: 600, ..Options::default() });
            for (id, (prompt, output)) in sizes.iter().enumerate() {
                engine.submit(sequence(id as u64, *prompt, *output));
            }
            let first = engine.step();
            engine.cancel(cancelled);
            let mut got = vec![0_u32; sizes.len()];
            for step in first.into_iter().chain(run(&mut engine)) {
                prop_assert!(step.duration > 0.0);
                for token in step.tokens {
                    let id = usize::try_from(token.id).unwrap();
                    prop_assert_eq!(token.index, got[id]);
                    got[id] += 1;
                    prop_assert_eq!(token.last, got[id] == sizes[id].1);
                }
            }
            for (id, count) in got.iter().enumerate() {
                prop_assert!(*count == sizes[id].1 || id as u64 == cancelled);
            }
            prop_assert!(engine.cache_usage() == 0.0 && engine.running() == 0 && engine.waiting() == 0);
        }
    }
}
