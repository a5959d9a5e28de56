//! Values of flags.

use crate::baseline::{Location, LocationError};
use crate::config::parse_percentage;
use crate::secret;

/// A location of baselines. The usage error repeats an invalid one, which may contain a password.
pub(super) fn location(text: &str) -> Result<Location, LocationError> {
    let (_, after_scheme) = text.split_once("://").unwrap_or(("", text));
    text.parse()
        .inspect_err(|_invalid| secret::register(after_scheme))
}

/// A share as a ratio or a percentage.
fn ratio(text: &str) -> Result<f64, String> {
    text.parse()
        .or_else(|_not_a_plain_number| parse_percentage(text))
}

/// `0.05`, as in published recipes, or `5%`.
pub(super) fn threshold(text: &str) -> Result<f64, String> {
    let ratio = ratio(text)?;
    if ratio > 0.0 && ratio < 1.0 {
        Ok(ratio)
    } else {
        Err("write a share above 0 and below 1, as in 0.05 or 5%".to_owned())
    }
}

/// `0.99`, or `99%`.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let ratio = ratio(text)?;
    // No run of practical length can confirm a higher share.
    if ratio > 0.0 && ratio <= 0.9999 {
        // 0.95 has no exact binary form; round so that the output shows the same digits.
        Ok((ratio * 1e9).round() / 1e9)
    } else {
        Err("write a share above 0 and at most 0.9999, as in 0.99 or 99%".to_owned())
    }
}

/// A share of at least `least`.
fn share_from(least: f64, text: &str) -> Result<f64, String> {
    let ratio = share(text)?;
    if ratio >= least {
        Ok(ratio)
    } else {
        let least = least * 100.0;
        Err(format!(
            "write a share from {least} % to 99.99 %, as in 0.05 or 5%"
        ))
    }
}

/// Precision of a search.
pub(super) fn precision(text: &str) -> Result<f64, String> {
    share_from(0.005, text)
}

/// Range of a stable warm-up: `10%`, or `0.1`.
pub(super) fn stable_within(text: &str) -> Result<f64, String> {
    share_from(0.001, text)
}

/// A load: requests in flight or requests per second.
pub(super) fn load(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(load) if (1e-3..=1e6).contains(&load) => Ok(load),
        _ => Err("write a number from 0.001 to 1000000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_written_as_ratios_or_percentages_and_loads_as_numbers() {
        assert_eq!(share("0.99"), share("99%"));
        assert!(share("1").is_err() && share("nan").is_err() && precision("0.1%").is_err());
        assert!(load("0").is_err() && load("inf").is_err());
    }
}
