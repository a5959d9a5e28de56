//! Our formulas against an independent implementation with `SciPy` (`tests/statistics/reference.py`).

use serde::Deserialize;

use super::estimate::paired;
use super::trigamma::{inverse_trigamma, trigamma};
use super::{Estimate, Noise, discovery_level, e_value, stored};

#[derive(Deserialize)]
struct Reference {
    discoveries: Vec<(Vec<f64>, Vec<bool>)>,
    e_values: Vec<(Vec<f64>, f64)>,
    upper_t: Vec<(f64, f64, f64)>,
    trigamma: Vec<(f64, f64)>,
    ledgers: Vec<Ledger>,
    estimates: Vec<Case>,
}

#[derive(Deserialize)]
struct Ledger {
    sessions: Vec<Vec<f64>>,
    noise: ExpectedNoise,
}

#[derive(Clone, Copy, Deserialize)]
struct ExpectedNoise {
    repeat: f64,
    degrees_of_freedom: f64,
    host: f64,
    sessions: u32,
}

#[derive(Deserialize)]
struct Case {
    noise: ExpectedNoise,
    baseline: Vec<f64>,
    candidate: Vec<f64>,
    pairs: Vec<(f64, f64)>,
    stored: Expected,
    paired: Expected,
}

#[derive(Deserialize)]
struct Expected {
    delta: f64,
    standard_error: f64,
    degrees_of_freedom: f64,
    noisier: bool,
    doubtful: bool,
    clipped: bool,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("../../tests/statistics/reference.json")).unwrap()
}

fn close(ours: f64, theirs: f64) -> bool {
    (ours - theirs).abs() <= 1e-7 * theirs.abs().max(1e-3)
}

#[test]
fn trigamma_agrees_and_is_inverted() {
    for (x, value) in reference().trigamma {
        assert!(close(trigamma(x), value), "{x}: {}", trigamma(x));
        assert!(
            close(inverse_trigamma(value), x),
            "{value}: {}",
            inverse_trigamma(value)
        );
    }
}

#[test]
fn noise_is_learnt_as_the_reference_learns_it() {
    for Ledger { sessions, noise } in reference().ledgers {
        let ours = Noise::learn(&sessions, 0.0).unwrap();
        assert!(
            close(ours.repeat, noise.repeat)
                && close(ours.degrees_of_freedom, noise.degrees_of_freedom)
                && close(ours.host, noise.host)
                && ours.sessions == noise.sessions,
            "{ours:?}"
        );
    }
}

#[test]
fn estimates_are_those_of_the_reference() {
    let cases = reference().estimates;
    assert!(
        cases.iter().any(|case| case.stored.clipped)
            && cases.iter().any(|case| case.paired.noisier)
    );
    for (index, case) in cases.iter().enumerate() {
        let ExpectedNoise {
            repeat,
            degrees_of_freedom,
            host,
            sessions,
        } = case.noise;
        let noise = Noise {
            repeat,
            degrees_of_freedom,
            host,
            sessions,
        };
        let against_stored = stored(&case.baseline, &case.candidate, &noise).unwrap();
        let in_pairs = paired(&case.pairs, &case.candidate, &noise).unwrap();
        for (ours, theirs) in [(against_stored, &case.stored), (in_pairs, &case.paired)] {
            assert!(
                close(ours.delta, theirs.delta)
                    && close(ours.standard_error, theirs.standard_error)
                    && close(ours.degrees_of_freedom, theirs.degrees_of_freedom)
                    && (ours.noisier, ours.doubtful, ours.clipped)
                        == (theirs.noisier, theirs.doubtful, theirs.clipped),
                "case {index}: {ours:?}"
            );
        }
    }
}

#[test]
fn warnings_are_the_discoveries_of_the_reference() {
    for (p_values, rejected) in reference().discoveries {
        let level = discovery_level(&p_values, 0.1);
        let ours: Vec<bool> = p_values.iter().map(|p| *p <= level).collect();
        // Without a discovery the level is that of the smallest p-value, which no p-value reaches.
        assert_eq!(ours, rejected, "{p_values:?}");
    }
}

#[test]
fn e_values_are_those_of_numerical_integration() {
    let cases = reference().e_values;
    assert!(cases.len() >= 3);
    for (differences, value) in cases {
        let ours = e_value(&differences, 0.005);
        assert!((ours - value).abs() <= 1e-6 * value, "{ours} {value}");
    }
}

#[test]
fn bounds_use_the_quantiles_of_the_reference() {
    for (probability, degrees_of_freedom, quantile) in reference().upper_t {
        let estimate = Estimate {
            degrees_of_freedom,
            standard_error: 1.0,
            ..stored(&[0.0], &[0.0], &Noise::ASSUMED).unwrap()
        };
        let bound = estimate.upper_bound(1.0 - probability);
        assert!(
            (bound - quantile).abs() < 1e-6 * quantile,
            "{probability} {degrees_of_freedom}: {bound}"
        );
        assert!((estimate.lower_bound(1.0 - probability) + quantile).abs() < 1e-6 * quantile);
        assert!((estimate.p_above(-quantile) - (1.0 - probability)).abs() < 1e-6);
    }
}
