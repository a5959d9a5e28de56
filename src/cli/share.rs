//! Shares as values of flags.

use crate::config;

/// `0.99`, or `99%`.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let ratio = match text.parse::<f64>() {
        Ok(ratio) => ratio,
        Err(_not_a_plain_number) => config::parse_percentage(text)?,
    };
    // No run of practical length can confirm a higher share.
    if ratio > 0.0 && ratio <= 0.9999 {
        // 0.95 has no exact binary form; round so that the output shows the same digits.
        Ok((ratio * 1e9).round() / 1e9)
    } else {
        Err("write a share above 0 and at most 0.9999, as in 0.99 or 99%".to_owned())
    }
}

/// A share of at least `least` percent.
pub(crate) fn share_from(least: f64, text: &str) -> Result<f64, String> {
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
