//! Checks that the server counts as many prompt tokens as were sent.

use super::covariates::Concerns;
use super::trace::RequestTrace;
use crate::stats::{self, number};

/// Largest difference in prompt tokens, as a share.
const TOLERANCE: f64 = 0.02;

/// Tokens that a server may add to a prompt, such as the begin-of-text token.
const FEW_TOKENS: f64 = 4.0;

/// Compares the server's count of each prompt with the tokens that were sent, by position in the workload; `None` for a
/// text, whose token count only the server knows.
pub fn prompt_lengths(traces: &[RequestTrace], sent: &[Option<u64>]) -> Concerns {
    let mut concerns = Concerns::default();
    let answered = traces.iter().filter(|trace| trace.outcome.is_ok());
    let counts = answered.filter_map(|trace| {
        let sent = sent.get(trace.index).copied().flatten()?;
        Some((number(sent), number(trace.prompt_tokens?)))
    });
    let (sent, counted): (Vec<f64>, Vec<f64>) = counts.unzip();
    let apart: Vec<f64> = sent
        .iter()
        .zip(&counted)
        .map(|(sent, counted)| (sent - counted).abs())
        .collect();
    if let (Some(apart), Some(sent), Some(counted)) = (
        stats::mean(&apart),
        stats::mean(&sent),
        stats::mean(&counted),
    ) && apart > (TOLERANCE * sent).max(FEW_TOKENS)
    {
        concerns.warn(
            "prompt lengths",
            format!(
                "the server counted {counted:.1} prompt tokens on average, but {sent:.1} were sent: it truncates prompts or counts differently, and cannot be compared with a server that does not"
            ),
        );
    }
    concerns
}

#[cfg(test)]
mod tests {
    use super::super::trace::ok_trace;
    use super::*;

    fn message(sent: u64, counted: u64) -> String {
        let trace = RequestTrace {
            prompt_tokens: Some(counted),
            ..ok_trace(1, 0.0, 0.1, 0.01, 4)
        };
        let concerns = prompt_lengths(&[trace], &[None, Some(sent)]);
        let mut warnings = concerns.warnings.into_iter();
        warnings
            .next()
            .map(|warning| warning.message)
            .unwrap_or_default()
    }

    #[test]
    fn another_number_of_prompt_tokens_than_sent_is_reported() {
        insta::assert_snapshot!(message(400, 100), @"the server counted 100.0 prompt tokens on average, but 400.0 were sent: it truncates prompts or counts differently, and cannot be compared with a server that does not");
        assert_ne!(message(100, 400), "");
        assert_ne!(message(400, 0), "");
        assert_eq!(message(400, 401), "");
        assert_eq!(message(12, 13), "");
    }

    #[test]
    fn a_text_has_no_known_length() {
        let trace = ok_trace(0, 0.0, 0.1, 0.01, 4);
        assert_eq!(prompt_lengths(&[trace], &[None]), Concerns::default());
    }
}
