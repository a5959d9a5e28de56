//! Whether the server counts as many prompt tokens as were sent.

use super::covariates::Concerns;
use super::trace::RequestTrace;
use crate::stats::{self, number};

/// Share of the prompt tokens that may be missing or too many.
const ROOM: f64 = 0.02;

/// Tokens that a server may add to a prompt: the begin of the text.
const FEW_TOKENS: f64 = 4.0;

/// Holds the server's count of each prompt against the tokens that were sent, by place in the workload; `None` where a text
/// was sent, whose tokens only the server knows.
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
    ) && apart > (ROOM * sent).max(FEW_TOKENS)
    {
        concerns.warn(
            "prompt lengths",
            format!(
                "the server counted {counted:.1} prompt tokens on average where {sent:.1} were sent: it truncates prompts or counts differently, and cannot be compared with a server that does not"
            ),
        );
    }
    concerns
}

#[cfg(test)]
mod tests {
    use super::super::trace::ok_trace;
    use super::*;

    fn said(sent: u64, counted: u64) -> String {
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
    fn another_number_of_prompt_tokens_than_was_sent_is_said() {
        insta::assert_snapshot!(said(400, 100), @"the server counted 100.0 prompt tokens on average where 400.0 were sent: it truncates prompts or counts differently, and cannot be compared with a server that does not");
        assert_ne!(said(100, 400), "");
        assert_ne!(said(400, 0), "");
        assert_eq!(said(400, 401), "");
        assert_eq!(said(12, 13), "");
    }

    #[test]
    fn a_text_has_no_length_that_is_known() {
        let trace = ok_trace(0, 0.0, 0.1, 0.01, 4);
        assert_eq!(prompt_lengths(&[trace], &[None]), Concerns::default());
    }
}
