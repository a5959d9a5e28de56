//! Durations, sizes, percentages and budgets, always with a unit.

use std::time::Duration;

use crate::report::price::Budget;

/// Longest accepted duration: a year. A longer one is a typing error and would overflow clocks.
const MAX_SECONDS: f64 = 366.0 * 86_400.0;

/// Why a text is not a valid quantity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnitError {
    /// What is wrong.
    pub(super) message: String,
    /// What to write instead.
    pub(super) hint: String,
}

impl UnitError {
    fn new(message: String, hint: String) -> Self {
        Self { message, hint }
    }

    /// Message and hint in one line, for the command line.
    pub(super) fn in_words(self) -> String {
        format!("{}; {}", self.message, self.hint)
    }
}

/// `250ms`, `90s`, `15m`, `1h`, `2d`; not negative.
pub(super) fn duration(text: &str) -> Result<Duration, UnitError> {
    let units = [
        ("us", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3_600.0),
        ("d", 86_400.0),
    ];
    let seconds = quantity(text, &units, "a duration", &["s", "ms"])?;
    if seconds > MAX_SECONDS {
        return Err(UnitError::new(
            format!("`{text}` is longer than a year"),
            "write a shorter duration".to_owned(),
        ));
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// `8GiB`, `512MiB`, `1GB`; in bytes.
pub(super) fn bytes(text: &str) -> Result<u64, UnitError> {
    let units = [
        ("B", 1.0),
        ("kB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("TB", 1e12),
        ("KiB", 1024.0),
        ("MiB", 1_048_576.0),
        ("GiB", 1_073_741_824.0),
        ("TiB", 1_099_511_627_776.0),
    ];
    let bytes = quantity(text, &units, "a size", &["GiB", "MiB"])?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative; a cast saturates"
    )]
    let whole = bytes.round() as u64;
    Ok(whole)
}

/// `0.5gpu-h`, `30gpu-min`, `20m`, `1h`; above zero.
pub(super) fn budget(text: &str) -> Result<Budget, UnitError> {
    let units = [
        ("gpu-h", 1.0),
        ("gpu-min", 1.0 / 60.0),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3_600.0),
        ("d", 86_400.0),
    ];
    let amount = quantity(text, &units, "a budget", &["gpu-h", "m"])?;
    if amount <= 0.0 {
        return Err(UnitError::new(
            format!("`{text}` is not a budget"),
            "a budget is above zero".to_owned(),
        ));
    }
    Ok(if text.contains("gpu") {
        Budget::GpuHours(amount)
    } else {
        Budget::Seconds(amount)
    })
}

/// `5%` as 0.05; not negative.
pub(super) fn percentage(text: &str) -> Result<f64, UnitError> {
    let shown = text.trim();
    match quantity(text, &[("%", 0.01)], "a percentage", &["%"]) {
        Ok(ratio) => Ok(ratio),
        Err(mut error) => {
            // The probable meaning of a bare ratio.
            if let Ok(ratio) = shown.parse::<f64>()
                && ratio > 0.0
                && ratio < 1.0
            {
                error.hint = format!("write `{}%`", tidy(ratio * 100.0));
            }
            Err(error)
        }
    }
}

fn quantity(
    text: &str,
    units: &[(&str, f64)],
    what: &str,
    examples: &[&str],
) -> Result<f64, UnitError> {
    let text = text.trim();
    let split = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | '_')))
        .unwrap_or(text.len());
    let (number, unit) = (text[..split].trim(), text[split..].trim());
    let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
    let Ok(value) = number.parse::<f64>() else {
        let example = examples.first().copied().unwrap_or_default();
        return Err(UnitError::new(
            format!("`{text}` is not {what}"),
            format!("write a number and a unit: `5{example}`"),
        ));
    };
    if unit.is_empty() {
        let ways: Vec<String> = examples
            .iter()
            .map(|example| format!("`{number}{example}`"))
            .collect();
        return Err(UnitError::new(
            format!("`{text}` is {what} without a unit"),
            format!("write {}", ways.join(" or ")),
        ));
    }
    let Some((_, scale)) = units.iter().find(|(name, _)| *name == unit) else {
        let list = names.join(", ");
        return Err(UnitError::new(
            format!("`{unit}` is not a unit of {what}"),
            format!("use {list}"),
        ));
    };
    if !value.is_finite() || value < 0.0 {
        return Err(UnitError::new(
            format!("`{text}` is negative"),
            format!("{what} is zero or more"),
        ));
    }
    Ok(value * scale)
}

/// At most four decimals, without trailing zeros.
fn tidy(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantities_are_read_with_their_units() {
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("15m"), Ok(Duration::from_mins(15)));
        assert_eq!(bytes("8GiB"), Ok(8 << 30));
        assert_eq!(bytes("1 GB"), Ok(1_000_000_000));
        assert!((percentage("5%").unwrap() - 0.05).abs() < 1e-12);
    }

    #[test]
    fn a_budget_is_in_gpu_hours_or_server_time() {
        assert_eq!(budget("0.5gpu-h"), Ok(Budget::GpuHours(0.5)));
        assert_eq!(budget("30 gpu-min"), Ok(Budget::GpuHours(0.5)));
        assert_eq!(budget("20m"), Ok(Budget::Seconds(1200.0)));
        let error = |text: &str| budget(text).unwrap_err().in_words();
        insta::assert_snapshot!(error("0.5"), @"`0.5` is a budget without a unit; write `0.5gpu-h` or `0.5m`");
        insta::assert_snapshot!(error("5 euros"), @"`euros` is not a unit of a budget; use gpu-h, gpu-min, s, m, h, d");
        insta::assert_snapshot!(error("0h"), @"`0h` is not a budget; a budget is above zero");
    }

    #[test]
    fn a_bare_number_is_refused_with_its_likely_meaning() {
        assert_eq!(duration("15").unwrap_err().hint, "write `15s` or `15ms`");
        assert_eq!(percentage("0.05").unwrap_err().hint, "write `5%`");
        assert_eq!(percentage("5").unwrap_err().hint, "write `5%`");
        assert_eq!(
            duration("5parsecs").unwrap_err().message,
            "`parsecs` is not a unit of a duration"
        );
        assert_eq!(bytes("-1GiB").unwrap_err().message, "`-1GiB` is negative");
        assert_eq!(
            duration("9e99s").unwrap_err().message,
            "`e99s` is not a unit of a duration"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,12}") {
            let _ = (duration(&text), bytes(&text), percentage(&text), budget(&text));
        }
    }
}
