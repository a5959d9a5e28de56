//! A known slow-down for servers without such an option: scales the measurements.

use crate::failure::Failure;
use crate::metric::{Metric, Unit};
use crate::record::format::{Repeat, ResultFile, Samples};
use crate::record::{self, Run};

/// The run with every time multiplied by `1 + share`.
pub(crate) fn slowed(run: Run, share: f64) -> Result<Run, Failure> {
    let factor = 1.0 + share;
    let mut file: ResultFile = run.file;
    for repeat in file
        .scenarios
        .iter_mut()
        .flat_map(|scenario| &mut scenario.repeats)
    {
        slow(repeat, factor);
    }
    let json = serde_json::to_vec(&file)?;
    Ok(record::parse("the scaled result", &json)?)
}

fn slow(repeat: &mut Repeat, factor: f64) {
    repeat.duration = repeat.duration.map(|duration| duration * factor);
    for (id, value) in &mut repeat.metrics {
        let unit = Metric::parse(id).map(Metric::unit);
        let by = match unit {
            Ok(Unit::Seconds) => factor,
            Ok(Unit::TokensPerSecond | Unit::RequestsPerSecond) => 1.0 / factor,
            Ok(Unit::Bytes | Unit::Tokens | Unit::Ratio | Unit::Count) | Err(_) => 1.0,
        };
        *value = value.map(|value| value * by);
    }
    let Some(Samples {
        start,
        ttft,
        tpot,
        e2e,
        itl,
        ..
    }) = &mut repeat.samples
    else {
        return;
    };
    for column in [start, ttft, tpot, e2e] {
        for value in column.iter_mut().flatten().flatten() {
            *value *= factor;
        }
    }
    for gap in itl.iter_mut().flatten().flatten().flatten() {
        *gap *= factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_grow_rates_shrink_and_memory_stays() {
        let json = r#"{"schema":"perfgate.result/1","scenarios":[{"name":"c","repeats":[{"duration":2,
            "metrics":{"qps":0.5,"gpu_memory.peak":7},"samples":{"ttft":[0.1],"e2e":[2.0],"output_tokens":[9]}}]}]}"#;
        let run = record::parse("a.json", json.as_bytes()).unwrap();
        let slower = slowed(run, 0.1).unwrap();
        let metrics = &slower.scenarios[0].repeats[0].metrics;
        let value = |id: &str| metrics[&Metric::parse(id).unwrap()];
        assert!((value("ttft.p50") - 0.11).abs() < 1e-9);
        assert!((value("qps") - 0.5 / 1.1).abs() < 1e-9);
        assert!((value("throughput") - 9.0 / 2.2).abs() < 1e-9);
        assert!((value("gpu_memory.peak") - 7.0).abs() < 1e-9);
    }
}
