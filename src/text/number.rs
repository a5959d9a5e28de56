//! Numbers as text: the only place that formats a number.

use crate::metric::Unit;

/// Above this, in percent, a figure is shown as "more than".
pub(crate) const MOST_PERCENT: f64 = 1e6;

/// `7.1 %`, without a sign; `> 1000000 %` for very large figures.
pub fn percent(ratio: f64) -> String {
    let percent = ratio.abs() * 100.0;
    // One decimal below 100 %, none above: more digits have no meaning.
    if percent > MOST_PERCENT {
        format!("> {MOST_PERCENT:.0} %")
    } else if percent.is_nan() {
        "unknown".to_owned()
    } else if percent >= 99.95 {
        format!("{percent:.0} %")
    } else {
        format!("{percent:.1} %")
    }
}

/// `+7.1 %`, `−0.3 %`.
pub fn signed_percent(ratio: f64) -> String {
    let text = percent(ratio);
    if text.starts_with('>') {
        let beyond = if ratio < 0.0 { "< −" } else { "> +" };
        return text.replacen("> ", beyond, 1);
    }
    // A value that rounds to zero has no sign.
    let sign = match text.as_str() {
        "0.0 %" | "unknown" => "",
        _ if ratio < 0.0 => "−",
        _ => "+",
    };
    format!("{sign}{text}")
}

/// `12.3 ms`, `72.0 GiB`, `3127 tok/s`: about four digits that carry information.
pub fn value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Seconds => seconds(value),
        Unit::RequestsPerSecond => format!("{} req/s", digits(value)),
        Unit::TokensPerSecond => format!("{} tok/s", digits(value)),
        Unit::Bytes => bytes(value),
        Unit::Tokens => format!("{} tok", plain(value)),
        Unit::Ratio => format!("{} %", digits(value * 100.0)),
        Unit::Count => plain(value),
    }
}

/// An age: `4 d`.
pub fn age(age: std::time::Duration) -> String {
    let hours = age.as_secs() / 3600;
    match hours {
        0 => "< 1 h".to_owned(),
        1..48 => format!("{hours} h"),
        _ => format!("{} d", hours / 24),
    }
}

/// A time in a suitable unit.
pub fn seconds(seconds: f64) -> String {
    let size = seconds.abs();
    if size >= 100.0 {
        format!("{} s", whole(seconds))
    } else if size >= 1.0 {
        format!("{seconds:.2} s")
    } else if size >= 0.001 || size == 0.0 {
        format!("{} ms", digits(seconds * 1e3))
    } else {
        format!("{} µs", digits(seconds * 1e6))
    }
}

/// A long time: `42 s`, `12.6 min`, `3.5 h`.
pub fn span(seconds: f64) -> String {
    // The limits are those at which the rounded number reaches the next unit or digit.
    if seconds < 9.95 {
        format!("{seconds:.1} s")
    } else if seconds < 59.5 {
        format!("{seconds:.0} s")
    } else if seconds < 99.95 * 60.0 {
        format!("{:.1} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3600.0)
    }
}

/// GPU-hours without their unit: two digits that carry information below 1, three above.
pub fn hours(hours: f64) -> String {
    match hours {
        99.95.. => whole(hours),
        9.995.. => format!("{hours:.1}"),
        0.0995.. => format!("{hours:.2}"),
        0.00995.. => format!("{hours:.3}"),
        0.00095.. => format!("{hours:.4}"),
        0.0 => "0".to_owned(),
        _ => "< 0.001".to_owned(),
    }
}

/// Powers of two, the largest first.
const BYTES: [(&str, i32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];

fn bytes(bytes: f64) -> String {
    for (name, power) in BYTES {
        let scaled = bytes / f64::from(power).exp2();
        if scaled.abs() >= 1.0 {
            return format!("{} {name}", digits(scaled));
        }
    }
    format!("{} B", whole(bytes))
}

/// A time as [`seconds`], without decimals that are zero: `200 ms`.
pub fn tick(value: f64) -> String {
    let text = seconds(value);
    match text.split_once(' ') {
        Some((digits, unit)) => format!("{} {unit}", without_zeros(digits)),
        None => text,
    }
}

/// The format of the labels of one axis: all in the same unit, with enough decimals to distinguish them.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    factor: f64,
    name: &'static str,
    decimals: usize,
    whole: bool,
}

impl Axis {
    /// An axis with these ends.
    pub fn of(unit: Unit, from: f64, to: f64) -> Self {
        let reach = from.abs().max(to.abs());
        let (factor, name) = match unit {
            Unit::Seconds => [(1.0, "s"), (1e-3, "ms")]
                .into_iter()
                .find(|(factor, _)| reach >= *factor)
                .unwrap_or((1e-6, "µs")),
            Unit::Bytes => BYTES
                .into_iter()
                .map(|(name, power)| (f64::from(power).exp2(), name))
                .find(|(factor, _)| reach >= *factor)
                .unwrap_or((1.0, "B")),
            Unit::RequestsPerSecond => (1.0, "req/s"),
            Unit::TokensPerSecond => (1.0, "tok/s"),
            Unit::Tokens => (1.0, "tok"),
            Unit::Ratio => (0.01, "%"),
            Unit::Count => (1.0, ""),
        };
        Self::counted_in(name, factor, from, to)
    }

    /// An axis in another unit.
    pub fn counted_in(name: &'static str, factor: f64, from: f64, to: f64) -> Self {
        let step = (to - from) / factor / 10.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 9"
        )]
        let decimals = (-step.log10()).ceil().clamp(0.0, 9.0) as usize;
        Self {
            factor,
            name,
            decimals,
            whole: false,
        }
    }

    /// The same for whole numbers.
    #[must_use]
    pub fn whole(self) -> Self {
        Self {
            whole: true,
            ..self
        }
    }

    /// Round labels are multiples of this: 2³⁰ for GiB.
    pub fn factor(self) -> f64 {
        self.factor
    }

    /// Whether such a value is possible.
    pub fn can_be(self, value: f64) -> bool {
        !self.whole || (value / self.factor).fract() == 0.0
    }

    /// `12.5 ms`, `0 ms`.
    pub fn label(self, value: f64) -> String {
        let counted = value / self.factor;
        let digits = if counted.abs() >= MOST {
            format!("{counted:.0e}")
        } else {
            format!("{counted:.*}", self.decimals)
        };
        let digits = match without_zeros(&digits) {
            "-0" => "0",
            digits => digits,
        };
        format!("{digits} {}", self.name).trim_end().to_owned()
    }

    /// `+12.5 ms`, `−3 ms`, `0 ms`.
    pub fn signed(self, value: f64) -> String {
        signed(value, &self.label(value.abs()))
    }
}

/// `+1.20 ms`, `−300.0 µs`.
pub fn signed_seconds(value: f64) -> String {
    signed(value, &seconds(value.abs()))
}

fn signed(value: f64, size: &str) -> String {
    if value > 0.0 {
        format!("+{size}")
    } else if value < 0.0 {
        format!("−{size}")
    } else {
        size.to_owned()
    }
}

/// A number without a unit, without decimals that are zero.
pub fn plain(value: f64) -> String {
    without_zeros(&digits(value)).to_owned()
}

/// The digits without decimals that are zero.
fn without_zeros(digits: &str) -> &str {
    if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        digits
    }
}

/// From here a figure is written with an exponent: no device reaches it, and hundreds of digits have no room.
const MOST: f64 = 1e15;

/// No decimals from 1000, else up to two.
fn digits(value: f64) -> String {
    let size = value.abs();
    if size >= MOST {
        format!("{value:.0e}")
    } else if size >= 1000.0 || size == 0.0 {
        format!("{value:.0}")
    } else if size >= 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// Without decimals.
fn whole(value: f64) -> String {
    if value.abs() >= MOST {
        digits(value)
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_in_suitable_units() {
        let shown = [
            value(0.0123, Unit::Seconds),
            value(0.1567, Unit::Seconds),
            value(5.014, Unit::Seconds),
            value(0.000_05, Unit::Seconds),
            value(3127.4, Unit::TokensPerSecond),
            value(2.5, Unit::RequestsPerSecond),
            value(76_480_000_000.0, Unit::Bytes),
            value(0.953, Unit::Ratio),
            value(400_000.0, Unit::Tokens),
            value(120.0, Unit::Count),
        ];
        insta::assert_snapshot!(shown.join(", "), @"12.30 ms, 156.7 ms, 5.01 s, 50.00 µs, 3127 tok/s, 2.50 req/s, 71.23 GiB, 95.30 %, 400000 tok, 120");
    }

    #[test]
    fn a_very_large_figure_has_an_exponent() {
        for unit in [
            Unit::Seconds,
            Unit::Bytes,
            Unit::Tokens,
            Unit::Ratio,
            Unit::Count,
            Unit::TokensPerSecond,
        ] {
            for size in [1e300, f64::MAX, f64::INFINITY] {
                let shown = value(size, unit);
                assert!(shown.len() < 20, "{shown}");
            }
        }
    }

    #[test]
    fn the_labels_of_an_axis_have_one_unit_and_differ() {
        let labels = |axis: Axis, values: &[f64]| {
            let labels = values.iter().map(|value| axis.label(*value));
            labels.collect::<Vec<_>>().join(", ")
        };
        let shown = [
            labels(Axis::of(Unit::Seconds, 0.0, 1.2), &[0.0, 0.5, 1.0]),
            labels(Axis::of(Unit::Seconds, 0.98, 1.01), &[0.985, 1.0, 1.005]),
            labels(Axis::of(Unit::Seconds, 0.0, 0.02), &[0.0, 0.0125, 0.02]),
            labels(Axis::of(Unit::Bytes, 0.0, 3e9), &[0.0, 2_147_483_648.0]),
            labels(Axis::of(Unit::Ratio, 0.0, 1.0), &[0.25, 1.0]),
            labels(Axis::of(Unit::Count, 0.0, 12.0), &[5.0, 10.0]),
        ];
        insta::assert_snapshot!(shown.join("\n"), @"
        0 s, 0.5 s, 1 s
        0.985 s, 1 s, 1.005 s
        0 ms, 12 ms, 20 ms
        0 GiB, 2 GiB
        25 %, 100 %
        5, 10
        ");
        let axis = Axis::of(Unit::Seconds, -0.01, 0.02);
        assert_eq!(axis.signed(-0.005), "−5 ms");
        assert_eq!(axis.signed(0.0), "0 ms");
        assert!(!Axis::of(Unit::Count, 0.0, 1.0).whole().can_be(0.2));
    }
}
