//! The false-discovery rate of many warnings (Benjamini and Hochberg 1995).

use super::number;

/// The level for each of these p-values at which the expected share of false discoveries is at most `rate`. Without a discovery
/// it is the level of the smallest p-value.
pub fn discovery_level(p_values: &[f64], rate: f64) -> f64 {
    let mut sorted = p_values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let all = number(sorted.len().max(1) as u64);
    let level = |rank: usize| rate * number(rank as u64) / all;
    let found = (1..=sorted.len())
        .rev()
        .find(|rank| sorted[rank - 1] <= level(*rank));
    level(found.unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_test_has_the_whole_rate() {
        assert!((discovery_level(&[0.05], 0.1) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn small_p_values_help_each_other() {
        // Ranks 1 to 3 against 0.025, 0.05, 0.075: the third holds, so all three are discoveries.
        assert!((discovery_level(&[0.03, 0.9, 0.04, 0.06], 0.1) - 0.075).abs() < 1e-12);
        assert!((discovery_level(&[0.5, 0.9], 0.1) - 0.05).abs() < 1e-12);
        assert!(discovery_level(&[], 0.1) > 0.0);
    }
}
