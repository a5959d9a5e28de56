//! Our functions against `SciPy` (`tests/statistics/reference.py`).

use serde::Deserialize;

use super::decision::{ErrorLevels, IndifferenceZone};
use super::trigamma::{inverse_trigamma, trigamma};
use super::{Test, discovery_level, e_value};

#[derive(Deserialize)]
struct Reference {
    discoveries: Vec<(Vec<f64>, Vec<bool>)>,
    e_values: Vec<(Vec<f64>, f64)>,
    upper_t: Vec<(f64, f64, f64)>,
    trigamma: Vec<(f64, f64)>,
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
        let test = Test {
            zone: IndifferenceZone::of_growth(0.05),
            levels: ErrorLevels {
                alpha: 1.0 - probability,
                beta: 1.0 - probability,
            },
            is_clear_only: false,
            degrees_of_freedom,
            step: 0.0,
        };
        let estimate = test.of(0.0, 0.0, 1.0);
        assert!(
            (estimate.upper - quantile).abs() < 1e-6 * quantile,
            "{probability} {degrees_of_freedom}: {}",
            estimate.upper
        );
        assert!((estimate.lower + quantile).abs() < 1e-6 * quantile);
        assert!((estimate.p_above(-quantile) - (1.0 - probability)).abs() < 1e-6);
    }
}
