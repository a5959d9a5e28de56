//! Memory and KV cache of vLLM, from the lines that it prints while it starts. Pure.
//!
//! vLLM reserves a fixed share of the device at its start, independent of what the model needs, so device memory does not
//! show growth. These lines do. Texts of vLLM 0.6 to 0.33; a missing text means unknown, never 0. vLLM rounds to 0.01 GiB,
//! and so do these values.

use super::larger;
use crate::record::telemetry::EngineMemory;

/// Bytes per GiB, vLLM's unit; 0.6 writes `GB` and means the same.
const GIBIBYTE: f64 = 1_073_741_824.0;

/// Figures of one engine, in bytes, of the fullest rank.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EngineLog {
    /// For the result file. Activations: their peak in the profiling run. The sum of weights and memory outside `PyTorch`
    /// only if the parts are not printed (0.33).
    pub memory: EngineMemory,
    /// Whether the cache is in main memory.
    pub on_cpu: bool,
}

impl EngineLog {
    /// Reads the lines of a start, oldest first.
    pub fn read<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut found = Self::default();
        let mut smallest_cache: Option<f64> = None;
        let mut engines: Vec<&str> = Vec::new();
        for line in lines {
            found.take_breakdown(line);
            found.take_older_breakdown(line);
            let graphs = after(line, "CUDA graph pool memory: ")
                .or_else(|| after(line, "Graph capturing finished in ").and(after(line, "took ")));
            raise(&mut found.memory.graphs, graphs.map(bytes));
            let weights = after(line, "Model loading took ")
                .or_else(|| after(line, "Loading model weights took "));
            raise(&mut found.memory.weights, weights.map(bytes));
            let room = after(line, "Available KV cache memory: ");
            raise(&mut found.memory.kv_cache, room.map(bytes));
            if let Some(tokens) = after(line, " KV cache size: ") {
                found.on_cpu |= line.contains("CPU KV cache size: ");
                smallest_cache = Some(smallest_cache.map_or(tokens, |least| least.min(tokens)));
                let engine = engine_of(line);
                if !engines.contains(&engine) {
                    engines.push(engine);
                }
            }
        }
        // Every rank of one engine may print the line; each engine has its own cache.
        let engines = u32::try_from(engines.len()).unwrap_or(1);
        found.memory.kv_cache_tokens = smallest_cache.map(|tokens| tokens * f64::from(engines));
        found
    }

    /// `Actual usage is 14.08 GiB for weight, 1.97 GiB for peak activation, …`, since 0.10.2.
    fn take_breakdown(&mut self, line: &str) {
        let Some(activations) = before(line, " GiB for peak activation") else {
            return;
        };
        let memory = &mut self.memory;
        raise(&mut memory.activations, Some(bytes(activations)));
        for (place, text) in [
            (&mut memory.weights, " GiB for weight,"),
            (&mut memory.non_torch, " GiB for non-torch memory"),
            (
                &mut memory.weights_and_non_torch,
                " GiB for consumed memory",
            ),
            (&mut memory.graphs, " GiB for CUDAGraph memory"),
        ] {
            raise(place, before(line, text).map(bytes));
        }
    }

    /// `model weights take 14.99GiB; non_torch_memory takes 0.12GiB; PyTorch activation peak memory takes …`, up to 0.8.
    fn take_older_breakdown(&mut self, line: &str) {
        let Some(activations) = after(line, "PyTorch activation peak memory takes ") else {
            return;
        };
        let memory = &mut self.memory;
        let weights = after(line, "model weights take ");
        let non_torch = after(line, "non_torch_memory takes ");
        raise(&mut memory.activations, Some(bytes(activations)));
        raise(&mut memory.weights, weights.map(bytes));
        raise(&mut memory.non_torch, non_torch.map(bytes));
        // A version that prints this line prints another one if it captures graphs.
        raise(&mut memory.graphs, Some(0.0));
    }

    /// Memory outside the KV cache: weights, activations, graphs, and memory outside `PyTorch`. If a part is unknown, so is the
    /// sum: a sum of fewer parts in another version would look like a gain.
    pub fn engine_memory(&self) -> Result<f64, String> {
        let memory = &self.memory;
        let parts = memory.weights.zip(memory.non_torch);
        let sum = parts.map(|(weights, non_torch)| weights + non_torch);
        let weights = memory.weights_and_non_torch.or(sum);
        match (weights, memory.activations, memory.graphs) {
            (Some(weights), Some(activations), Some(graphs)) => Ok(weights + activations + graphs),
            _ if self.on_cpu => Err(
                "an engine on the CPU does not report it; host_memory.peak includes everything that it holds"
                    .to_owned(),
            ),
            _ if memory.weights.is_some() => Err(
                "this version of the engine reports its weights but not its activations".to_owned(),
            ),
            _ => Err("the engine's log does not contain it".to_owned()),
        }
    }
}

/// `EngineCore_DP1` from a line's prefix; a line without one belongs to the only engine.
fn engine_of(line: &str) -> &str {
    line.find("_DP").map_or("", |at| {
        let rank = &line[at..];
        let end = rank[3..]
            .find(|c: char| !c.is_ascii_digit())
            .map_or(rank.len(), |end| end + 3);
        &rank[..end]
    })
}

fn bytes(gibibytes: f64) -> f64 {
    gibibytes * GIBIBYTE
}

/// The largest value of all ranks counts.
fn raise(place: &mut Option<f64>, found: Option<f64>) {
    *place = larger(*place, found);
}

/// The number after the text, also `524,288`; finite and not negative.
fn after(line: &str, text: &str) -> Option<f64> {
    let rest = &line[line.find(text)? + text.len()..];
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ','))
        .unwrap_or(rest.len());
    number(&rest[..end])
}

/// The number before the text.
fn before(line: &str, text: &str) -> Option<f64> {
    let rest = &line[..line.find(text)?];
    let begin = rest
        .rfind(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ','))
        .map_or(0, |at| {
            at + rest[at..].chars().next().map_or(1, char::len_utf8)
        });
    number(&rest[begin..])
}

fn number(text: &str) -> Option<f64> {
    let plain = text.trim_end_matches(['.', ',']).replace(',', "");
    plain.parse::<f64>().ok().filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(log: &str) -> EngineLog {
        EngineLog::read(log.lines())
    }

    fn summary(log: &str) -> String {
        let found = read(log);
        let memory = found.engine_memory().map_or_else(
            |reason| format!("not known, because {reason}"),
            |bytes| format!("{:.2} GiB", bytes / GIBIBYTE),
        );
        let tokens = found.memory.kv_cache_tokens;
        format!("engine memory {memory}, KV cache {tokens:?} tokens")
    }

    #[test]
    fn the_newest_versions_report_a_sum() {
        insta::assert_snapshot!(summary(
            "(EngineCore pid=1) INFO 10-06 17:00:11 [model_runner.py:407] Model loading took 15.0 GiB memory and 5.420225 seconds\n\
             (EngineCore pid=1) INFO 10-06 17:00:33 [gpu_worker.py:692] Available KV cache memory: 56.21 GiB\n\
             (EngineCore pid=1) INFO 10-06 17:00:33 [kv_cache_utils.py:2464] GPU KV cache size: 460,496 tokens, Maximum concurrency for 131,072 tokens per request: 3.51x\n\
             (EngineCore pid=1) INFO 10-06 17:00:41 [gpu_worker.py:955] Free memory on device (78.84/79.25 GiB) on startup. Desired GPU memory utilization is (0.92, 72.91 GiB). Actual usage is 15.26 GiB for consumed memory (weights + non-torch), 1.44 GiB for peak activation, and 0.23 GiB for CUDAGraph memory."
        ), @"engine memory 16.93 GiB, KV cache Some(460496.0) tokens");
    }

    #[test]
    fn of_several_ranks_the_fullest_counts_and_of_several_engines_every_cache() {
        insta::assert_snapshot!(summary(
            "(EngineCore_DP0 pid=1) INFO [kv_cache_utils.py:864] GPU KV cache size: 451,744 tokens\n\
             (EngineCore_DP0 pid=1) INFO [kv_cache_utils.py:864] GPU KV cache size: 451,760 tokens\n\
             (EngineCore_DP1 pid=2) INFO [kv_cache_utils.py:864] GPU KV cache size: 451,744 tokens\n\
             (Worker_TP0 pid=3) INFO [gpu_worker.py:391] Actual usage is 14.08 GiB for weight, 1.97 GiB for peak activation, 0.07 GiB for non-torch memory, and 0.67 GiB for CUDAGraph memory.\n\
             (Worker_TP1 pid=4) INFO [gpu_worker.py:391] Actual usage is 14.08 GiB for weight, 2.00 GiB for peak activation, 0.07 GiB for non-torch memory, and 0.67 GiB for CUDAGraph memory."
        ), @"engine memory 16.82 GiB, KV cache Some(903488.0) tokens");
    }

    #[test]
    fn the_oldest_versions_report_graphs_on_another_line_or_have_none() {
        let breakdown = "INFO [worker.py:241] model weights take 14.99GiB; non_torch_memory takes 0.12GiB; PyTorch activation peak memory takes 1.19GiB; the rest of the memory reserved for KV Cache is 54.93GiB.";
        insta::assert_snapshot!(summary(breakdown), @"engine memory 16.30 GiB, KV cache None tokens");
        let graphs =
            "INFO [model_runner.py:1671] Graph capturing finished in 2 secs, took 0.11 GiB";
        insta::assert_snapshot!(summary(&format!("{breakdown}\n{graphs}")), @"engine memory 16.41 GiB, KV cache None tokens");
    }

    #[test]
    fn a_sum_with_missing_parts_is_unknown() {
        insta::assert_snapshot!(summary("INFO Model loading took 14.9888 GiB and 3.1 seconds"), @"engine memory not known, because this version of the engine reports its weights but not its activations, KV cache None tokens");
        insta::assert_snapshot!(summary("INFO loading"), @"engine memory not known, because the engine's log does not contain it, KV cache None tokens");
    }

    #[test]
    fn the_log_of_a_real_vllm_on_the_cpu_has_its_cache_and_no_memory() {
        let log =
            include_str!("../../tests/fixtures/vllm-0.32-cpu/logs/container-eager-api-key.log");
        insta::assert_snapshot!(summary(log), @"engine memory not known, because an engine on the CPU does not report it; host_memory.peak includes everything that it holds, KV cache Some(524288.0) tokens");
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "\\PC*", number in "[0-9.,]{0,12}") {
            for text in ["Model loading took ", "GPU KV cache size: ", "_DP", "took "] {
                read(&format!("{line}{text}{number}{line}"));
            }
            read(&format!("{line}{number} GiB for peak activation{line}"));
        }
    }
}
