//! The client's trace of one request. All times are seconds from the start of the measurement.

use std::fmt;

use crate::record::FASTEST_TOKEN;
use crate::stats::number;

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// A complete answer.
    Ok,
    /// An error instead of an answer, or in the middle of one.
    Failed(String),
    /// Not finished in time.
    TimedOut,
    /// An answer that ended early: no `[DONE]`, no `usage`, or another number of tokens than requested.
    Truncated(String),
}

impl RequestOutcome {
    /// Whether the request counts for latencies and throughput.
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Ok)
    }
}

impl fmt::Display for RequestOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Failed(reason) => write!(f, "failed: {reason}"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Truncated(reason) => write!(f, "truncated: {reason}"),
        }
    }
}

/// The client's trace of one request.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestTrace {
    /// Position in the workload.
    pub index: usize,
    /// When it should have been sent. Latencies start here, so that a late client hides nothing; in a closed loop it is
    /// the time of sending.
    pub due: f64,
    /// When it was sent.
    pub sent: f64,
    /// Arrival of the first chunk with a choice, also if only a role or an empty text: the first token in `vllm bench
    /// serve`.
    pub first_chunk: Option<f64>,
    /// Arrivals of the chunks with generated text, ascending.
    pub token_chunks: Vec<f64>,
    /// Tokens of all chunks that arrived together with the first text. `None` if neither the server nor the number of chunks
    /// shows them.
    pub first_chunk_tokens: Option<u64>,
    /// Arrival of the last chunk of the answer (with text or the finish reason).
    pub last_token: Option<f64>,
    /// Arrival of the last byte.
    pub ended: f64,
    /// Prompt tokens as counted by the server.
    pub prompt_tokens: Option<u64>,
    /// Output tokens as counted by the server.
    pub output_tokens: Option<u64>,
    /// How it ended.
    pub outcome: RequestOutcome,
}

impl RequestTrace {
    /// A later turn that was not sent because an earlier one of its conversation failed, at `at`.
    pub fn not_sent(index: usize, at: f64) -> Self {
        Self {
            index,
            due: at,
            sent: at,
            first_chunk: None,
            token_chunks: Vec::new(),
            first_chunk_tokens: None,
            last_token: None,
            ended: at,
            prompt_tokens: None,
            output_tokens: None,
            outcome: RequestOutcome::Failed(
                "an earlier turn of the conversation failed".to_owned(),
            ),
        }
    }

    /// Start to the first chunk with generated text. If the only token has no text (part of a character), to the last
    /// chunk.
    pub fn ttft(&self) -> Option<f64> {
        self.token_chunks
            .first()
            .copied()
            .or(self.last_token)
            .map(|first| first - self.due)
    }

    /// Start to the first chunk with a choice: TTFT in `vllm bench serve`.
    pub fn time_to_first_chunk(&self) -> Option<f64> {
        self.first_chunk.map(|first| first - self.due)
    }

    /// (last token − first chunk) / (output tokens after the first chunk); `None` without a gap between tokens. If the number of
    /// tokens in the first chunk is unknown it counts as one; runs with different tokens per chunk are not compared.
    pub fn tpot(&self) -> Option<f64> {
        let time = self.last_token? - self.token_chunks.first()?;
        let first = match self.first_chunk_tokens {
            Some(tokens) => tokens,
            None if self.pieces() > 1 => 1,
            None => return None,
        };
        let later = self.output_tokens?.checked_sub(first)?;
        (later > 0)
            .then(|| time / number(later))
            .filter(|tpot| *tpot > FASTEST_TOKEN)
    }

    /// Whether an answer of several tokens has no gap between them.
    pub fn is_in_one_piece(&self) -> bool {
        self.output_tokens.is_some_and(|tokens| tokens > 1) && self.tpot().is_none()
    }

    /// Arrivals of text: chunks in one piece of data are one arrival.
    pub fn pieces(&self) -> u64 {
        self.itl().count() as u64 + u64::from(!self.token_chunks.is_empty())
    }

    /// Start to the last byte.
    pub fn e2e(&self) -> f64 {
        self.ended - self.due
    }

    /// Gaps between successive chunks with generated text that did not arrive together.
    pub fn itl(&self) -> impl Iterator<Item = f64> {
        let gaps = self.token_chunks.windows(2).map(|pair| pair[1] - pair[0]);
        gaps.filter(|gap| *gap > 0.0)
    }
}

#[cfg(test)]
pub(crate) fn ok_trace(index: usize, sent: f64, ttft: f64, gap: f64, tokens: u32) -> RequestTrace {
    let token_chunks: Vec<f64> = (0..tokens)
        .map(|token| sent + ttft + gap * f64::from(token))
        .collect();
    let last = token_chunks.last().copied();
    RequestTrace {
        index,
        due: sent,
        sent,
        first_chunk: token_chunks.first().copied(),
        first_chunk_tokens: None,
        last_token: last,
        ended: last.unwrap_or(sent) + 0.001,
        token_chunks,
        prompt_tokens: Some(10),
        output_tokens: Some(u64::from(tokens)),
        outcome: RequestOutcome::Ok,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_follow_the_definitions() {
        let trace = ok_trace(0, 1.0, 0.2, 0.05, 5);
        assert!((trace.ttft().unwrap() - 0.2).abs() < 1e-12);
        assert!((trace.tpot().unwrap() - 0.05).abs() < 1e-12);
        assert!((trace.e2e() - 0.401).abs() < 1e-12);
        assert_eq!(trace.itl().count(), 4);
    }

    #[test]
    fn tokens_are_counted_by_the_server_and_not_by_chunks() {
        // Nine tokens in five chunks, as when the server merges outputs.
        let trace = RequestTrace {
            output_tokens: Some(9),
            ..ok_trace(0, 0.0, 0.1, 0.08, 5)
        };
        assert!((trace.tpot().unwrap() - 0.04).abs() < 1e-12);
        // Five of them arrived with the first chunk: 0.32 s is the time of four.
        let counted = RequestTrace {
            first_chunk_tokens: Some(5),
            ..trace
        };
        assert!((counted.tpot().unwrap() - 0.08).abs() < 1e-12);
        assert_eq!(counted.pieces(), 5);
    }

    #[test]
    fn an_answer_in_one_piece_has_no_time_per_token_and_no_gap() {
        for (gap, first_chunk, pieces) in [(0.0, None, 1), (12e-6, None, 8), (0.0, Some(8), 1)] {
            let trace = RequestTrace {
                first_chunk_tokens: first_chunk,
                ..ok_trace(0, 0.0, 0.1, gap, 8)
            };
            assert_eq!((trace.tpot(), trace.pieces()), (None, pieces), "{gap}");
            assert!(trace.is_in_one_piece());
        }
        assert_eq!(ok_trace(0, 0.0, 0.1, 0.0, 8).itl().count(), 0);
        assert!(!ok_trace(0, 0.0, 0.1, 0.05, 1).is_in_one_piece());
    }

    #[test]
    fn one_token_has_no_time_per_later_token() {
        assert_eq!(ok_trace(0, 0.0, 0.1, 0.05, 1).tpot(), None);
    }

    #[test]
    fn open_loop_counts_from_the_schedule() {
        let trace = RequestTrace {
            due: 0.5,
            ..ok_trace(0, 1.0, 0.2, 0.05, 2)
        };
        assert!((trace.ttft().unwrap() - 0.7).abs() < 1e-12);
    }
}
