//! Options of the simulated server.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// Share of the device that vLLM reserves at its start, independent of its needs.
const MEMORY_UTILIZATION: f64 = 0.9;

/// Weights, activations and graphs of the simulated model, as a share of the device.
const ENGINE_SHARE: f64 = 0.25;

/// Costs in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// Of a step without tokens.
    pub step_base: f64,
    /// Of each decoding sequence in a step.
    pub step_per_running: f64,
    /// Of each prompt token.
    pub prefill_per_token: f64,
}

impl Default for Costs {
    /// A small model on a data-centre GPU: about 6 ms per token at 16 requests in flight, 10 ms for a prompt of 512 tokens.
    fn default() -> Self {
        Self {
            step_base: 0.004,
            step_per_running: 0.000_1,
            prefill_per_token: 0.000_02,
        }
    }
}

/// Options of the simulated server. Shares are ratios, times are in seconds unless they are durations.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The name under which the model is listed.
    pub model: String,
    /// Longest prompt and answer together, in tokens.
    pub max_model_len: u32,
    /// Most running requests; others wait.
    pub max_num_seqs: usize,
    /// Tokens that fit into the KV cache before `memory_growth`.
    pub kv_cache_tokens: u64,
    /// Whether it reports a simulated GPU.
    pub has_gpu: bool,
    /// Device memory in bytes.
    pub gpu_memory: u64,
    /// Growth of the engine's own memory, taken from the KV cache.
    pub memory_growth: f64,
    /// Costs of a step at slow-down 1.
    pub costs: Costs,
    /// Factor on all times.
    pub slowdown: f64,
    /// Factor on decoding alone.
    pub decode_slowdown: f64,
    /// Factor on prefill alone.
    pub prefill_slowdown: f64,
    /// Relative standard deviation of this start's speed.
    pub noise: f64,
    /// Relative standard deviation of each step.
    pub step_noise: f64,
    /// Seed of all random draws.
    pub seed: u64,
    /// Number of the start within a run, so that equal seeds give each start different draws.
    pub start: u32,
    /// Time until it answers.
    pub startup: Duration,
    /// Share of requests answered with 500.
    pub fail_rate: f64,
    /// Share of streams that end with an error event.
    pub fail_mid_stream_rate: f64,
    /// Share of streams aborted in the middle.
    pub truncate_rate: f64,
    /// The server ends when it gets this many completion requests.
    pub die_after: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            model: "simulated".to_owned(),
            max_model_len: 8192,
            max_num_seqs: 256,
            kv_cache_tokens: 400_000,
            has_gpu: true,
            gpu_memory: 80 << 30,
            memory_growth: 0.0,
            costs: Costs::default(),
            slowdown: 1.0,
            decode_slowdown: 1.0,
            prefill_slowdown: 1.0,
            noise: 0.0,
            step_noise: 0.0,
            seed: 0,
            start: 0,
            startup: Duration::ZERO,
            fail_rate: 0.0,
            fail_mid_stream_rate: 0.0,
            truncate_rate: 0.0,
            die_after: None,
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bytes of a device"
)]
impl Options {
    /// Device memory in use: vLLM reserves its share at the start and fills what the engine leaves with KV cache, so this does
    /// not change when the engine grows.
    pub(crate) fn memory_used(&self) -> u64 {
        (self.gpu_memory as f64 * MEMORY_UTILIZATION) as u64
    }

    /// Memory outside the KV cache.
    pub(crate) fn engine_memory(&self) -> u64 {
        (self.gpu_memory as f64 * ENGINE_SHARE * (1.0 + self.memory_growth)) as u64
    }

    /// Tokens that fit into the memory that the engine leaves.
    pub(crate) fn cache_tokens(&self) -> u64 {
        let before = self.gpu_memory as f64 * (MEMORY_UTILIZATION - ENGINE_SHARE);
        let left = (self.memory_used() as f64 - self.engine_memory() as f64).max(0.0);
        (self.kv_cache_tokens as f64 * left / before) as u64
    }
}

impl Options {
    /// As vLLM's `system_fingerprint`: the version and a hash of the whole configuration, without random seeds.
    pub(crate) fn fingerprint(&self) -> String {
        let fixed = Self {
            seed: 0,
            start: 0,
            ..self.clone()
        };
        let hash = format!("{:x}", Sha256::digest(format!("{fixed:?}").as_bytes()));
        format!(
            "perfgate-simulator-{}-{}",
            env!("CARGO_PKG_VERSION"),
            &hash[..8]
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_growing_engine_reduces_the_cache_and_not_the_memory_in_use() {
        let grown = Options {
            memory_growth: 0.1,
            ..Options::default()
        };
        assert_eq!(grown.memory_used(), Options::default().memory_used());
        assert!(grown.engine_memory() > Options::default().engine_memory());
        assert!(grown.cache_tokens() < Options::default().cache_tokens());
        assert_eq!(Options::default().cache_tokens().abs_diff(400_000), 0);
    }

    #[test]
    fn the_fingerprint_depends_on_the_configuration_and_not_on_seeds() {
        let usual = Options::default().fingerprint();
        assert_eq!(
            usual,
            Options {
                seed: 7,
                start: 2,
                ..Options::default()
            }
            .fingerprint()
        );
        assert_ne!(
            usual,
            Options {
                slowdown: 1.08,
                ..Options::default()
            }
            .fingerprint()
        );
    }
}
