//! Segments: where the measured hardware, workload or level changed, so that earlier sessions are not comparable with later ones.

use crate::compare;
use crate::record::Run;

/// The beginning of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Index of its first session.
    pub at: usize,
    /// Why it begins there, in a sentence.
    pub why: String,
}

/// Every segment but the first, in the order of the sessions: an accepted regression or outlier, or other hardware or
/// another workload.
pub fn segments(sessions: &[Run]) -> Vec<Start> {
    let starts = (1..sessions.len()).filter_map(|at| {
        let (before, session) = (&sessions[at - 1], &sessions[at]);
        let promotion = session.file.promotion.as_ref();
        let why = if let Some(promotion) = promotion.filter(|promotion| promotion.new_segment) {
            let because = promotion.because.as_deref();
            format!("accepted: {}", because.unwrap_or("no reason given"))
        } else if compare::same_fingerprint(before, session) {
            return None;
        } else {
            "other hardware, model or workload".to_owned()
        };
        Some(Start { at, why })
    });
    starts.collect()
}

/// The sessions of the last segment.
pub fn last_segment(sessions: &[Run]) -> &[Run] {
    let from = segments(sessions).last().map_or(0, |start| start.at);
    &sessions[from..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(workload: &str, promotion: &str) -> Run {
        let json = format!(
            r#"{{"schema":"perfgate.result/1","workload":{{"digest":"{workload}"}},"promotion":{promotion},
                "scenarios":[{{"name":"c","repeats":[{{"metrics":{{"qps":1}}}}]}}]}}"#
        );
        crate::record::parse("a.json", json.as_bytes()).unwrap()
    }

    #[test]
    fn an_accepted_step_and_another_workload_begin_a_segment() {
        let sessions = [
            session("a", "null"),
            session(
                "a",
                r#"{"promoted":"2026-01-01T00:00:00Z","because":"new sampler","new_segment":true}"#,
            ),
            session("a", "null"),
            session("b", "null"),
        ];
        let starts = segments(&sessions);
        assert_eq!(
            starts.iter().map(|start| start.at).collect::<Vec<_>>(),
            [1, 3]
        );
        assert_eq!(starts[0].why, "accepted: new sampler");
        assert_eq!(last_segment(&sessions).len(), 1);
        assert!(last_segment(&[]).is_empty());
    }
}
