//! What the client saw of one request. All times are seconds from the start of the measurement.

use std::fmt;

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A whole answer.
    Ok,
    /// An error instead of an answer, or in the middle of one.
    Failed(String),
    /// Not finished in time.
    TimedOut,
    /// An answer that stopped early: no `[DONE]`, no usage, or another number of tokens than asked for.
    Truncated(String),
}

impl Outcome {
    /// Whether the request counts for latencies and throughput.
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Ok)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Failed(reason) => write!(f, "failed: {reason}"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Truncated(reason) => write!(f, "truncated: {reason}"),
        }
    }
}

/// What the client saw of one request.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestTrace {
    /// Position in the workload.
    pub index: usize,
    /// When it should have been sent. Latencies count from here, so that a late client hides nothing; in closed loop
    /// it is the time of sending.
    pub due: f64,
    /// When it was sent.
    pub sent: f64,
    /// Arrival of the first chunk with a choice, be it a role or an empty text: what `vllm bench serve` takes for the
    /// first token.
    pub first_chunk: Option<f64>,
    /// Arrivals of the chunks that carried generated text, rising.
    pub token_chunks: Vec<f64>,
    /// Arrival of the last chunk that belonged to the answer (with text or the finish reason).
    pub last_token: Option<f64>,
    /// Arrival of the last byte.
    pub ended: f64,
    /// Prompt tokens as the server counted them.
    pub prompt_tokens: Option<u64>,
    /// Output tokens as the server counted them.
    pub output_tokens: Option<u64>,
    /// How it ended.
    pub outcome: Outcome,
}

impl RequestTrace {
    /// A later turn that could not be sent because an earlier one of its conversation had failed, at `at`.
    pub fn not_sent(index: usize, at: f64) -> Self {
        Self {
            index,
            due: at,
            sent: at,
            first_chunk: None,
            token_chunks: Vec::new(),
            last_token: None,
            ended: at,
            prompt_tokens: None,
            output_tokens: None,
            outcome: Outcome::Failed("an earlier turn of the conversation failed".to_owned()),
        }
    }

    /// Start to the first chunk with generated text. An answer whose only token has no text of its own (part of a
    /// character) counts to its last chunk.
    pub fn ttft(&self) -> Option<f64> {
        self.token_chunks
            .first()
            .copied()
            .or(self.last_token)
            .map(|first| first - self.due)
    }

    /// Start to the first chunk with a choice: what `vllm bench serve` calls TTFT.
    pub fn time_to_first_chunk(&self) -> Option<f64> {
        self.first_chunk.map(|first| first - self.due)
    }

    /// (last token − first token) / (output tokens − 1); `None` below two tokens.
    pub fn tpot(&self) -> Option<f64> {
        let later_tokens = self
            .output_tokens?
            .checked_sub(1)
            .filter(|later| *later > 0)?;
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 tokens")]
        let later_tokens = later_tokens as f64;
        Some((self.last_token? - self.token_chunks.first()?) / later_tokens)
    }

    /// Start to the last byte.
    pub fn e2e(&self) -> f64 {
        self.ended - self.due
    }

    /// Gaps between successive chunks with generated text.
    pub fn itl(&self) -> impl Iterator<Item = f64> {
        self.token_chunks.windows(2).map(|pair| pair[1] - pair[0])
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
        last_token: last,
        ended: last.unwrap_or(sent) + 0.001,
        token_chunks,
        prompt_tokens: Some(10),
        output_tokens: Some(u64::from(tokens)),
        outcome: Outcome::Ok,
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
