//! Shares of a whole as flags give them.

use crate::config;

/// `0.99`, or `99%`.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let ratio = match text.parse::<f64>() {
        Ok(ratio) => ratio,
        Err(_not_a_plain_number) => config::parse_percentage(text)?,
    };
    // So sure of a rarer failure no run of a sensible length can be.
    if ratio > 0.0 && ratio <= 0.9999 {
        // 95 hundredths are no binary number; what is written out should still look like them.
        Ok((ratio * 1e9).round() / 1e9)
    } else {
        Err("a share above 0 and at most 0.9999, as in 0.99 or 99%".to_owned())
    }
}

/// A share of at least so much.
pub(crate) fn share_from(least: f64, text: &str) -> Result<f64, String> {
    let ratio = share(text)?;
    if ratio >= least {
        Ok(ratio)
    } else {
        let least = least * 100.0;
        Err(format!(
            "a share from {least} % to 99.99 %, as in 0.05 or 5%"
        ))
    }
}
