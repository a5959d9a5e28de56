//! The failed requests of a load point and their most frequent reason.

use std::collections::BTreeMap;

use super::format::Repeat;

/// The status of a successful request.
const OK: &str = "ok";

/// Failed requests and their most frequent reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// Requests without a complete answer.
    pub failed: u64,
    /// All requests.
    pub all: u64,
    /// The most frequent reason and its count, if known.
    pub most_frequent: Option<(String, u64)>,
}

impl Failures {
    /// Counts the failures of all requests of these repeats.
    pub fn of<'a>(repeats: impl IntoIterator<Item = &'a Repeat>) -> Self {
        let mut failures = Self::default();
        let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
        for repeat in repeats {
            let counts = repeat.requests.unwrap_or_default();
            failures.failed = failures.failed.saturating_add(counts.unsuccessful());
            failures.all = failures.all.saturating_add(counts.all());
            let samples = repeat.samples.as_ref();
            let statuses = samples.and_then(|samples| samples.status.as_deref());
            for status in statuses.unwrap_or_default().iter().flatten() {
                if status != OK {
                    *reasons.entry(status).or_default() += 1;
                }
            }
        }
        failures.most_frequent = reasons
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(reason, count)| (reason.to_owned(), count));
        failures
    }

    /// Share of failed requests; 0 without requests.
    pub fn share(&self) -> f64 {
        crate::stats::number(self.failed) / crate::stats::number(self.all.max(1))
    }

    /// `failed: HTTP 429: too many requests (36 times)`.
    pub fn reason(&self) -> String {
        self.most_frequent.as_ref().map_or_else(
            || "unknown".to_owned(),
            |(reason, count)| match count {
                1 => format!("{reason} (once)"),
                _ => format!("{reason} ({count} times)"),
            },
        )
    }

    /// `36 of 40 requests (90 %) failed; the most frequent reason: timed out (36 times)`; `None` if none failed.
    pub fn in_words(&self) -> Option<String> {
        (self.failed > 0).then(|| {
            format!(
                "{} of {} requests ({} %) failed; the most frequent reason: {}",
                self.failed,
                self.all,
                percent(self.share()),
                self.reason()
            )
        })
    }
}

/// Shows 0 and 100 only for exact values.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if (1.0..99.0).contains(&percent) || share >= 1.0 {
        format!("{percent:.0}")
    } else {
        format!("{percent:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::{RequestCounts, Samples};
    use super::*;

    fn repeat(completed: u64, statuses: &[&str]) -> Repeat {
        let status = statuses.iter().map(|status| Some((*status).to_owned()));
        Repeat {
            requests: Some(RequestCounts {
                completed,
                failed: statuses.len() as u64,
                truncated: 0,
            }),
            samples: Some(Samples {
                status: Some(status.collect()),
                ..Samples::default()
            }),
            ..Repeat::default()
        }
    }

    #[test]
    fn the_share_and_the_most_frequent_reason_are_of_all_repeats() {
        let repeats = [
            repeat(1, &["timed out", "failed: HTTP 429: slow down"]),
            repeat(0, &["timed out"]),
        ];
        let failures = Failures::of(&repeats);
        assert_eq!(
            failures.in_words().as_deref(),
            Some("3 of 4 requests (75 %) failed; the most frequent reason: timed out (2 times)")
        );
        assert_eq!(Failures::of(&[repeat(5, &[])]).in_words(), None);
        assert_eq!(Failures::of([]).in_words(), None);
    }

    #[test]
    fn a_small_share_is_not_rounded_to_none() {
        assert_eq!(
            [0.001, 0.5, 0.9999, 1.0].map(percent),
            ["0.10", "50", "99.99", "100"]
        );
    }
}
