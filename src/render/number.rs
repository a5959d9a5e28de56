//! Numbers as people read them: the only place where a number becomes text.

use crate::metric::Unit;
use crate::policy::comparison::Change;
pub use crate::policy::{percent, signed_percent};

/// `12.3 ms`, `72.0 GiB`, `3127 tok/s`: about four digits that carry information.
pub fn value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Seconds => seconds(value),
        Unit::RequestsPerSecond => format!("{} req/s", digits(value)),
        Unit::TokensPerSecond => format!("{} tok/s", digits(value)),
        Unit::Bytes => bytes(value),
        Unit::Tokens => format!("{} tok", digits(value)),
        Unit::Ratio => format!("{} %", digits(value * 100.0)),
        Unit::Count => digits(value),
    }
}

/// `4 d`: how long ago something was.
pub fn age(age: std::time::Duration) -> String {
    let hours = age.as_secs() / 3600;
    match hours {
        0 => "< 1 h".to_owned(),
        1..48 => format!("{hours} h"),
        _ => format!("{} d", hours / 24),
    }
}

/// A time in the unit that suits it.
pub fn seconds(seconds: f64) -> String {
    let size = seconds.abs();
    if size >= 100.0 {
        format!("{seconds:.0} s")
    } else if size >= 1.0 {
        format!("{seconds:.2} s")
    } else if size >= 0.001 || size == 0.0 {
        format!("{} ms", digits(seconds * 1e3))
    } else {
        format!("{} µs", digits(seconds * 1e6))
    }
}

fn bytes(bytes: f64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (name, power) in units {
        let scaled = bytes / f64::from(power).exp2();
        if scaled.abs() >= 1.0 {
            return format!("{} {name}", digits(scaled));
        }
    }
    format!("{bytes:.0} B")
}

/// A tick of a time axis: as [`seconds`], without decimals that are zero.
pub fn tick(value: f64) -> String {
    axis(value, Unit::Seconds)
}

/// A label of an axis: as [`value`], without decimals that are zero.
pub fn axis(value: f64, unit: Unit) -> String {
    let text = self::value(value, unit);
    match text.split_once(' ') {
        Some((digits, unit)) if digits.contains('.') => {
            format!(
                "{} {unit}",
                digits.trim_end_matches('0').trim_end_matches('.')
            )
        }
        Some(_) => text,
        None => plain(value),
    }
}

/// What round labels of an axis that reaches so far count in: a power of two for bytes.
pub fn round_in(unit: Unit, reach: f64) -> f64 {
    let powers = [40, 30, 20, 10];
    match unit {
        Unit::Bytes => powers
            .map(|power| f64::from(power).exp2())
            .into_iter()
            .find(|factor| reach >= *factor)
            .unwrap_or(1.0),
        Unit::Seconds
        | Unit::RequestsPerSecond
        | Unit::TokensPerSecond
        | Unit::Tokens
        | Unit::Ratio
        | Unit::Count => 1.0,
    }
}

/// `+1.20 ms`, `−300.0 µs`.
pub fn signed_seconds(value: f64) -> String {
    signed(value, &seconds(value.abs()))
}

/// The same without decimals that are zero.
pub fn signed_tick(value: f64) -> String {
    signed(value, &tick(value.abs()))
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
    let text = digits(value);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Whole from a thousand on, else up to two decimals.
fn digits(value: f64) -> String {
    let size = value.abs();
    if size >= 1000.0 || size == 0.0 {
        format!("{value:.0}")
    } else if size >= 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// `[+4.9 … +9.3]`, in percent.
pub fn interval(change: &Change) -> String {
    let plain = |ratio: f64| signed_percent(ratio).trim_end_matches(" %").to_owned();
    format!("[{} … {}]", plain(change.low), plain(change.high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_in_units_that_suit_them() {
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
        ];
        insta::assert_snapshot!(shown.join(", "), @"12.30 ms, 156.7 ms, 5.01 s, 50.00 µs, 3127 tok/s, 2.50 req/s, 71.23 GiB, 95.30 %, 400000 tok");
    }

    #[test]
    fn an_interval_names_both_ends_with_their_signs() {
        let change = Change {
            value: 0.07,
            low: -0.012,
            high: 0.093,
            confidence: 0.95,
        };
        assert_eq!(interval(&change), "[−1.2 … +9.3]");
    }
}
