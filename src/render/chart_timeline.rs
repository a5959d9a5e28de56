//! GPUs and server over time: the last repeats of both runs in one chart.

use super::chart_axis::{Plot, span};
use super::number::{self, Axis, extent};
use super::svg::{Scale, Svg, WIDTH};
use crate::metric::Unit;
use crate::report::comparison::{Quantity, Timeline, Trace};

const HEIGHT: f64 = 170.0;

/// Its name.
pub(super) fn name(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::GpuMemory => "GPU memory in use, on the fullest GPU",
        Quantity::GpuUtilization => "GPU utilisation, mean of all GPUs",
        Quantity::GpuClockSm => "SM clock, of the slowest GPU",
        Quantity::Running => "Running requests in the server",
        Quantity::Waiting => "Waiting requests in the server",
        Quantity::KvCacheUsage => "KV cache in use",
    }
}

fn axis(quantity: Quantity, from: f64, to: f64) -> Axis {
    match quantity {
        Quantity::GpuMemory => Axis::of(Unit::Bytes, from, to),
        Quantity::GpuUtilization | Quantity::KvCacheUsage => Axis::of(Unit::Ratio, from, to),
        Quantity::GpuClockSm => Axis::counted_in("MHz", 1.0, from, to),
        Quantity::Running | Quantity::Waiting => Axis::of(Unit::Count, from, to).whole(),
    }
}

fn text(value: f64, quantity: Quantity) -> String {
    match quantity {
        Quantity::GpuMemory => number::value(value, Unit::Bytes),
        Quantity::GpuUtilization | Quantity::KvCacheUsage => number::value(value, Unit::Ratio),
        Quantity::GpuClockSm => format!("{} MHz", number::plain(value)),
        Quantity::Running | Quantity::Waiting => number::plain(value),
    }
}

/// `None` without data.
pub(super) fn timeline(timeline: &Timeline, title: &str) -> Option<String> {
    let quantity = timeline.quantity;
    let sides = [("base", &timeline.baseline), ("head", &timeline.candidate)];
    let traces = || sides.iter().flat_map(|(_, traces)| traces.iter());
    let values = || traces().flat_map(|trace| trace.values.iter().copied());
    let from_zero = match quantity {
        Quantity::GpuMemory | Quantity::GpuClockSm => rises_from_nothing(values()),
        Quantity::GpuUtilization
        | Quantity::Running
        | Quantity::Waiting
        | Quantity::KvCacheUsage => true,
    };
    let (from, to) = span(values(), from_zero)?;
    let longest = traces()
        .flat_map(|trace| trace.time.iter().copied())
        .filter(|time| time.is_finite())
        .fold(0.0, f64::max);
    if longest <= 0.0 {
        return None;
    }
    let plot = Plot {
        x: Scale {
            from: 0.0,
            to: longest,
            start: 84.0,
            end: WIDTH - 16.0,
        },
        y: Scale {
            from,
            to,
            start: HEIGHT - 30.0,
            end: 10.0,
        },
    };
    let mut svg = Svg::new(HEIGHT, title, &described(timeline));
    plot.rows(&mut svg, axis(quantity, from, to), Axis::label);
    let time = Axis::of(Unit::Seconds, 0.0, longest);
    let ticks = plot.x.round(time);
    plot.columns(
        &mut svg,
        ticks.map(|tick| (plot.x.at(tick), time.label(tick))),
    );
    for (class, traces) in sides {
        for trace in traces {
            let points = trace.time.iter().zip(&trace.values);
            // Whole units in time keep a page of many points small.
            let points = points.map(|(time, value)| (plot.x.at(*time).round(), plot.y.at(*value)));
            svg.polyline(&format!("curve thin {class}"), points);
        }
    }
    Some(svg.closed())
}

/// Whether the lowest is less than half of the highest.
fn rises_from_nothing(values: impl Iterator<Item = f64>) -> bool {
    let (low, high) = extent(values);
    low < high / 2.0
}

fn described(timeline: &Timeline) -> String {
    let side = |name: &str, traces: &[Trace]| {
        let values = || traces.iter().flat_map(|trace| trace.values.iter().copied());
        let ends = values()
            .min_by(f64::total_cmp)
            .zip(values().max_by(f64::total_cmp));
        match ends {
            Some((low, high)) => format!(
                "{name}, {} repeats: {} to {}",
                traces.len(),
                text(low, timeline.quantity),
                text(high, timeline.quantity)
            ),
            None => format!("{name}: not observed"),
        }
    };
    format!(
        "{}; {}",
        side("baseline", &timeline.baseline),
        side("candidate", &timeline.candidate)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_are_drawn_and_described_in_suitable_units() {
        let trace = |values: &[f64]| Trace {
            repeat: 1,
            time: vec![0.0, 10.0, 20.0],
            values: values.to_vec(),
        };
        let memory = Timeline {
            scenario: "c".to_owned(),
            quantity: Quantity::GpuMemory,
            baseline: vec![trace(&[70e9, 71e9, 71e9])],
            candidate: vec![trace(&[72e9, 73e9, 73e9]); 2],
        };
        let svg = timeline(&memory, "memory").unwrap();
        assert_eq!(svg.matches("thin base").count(), 1);
        assert_eq!(svg.matches("thin head").count(), 2);
        assert!(svg.contains(">66 GiB<") && svg.contains(">20 s<"), "{svg}");
        assert!(
            svg.contains("candidate, 2 repeats: 67.06 GiB to 67.99 GiB"),
            "{svg}"
        );
    }

    #[test]
    fn without_a_moment_there_is_no_chart() {
        let nothing = Timeline {
            scenario: "c".to_owned(),
            quantity: Quantity::Running,
            baseline: Vec::new(),
            candidate: vec![Trace {
                repeat: 1,
                time: vec![0.0, 0.0],
                values: vec![1.0],
            }],
        };
        assert_eq!(timeline(&nothing, "running"), None);
    }
}
