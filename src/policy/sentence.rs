//! The sentences of a verdict, headline and reasons, made once for all renderers.

use crate::metric::{Better, Metric, Unit};
use crate::text::number::MOST_PERCENT;
pub use crate::text::number::{percent, signed_percent};

/// `2.0 times`, `1000 times`, `more than 10000 times`.
pub(super) fn times(times: f64) -> String {
    if times > MOST_PERCENT / 100.0 {
        format!("more than {:.0} times", MOST_PERCENT / 100.0)
    } else if times >= 10.0 {
        format!("{times:.0} times")
    } else {
        format!("{times:.1} times")
    }
}

/// The word for a change of this metric for the worse (`true`) or the better.
fn direction(metric: Metric, worse: bool) -> &'static str {
    let by_time = matches!(metric.unit(), Unit::Seconds);
    match (metric.better(), worse) {
        (Better::Lower, true) if by_time => "slower",
        (Better::Lower, false) if by_time => "faster",
        (Better::Lower, true) | (Better::Higher, false) => "higher",
        (Better::Lower, false) | (Better::Higher, true) => "lower",
        (Better::Neither, _) => "different",
    }
}

/// `TPOT P95 is 7.1 % slower`.
pub(super) fn change_in_words(metric: Metric, change: f64) -> String {
    if percent(change) == "0.0 %" {
        return format!("{} is unchanged", metric.label());
    }
    format!(
        "{} is {} {}",
        metric.label(),
        percent(change),
        direction(metric, change > 0.0)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_have_the_words_of_their_metric() {
        let words = |id: &str, change| change_in_words(Metric::parse(id).unwrap(), change);
        assert_eq!(words("tpot.p95", 0.071), "TPOT P95 is 7.1 % slower");
        assert_eq!(words("throughput", 0.05), "throughput is 5.0 % lower");
        assert_eq!(words("throughput", -0.05), "throughput is 5.0 % higher");
        assert_eq!(
            words("gpu_memory.peak", 0.2),
            "peak GPU memory is 20.0 % higher"
        );
        assert_eq!(words("ttft.p95", -0.000_1), "TTFT P95 is unchanged");
    }

    #[test]
    fn a_very_large_figure_is_bounded() {
        assert_eq!(percent(1e4), "1000000 %");
        assert_eq!(signed_percent(1e300), "> +1000000 %");
        assert_eq!(percent(f64::INFINITY), "> 1000000 %");
        assert_eq!(percent(f64::NAN), "unknown");
        assert_eq!(times(1e300), "more than 10000 times");
    }

    #[test]
    fn a_figure_that_rounds_to_zero_has_no_sign() {
        assert_eq!(signed_percent(-0.000_1), "0.0 %");
        assert_eq!(signed_percent(0.071), "+7.1 %");
        assert_eq!(signed_percent(-1.5), "−150 %");
    }
}
