//! Telemetry over time in the last repeats of both runs, reduced for charts.
//!
//! Another program may have written the columns of a result file: values that are not finite, and times that do not increase,
//! are skipped.

use super::strata::counting;
use crate::record::Run;
use crate::record::format::Repeat;
use crate::record::telemetry::SeriesName;
use crate::report::comparison::{Quantity, Timeline, Trace};
use crate::stats;

/// The most repeats drawn per side; more lines are hard to distinguish.
const REPEATS: usize = 3;

/// The most points per repeat.
const POINTS: usize = 100;

/// From this number of scenarios, repeats get fewer points to keep the page small.
const MANY_SCENARIOS: usize = 4;

/// The fewest points per repeat.
const FEWEST_POINTS: usize = 20;

/// The quantities, their columns, and whether an interval is reduced to its highest value or to its mean: memory is limited by
/// its peaks.
const COLUMNS: [(Quantity, SeriesName, bool); 6] = [
    (Quantity::GpuMemory, SeriesName::GpuMemory, true),
    (Quantity::GpuUtilization, SeriesName::GpuUtilization, false),
    (Quantity::GpuClockSm, SeriesName::GpuClockSm, false),
    (Quantity::Running, SeriesName::Running, true),
    (Quantity::Waiting, SeriesName::Waiting, true),
    (Quantity::KvCacheUsage, SeriesName::KvCacheUsage, true),
];

/// Every quantity of every scenario of the candidate for which a side has telemetry.
pub(crate) fn timelines(baseline: &Run, candidate: &Run) -> Vec<Timeline> {
    let points = (POINTS * MANY_SCENARIOS / candidate.scenarios.len().max(MANY_SCENARIOS))
        .max(FEWEST_POINTS);
    let mut found = Vec::new();
    for scenario in &candidate.scenarios {
        let name = &scenario.name;
        let (before, after) = (counting(baseline, name), counting(candidate, name));
        for (quantity, column, peaks) in COLUMNS {
            let of = |side: &[(usize, &Repeat)]| -> Vec<Trace> {
                let last = side.len().saturating_sub(REPEATS);
                side.iter()
                    .skip(last)
                    .filter_map(|(place, repeat)| trace(*place, repeat, column, peaks, points))
                    .collect()
            };
            let (baseline, candidate) = (of(&before), of(&after));
            if !baseline.is_empty() || !candidate.is_empty() {
                found.push(Timeline {
                    scenario: name.clone(),
                    quantity,
                    baseline,
                    candidate,
                });
            }
        }
    }
    found
}

fn trace(
    place: usize,
    repeat: &Repeat,
    column: SeriesName,
    peaks: bool,
    points: usize,
) -> Option<Trace> {
    let list = |series: SeriesName| repeat.telemetry.series.get(&series);
    let mut moments: Vec<(f64, f64)> = Vec::new();
    for (time, value) in list(SeriesName::Time)?.iter().zip(list(column)?) {
        let finite = |value: &Option<f64>| value.filter(|value| value.is_finite());
        let (Some(time), Some(value)) = (finite(time), finite(value)) else {
            continue;
        };
        if moments.last().is_none_or(|(before, _)| *before < time) {
            moments.push((time, value));
        }
    }
    let stretch = moments.len().div_ceil(points).max(1);
    let thinned = moments.chunks(stretch).filter_map(|stretch| {
        let values = || stretch.iter().map(|(_, value)| *value);
        let value = if peaks {
            values().max_by(f64::total_cmp)?
        } else {
            stats::mean(&values().collect::<Vec<f64>>())?
        };
        // The mean of numbers near the largest float may overflow.
        value.is_finite().then_some((stretch[0].0, value))
    });
    let (time, values): (Vec<f64>, Vec<f64>) = thinned.unzip();
    (time.len() > 1).then(|| Trace {
        repeat: u32::try_from(place + 1).unwrap_or(u32::MAX),
        time,
        values,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn run(telemetry: &[String]) -> Run {
        let repeats: Vec<String> = telemetry
            .iter()
            .map(|telemetry| format!(r#"{{"metrics":{{"qps":1}},"telemetry":{telemetry}}}"#))
            .collect();
        let json = format!(
            r#"{{"schema":"perfgate.result/1","scenarios":[{{"name":"c","repeats":[{}]}}]}}"#,
            repeats.join(",")
        );
        crate::record::parse("a.json", json.as_bytes()).unwrap()
    }

    /// A thousand seconds of rising memory.
    fn long() -> String {
        let column = |factor: u32| {
            let values: Vec<String> = (0..1000_u32)
                .map(|second| (second * factor).to_string())
                .collect();
            values.join(",")
        };
        format!(
            r#"{{"time":[{}],"gpu_memory":[{}],"gpu_utilization":[{}]}}"#,
            column(1),
            column(7),
            column(2)
        )
    }

    #[test]
    fn the_last_three_repeats_are_thinned_and_keep_their_peaks() {
        let run = run(&vec![long(); 5]);
        let found = timelines(&run, &run);
        assert_eq!(found.len(), 2);
        let repeats: Vec<u32> = found[0].baseline.iter().map(|trace| trace.repeat).collect();
        assert_eq!(repeats, [3, 4, 5]);
        let memory = &found[0].candidate[0];
        assert_eq!((memory.time.len(), memory.time[1]), (100, 10.0));
        assert_eq!((memory.values[0], memory.values[99]), (63.0, 6993.0));
        // A share is reduced to its mean.
        assert!((found[1].candidate[0].values[0] - 9.0).abs() < 1e-9);
    }

    #[test]
    fn values_that_are_not_numbers_or_go_back_in_time_are_skipped() {
        let odd = r#"{"time":[0,1,1,"x",3,2,4],"gpu_memory":[1,null,2,3,{},9,5,6],"running":7,"waiting":[1]}"#;
        let found = timelines(&run(&["{}".to_owned()]), &run(&[odd.to_owned()]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].candidate[0].time, [0.0, 1.0, 2.0, 4.0]);
        assert_eq!(found[0].candidate[0].values, [1.0, 2.0, 9.0, 5.0]);
    }

    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,4}".prop_map(Value::from),
        ];
        let list = prop::collection::vec(leaf.clone(), 0..8).prop_map(Value::from);
        prop_oneof![leaf, list]
    }

    proptest! {
        #[test]
        fn hand_written_telemetry_never_panics_and_what_is_kept_is_finite_and_rises(
            time in anything(), memory in anything(), server in anything()
        ) {
            let telemetry = serde_json::json!({
                "time": time, "gpu_memory": memory, "gpu_utilization": memory, "server": server
            });
            let run = run(&[telemetry.to_string()]);
            for timeline in timelines(&run, &run) {
                for trace in timeline.baseline {
                    prop_assert_eq!(trace.time.len(), trace.values.len());
                    prop_assert!(trace.time.windows(2).all(|pair| pair[0] < pair[1]));
                    prop_assert!(trace.values.iter().all(|value| value.is_finite()));
                }
            }
        }
    }
}
