//! The number of queries needed to claim a percentile, given how many are over the limit.

use statrs::distribution::{Binomial, DiscreteCDF as _};

use crate::stats::number;

/// Confidence of a claim about a percentile.
pub const CONFIDENCE: f64 = 0.99;

/// More queries than any run has.
const MOST_QUERIES: u64 = 1 << 32;

/// The smallest number of queries of which `over` may be over the limit so that the `percentile` (0.99) can be claimed to be
/// inside it: the smallest n with P(Binomial(n, 1 − percentile) ≤ `over`) ≤ 1 %, the early-stopping criterion
/// of the MLPerf LoadGen without its tolerance.
pub fn queries_needed(percentile: f64, over: u64) -> u64 {
    let rate = 1.0 - percentile;
    let is_enough = |queries: u64| {
        Binomial::new(rate, queries).is_ok_and(|binomial| binomial.cdf(over) <= 1.0 - CONFIDENCE)
    };
    // The probability falls with n: find an upper end by doubling, then bisect.
    let mut high = over.saturating_add(1);
    while !is_enough(high) {
        if high >= MOST_QUERIES {
            return u64::MAX;
        }
        high *= 2;
    }
    let mut low = over;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if is_enough(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

/// The most of `queries` queries that may be over the limit; `None` if there are too few queries even with none over it.
pub fn over_latency_allowed(percentile: f64, queries: u64) -> Option<u64> {
    if queries_needed(percentile, 0) > queries {
        return None;
    }
    // An upper bound is the share itself; the claim needs a margin below it.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count"
    )]
    let mut high = ((1.0 - percentile) * number(queries)).ceil() as u64 + 1;
    let mut low = 0;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if queries_needed(percentile, middle) <= queries {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(low)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_criterion() {
        let overs = [0, 1, 2, 5, 10, 50];
        let needed = |percentile: f64| overs.map(|over| queries_needed(percentile, over));
        assert_eq!(needed(0.99), [459, 662, 838, 1307, 2010, 6898]);
        assert_eq!(needed(0.90), [44, 64, 81, 127, 197, 681]);
    }

    #[test]
    fn the_queries_allowed_over_the_limit_are_the_inverse_of_the_queries_needed() {
        assert_eq!(over_latency_allowed(0.99, 458), None);
        let allowed = [459, 661, 662, 2010, 6897].map(|count| over_latency_allowed(0.99, count));
        assert_eq!(allowed, [0, 0, 1, 10, 49].map(Some));
    }

    proptest! {
        #[test]
        fn more_over_the_limit_needs_more_queries_and_never_exceeds_the_share(
            percentile in 0.5_f64..0.999, over in 0_u64..200
        ) {
            let needed = queries_needed(percentile, over);
            prop_assert!(needed < queries_needed(percentile, over + 1));
            prop_assert!(number(over) / number(needed) <= 1.0 - percentile);
            prop_assert_eq!(over_latency_allowed(percentile, needed), Some(over));
            prop_assert!(over == 0 || over_latency_allowed(percentile, needed - 1) == Some(over - 1));
        }
    }
}
