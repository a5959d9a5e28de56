//! Which memory figures can reveal a growth, and which cannot. Pure.

use std::collections::BTreeSet;

use crate::metric::Metric;
use crate::record::{Run, ScenarioRun};

/// Memory figures in addition to those that every report shows, in display order.
pub(crate) const MEMORY: [Metric; 3] = [
    Metric::ENGINE_MEMORY_PEAK,
    Metric::KV_CACHE_TOKENS,
    Metric::HOST_MEMORY_PEAK,
];

/// Since this version, vLLM counts the memory of CUDA graphs before it sizes the KV cache.
const GRAPHS_COUNTED: (u32, u32) = (0, 21);

/// Whether the configuration fixed the size of the engine's cache; `None` if the result does not record it.
pub(crate) fn cache_is_fixed(run: &Run) -> Option<bool> {
    let repeats = run
        .file
        .scenarios
        .iter()
        .flat_map(|scenario| &scenario.repeats);
    repeats
        .filter_map(|repeat| repeat.telemetry.engine_memory.as_ref())
        .find_map(|memory| memory.kv_cache_fixed)
}

/// What a memory figure can reveal, for the report; `None` for another figure, or where it is unknown.
pub(crate) fn what_it_reveals(
    metric: Metric,
    cache_is_fixed: Option<bool>,
) -> Option<&'static str> {
    let is_fixed = cache_is_fixed?;
    Some(match metric {
        Metric::GPU_MEMORY_PEAK if is_fixed => "can reveal a growth: the KV cache has a fixed size",
        Metric::GPU_MEMORY_PEAK => {
            "cannot reveal a growth: the engine takes the same share of the device at every start"
        }
        Metric::ENGINE_MEMORY_PEAK => "can reveal a growth of weights, activations or graphs",
        Metric::KV_CACHE_TOKENS if is_fixed => "cannot reveal a growth: its size was fixed",
        Metric::KV_CACHE_TOKENS => {
            "can reveal a growth: fewer tokens at the same settings mean that something else uses more memory"
        }
        Metric::HOST_MEMORY_PEAK => "can reveal a growth of the server's processes in main memory",
        _ => return None,
    })
}

/// Whether the capacities of the KV cache are figures of different kinds. A file without the kind matches both.
pub(crate) fn cache_figures_differ<'a>(
    sides: impl IntoIterator<Item = Option<&'a ScenarioRun>>,
) -> bool {
    let repeats = sides.into_iter().flatten().flat_map(|side| &side.repeats);
    let kinds: BTreeSet<bool> = repeats
        .filter_map(|repeat| repeat.kv_cache_of_blocks)
        .collect();
    kinds.len() > 1
}

/// Whether the two sides size their KV caches by different rules, so that an upgrade of vLLM alone changes the capacity.
pub(crate) fn cache_is_sized_differently(baseline: &Run, candidate: &Run) -> bool {
    let counted = |run: &Run| {
        let version = run.file.server.as_ref()?.version.as_deref()?;
        let mut parts = version.trim_start_matches('v').split('.');
        let part = |text: Option<&str>| text?.parse::<u32>().ok();
        let version = (part(parts.next())?, part(parts.next())?);
        Some(version >= GRAPHS_COUNTED)
    };
    matches!((counted(baseline), counted(candidate)), (Some(one), Some(other)) if one != other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(version: &str, fixed: &str) -> Run {
        let json = format!(
            r#"{{"schema":"perfgate.result/1","server":{{"version":"{version}"}},"scenarios":[{{"name":"a","repeats":[
                {{"metrics":{{"qps":1}}}},
                {{"metrics":{{"qps":1}},"telemetry":{{"engine_memory":{{"kv_cache_fixed":{fixed}}}}}}}]}}]}}"#
        );
        crate::record::parse("a.json", json.as_bytes()).unwrap()
    }

    #[test]
    fn the_use_of_a_memory_figure_depends_on_whether_the_cache_has_a_fixed_size() {
        let of = |id: &str, fixed| what_it_reveals(Metric::parse(id).unwrap(), fixed);
        assert_eq!(cache_is_fixed(&run("0.32.0", "true")), Some(true));
        assert_eq!(cache_is_fixed(&run("0.32.0", "null")), None);
        assert!(
            of("gpu_memory.peak", Some(false))
                .unwrap()
                .starts_with("cannot")
        );
        assert!(
            of("gpu_memory.peak", Some(true))
                .unwrap()
                .starts_with("can reveal")
        );
        assert!(
            of("kv_cache.tokens", Some(true))
                .unwrap()
                .starts_with("cannot")
        );
        assert_eq!(of("gpu_memory.peak", None), None);
        assert_eq!(of("qps", Some(true)), None);
    }

    #[test]
    fn the_engines_own_figure_and_blocks_do_not_compare() {
        let run = |tokens: u32, from: &str| {
            let json = format!(
                r#"{{"schema":"perfgate.result/1","scenarios":[{{"name":"a","repeats":[{{"metrics":{{"kv_cache.tokens":{tokens}}},"telemetry":{{"engine_memory":{{{from}}}}}}}]}}]}}"#
            );
            crate::record::parse("a.json", json.as_bytes()).unwrap()
        };
        let blocks = run(6_000_000, r#""kv_cache_from":"blocks""#);
        let pair = |candidate: &Run| {
            let metric = Metric::parse("kv_cache.tokens").unwrap();
            let pair = crate::compare::pair(metric, blocks.scenario("a"), candidate.scenario("a"));
            pair.unlike
        };
        for from in ["metrics", "log"] {
            let own = run(1_000_000, &format!(r#""kv_cache_from":"{from}""#));
            let reason = pair(&own).unwrap().to_string();
            assert!(reason.contains("blocks × block size"), "{reason}");
        }
        assert_eq!(pair(&blocks), None);
        // An older file, or one written by hand.
        assert_eq!(pair(&run(1_000_000, "")), None);
    }

    #[test]
    fn an_upgrade_over_the_change_of_accounting_is_seen() {
        let of = |one: &str, other: &str| {
            cache_is_sized_differently(&run(one, "false"), &run(other, "false"))
        };
        assert!(of("0.20.1", "v0.21.0"));
        assert!(!of("0.21.0", "0.32.0+cpu"));
        assert!(!of("dev", "0.32.0"));
    }
}
