//! Whether a warmed-up server is stable.

use serde::Serialize;
use serde_json::{Value, json};

use super::trace::RequestTrace;
use crate::stats::{self, number};

/// Windows in a row that must agree, as in `perf_analyzer`.
pub const ALIKE: usize = 3;

/// Windows after which warming up is given up.
pub const MOST_WINDOWS: u32 = 10;

/// One window of a warm-up: one round of its requests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Window {
    /// Output tokens per second; 0 without an answer.
    pub throughput: f64,
    /// Mean TTFT in seconds; infinite without an answer.
    pub ttft: f64,
    /// Mean time of a request in seconds; infinite without an answer.
    pub e2e: f64,
}

impl Window {
    /// Of a round that took `duration` seconds.
    pub fn of(traces: &[RequestTrace], duration: f64) -> Self {
        let answered = || traces.iter().filter(|trace| trace.outcome.is_ok());
        let mean = |figure: &dyn Fn(&RequestTrace) -> Option<f64>| {
            let figures: Vec<f64> = answered().filter_map(figure).collect();
            stats::mean(&figures).unwrap_or(f64::INFINITY)
        };
        let tokens: u64 = answered().filter_map(|trace| trace.output_tokens).sum();
        Self {
            throughput: number(tokens) / duration.max(1e-9),
            ttft: mean(&RequestTrace::ttft),
            e2e: mean(&|trace| Some(trace.e2e())),
        }
    }

    fn figures(self) -> [(&'static str, f64); 3] {
        [
            ("throughput", self.throughput),
            ("TTFT", self.ttft),
            ("E2E", self.e2e),
        ]
    }
}

/// The figure of the last [`ALIKE`] windows that differs most from its mean over them, and the difference as a share of the
/// mean. `None` before there are that many windows.
fn largest_difference(windows: &[Window]) -> Option<(&'static str, f64)> {
    let last = windows.last_chunk::<ALIKE>()?;
    (0..3)
        .map(|figure| {
            let values = last.map(|window| window.figures()[figure].1);
            let mean = stats::mean(&values).unwrap_or(f64::NAN);
            let furthest = values
                .iter()
                .map(|value| (value - mean).abs() / mean)
                // Without an answer the figures are 0 or infinite, which is not stable.
                .map(|share| if share.is_nan() { f64::INFINITY } else { share })
                .fold(0.0, f64::max);
            (last[0].figures()[figure].0, furthest)
        })
        .max_by(|one, other| one.1.total_cmp(&other.1))
}

/// Whether throughput, mean TTFT and mean E2E of the last [`ALIKE`] windows are all within that share of their mean.
pub fn is_stable(windows: &[Window], within: f64) -> bool {
    largest_difference(windows).is_some_and(|(_, share)| share <= within)
}

/// Why a server is not stable after these windows; `None` if it is.
pub fn why_unstable(windows: &[Window], within: f64) -> Option<String> {
    if is_stable(windows, within) {
        return None;
    }
    let (figure, share) = largest_difference(windows).unwrap_or(("throughput", f64::INFINITY));
    let seen = if share.is_finite() {
        format!("{figure} still differed by {:.1} %", share * 100.0)
    } else {
        "requests were not answered".to_owned()
    };
    Some(format!(
        "the server did not become stable in {} warm-ups: over the last {ALIKE} {seen}; the limit is {:.1} %",
        windows.len(),
        within * 100.0
    ))
}

/// For the result file: times in seconds, `null` without an answer.
pub fn described(windows: &[Window], within: f64) -> Value {
    json!({
        "windows": windows,
        "until_stable": within,
        "stable": is_stable(windows, within),
    })
}

#[cfg(test)]
mod tests {
    use super::super::trace::ok_trace;
    use super::*;

    fn windows(ttfts: &[f64]) -> Vec<Window> {
        ttfts
            .iter()
            .map(|ttft| Window {
                throughput: 100.0,
                ttft: *ttft,
                e2e: 1.0,
            })
            .collect()
    }

    #[test]
    fn three_windows_in_a_row_must_agree() {
        assert!(!is_stable(&windows(&[0.1, 0.1]), 0.05));
        assert!(is_stable(&windows(&[0.1, 0.1, 0.1]), 0.05));
        assert!(!is_stable(&windows(&[0.2, 0.1, 0.1]), 0.05));
        assert!(is_stable(&windows(&[0.2, 0.1, 0.1, 0.104]), 0.05));
        assert!(!is_stable(&windows(&[0.1, 0.1, 0.1, 0.2]), 0.05));
    }

    #[test]
    fn without_an_answer_a_server_is_never_stable() {
        let dead = Window::of(&[], 1.0);
        assert!(!is_stable(&[dead; 3], 10.0));
        assert_eq!(
            why_unstable(&[dead; 10], 0.05).unwrap(),
            "the server did not become stable in 10 warm-ups: over the last 3 requests were not answered; the limit is 5.0 %"
        );
        assert_eq!(described(&[dead], 0.05)["windows"][0]["ttft"], Value::Null);
    }

    #[test]
    fn the_figure_with_the_largest_difference_is_reported() {
        assert_eq!(
            why_unstable(&windows(&[0.1, 0.2, 0.3]), 0.05).unwrap(),
            "the server did not become stable in 3 warm-ups: over the last 3 TTFT still differed by 50.0 %; the limit is 5.0 %"
        );
    }

    #[test]
    fn a_window_is_the_means_of_its_answers() {
        let traces = [
            ok_trace(0, 0.0, 0.1, 0.1, 10),
            ok_trace(1, 0.0, 0.3, 0.1, 10),
        ];
        let window = Window::of(&traces, 2.0);
        assert!((window.throughput - 10.0).abs() < 1e-9, "{window:?}");
        assert!((window.ttft - 0.2).abs() < 1e-9, "{window:?}");
    }
}
