//! Repeats that share a server are measurements on one start: they are averaged or compared as such
//! (`docs/concepts/mathematics.md`, "Repeats that share a server").

use super::noise::Noise;
use super::number;

/// Assumed deviation between starts where each side is one start and there is no ledger.
const START: f64 = 0.02;

/// Repeats of one run or session: each value with the number of its server start.
pub(super) type Repeats = [(f64, u32)];

/// Whether the noise of that kind is learnt from a session.
pub fn is_of_kind(session: &Repeats, kind: Replicate) -> bool {
    let starts = by_start(session).len();
    match kind {
        Replicate::Start => starts >= 2,
        Replicate::Measurement => starts == 1 && session.len() >= 2,
    }
}

/// The noise between starts, by the sessions with several starts; `None` for too few of them.
pub fn noise_of_starts(ledger: &[Vec<(f64, u32)>], step: f64) -> Option<Noise> {
    let several = ledger
        .iter()
        .filter(|session| is_of_kind(session, Replicate::Start));
    let several: Vec<Vec<f64>> = several.map(|session| means(session)).collect();
    Noise::learn(&several, step)
}

/// The noise between measurements on one server, by the sessions with one start; its τ contains the noise of starts.
fn noise_of_measurements(ledger: &[Vec<(f64, u32)>], step: f64) -> Option<Noise> {
    let sessions = ledger
        .iter()
        .filter(|session| is_of_kind(session, Replicate::Measurement));
    let sessions: Vec<Vec<f64>> = sessions.map(|session| values(session)).collect();
    Noise::learn(&sessions, step)
}

/// What the noise was learnt from and what counts as one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replicate {
    /// A server start.
    Start,
    /// A measurement on a server that others share.
    Measurement,
}

/// The values to compare against a stored baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Replicates {
    /// Of the stored baseline.
    pub stored: Vec<f64>,
    /// Of the candidate.
    pub candidate: Vec<f64>,
    /// The noise of one of them.
    pub noise: Noise,
    /// Variance that sharing a start adds to the estimate.
    pub start_variance: f64,
    /// What the values are.
    pub kind: Replicate,
}

/// The mean of the measurements of each start, in order of appearance.
pub fn by_start(repeats: &Repeats) -> Vec<(u32, f64)> {
    let mut starts: Vec<(u32, Vec<f64>)> = Vec::new();
    for (value, start) in repeats {
        match starts.iter_mut().find(|(number, _)| number == start) {
            Some((_, values)) => values.push(*value),
            None => starts.push((*start, vec![*value])),
        }
    }
    starts
        .into_iter()
        .map(|(start, values)| {
            (
                start,
                values.iter().sum::<f64>() / number(values.len() as u64),
            )
        })
        .collect()
}

fn means(repeats: &Repeats) -> Vec<f64> {
    by_start(repeats)
        .into_iter()
        .map(|(_, mean)| mean)
        .collect()
}

fn values(repeats: &Repeats) -> Vec<f64> {
    repeats.iter().map(|(value, _)| *value).collect()
}

/// The replicates of a comparison with a stored baseline.
///
/// A session of several starts gives the noise between starts; one of a single start the noise between its measurements, and its τ
/// then contains the start. Several starts today are compared as starts. One start a side is compared as measurements if the
/// ledger has such sessions, else as single starts by a ledger of starts, else with 2 % between starts assumed.
pub fn replicates(
    stored: &Repeats,
    candidate: &Repeats,
    ledger: &[Vec<(f64, u32)>],
    step: f64,
    assumed: Noise,
) -> Replicates {
    let (base_starts, candidate_starts) = (means(stored), means(candidate));
    let of_starts = noise_of_starts(ledger, step);
    let of_measurements = noise_of_measurements(ledger, step);
    let several = base_starts.len().max(candidate_starts.len()) >= 2
        && base_starts.len() + candidate_starts.len() >= 3;
    if several || (of_starts.is_some() && of_measurements.is_none()) {
        return Replicates {
            stored: base_starts,
            candidate: candidate_starts,
            noise: of_starts.unwrap_or(assumed),
            start_variance: 0.0,
            kind: Replicate::Start,
        };
    }
    let shares = [&base_starts, &candidate_starts].map(|starts| 1.0 / number(starts.len() as u64));
    Replicates {
        stored: values(stored),
        candidate: values(candidate),
        noise: of_measurements.unwrap_or(assumed),
        start_variance: if of_measurements.is_some() {
            0.0
        } else {
            START.powi(2) * (shares[0] + shares[1])
        },
        kind: Replicate::Measurement,
    }
}

/// Pairs that share a start with one another are one pair (the mean of their starts). Returns the pairs, and the candidate's starts
/// beside them.
pub fn merge_pairs(
    base: &Repeats,
    halves: &Repeats,
    beside: &Repeats,
) -> (Vec<(f64, f64)>, Vec<f64>) {
    let of_base = by_start(base);
    let of_candidate = by_start(&[halves, beside].concat());
    let mut groups: Vec<(Vec<u32>, Vec<u32>)> = Vec::new();
    for ((_, one), (_, other)) in base.iter().zip(halves) {
        let (joined, apart): (Vec<_>, Vec<_>) = groups
            .into_iter()
            .partition(|(bases, candidates)| bases.contains(one) || candidates.contains(other));
        let mut merged = (Vec::new(), Vec::new());
        for (bases, candidates) in joined.into_iter().chain([(vec![*one], vec![*other])]) {
            merged.0.extend(bases);
            merged.1.extend(candidates);
        }
        groups = apart;
        groups.push(merged);
    }
    let mean_of = |starts: &[(u32, f64)], group: &[u32]| {
        let of_group: Vec<f64> = starts
            .iter()
            .filter(|(start, _)| group.contains(start))
            .map(|(_, mean)| *mean)
            .collect();
        of_group.iter().sum::<f64>() / number(of_group.len() as u64)
    };
    let pairs = groups
        .iter()
        .map(|(bases, candidates)| (mean_of(&of_base, bases), mean_of(&of_candidate, candidates)))
        .collect();
    let beside = of_candidate
        .iter()
        .filter(|(start, _)| !halves.iter().any(|(_, paired)| paired == start))
        .map(|(_, mean)| *mean)
        .collect();
    (pairs, beside)
}
