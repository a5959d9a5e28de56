//! Whether the evidence of the next interim look fits into the budget of a gate.

use super::unit_price::UnitPrice;
use crate::report::price::{Budget, BudgetEnd, Price};

/// Measurements that a gate has not made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Server starts.
    pub(crate) starts: u32,
    /// Repeats on them.
    pub(crate) repeats: u32,
}

/// The evidence that an undecided gate lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MissingEvidence {
    /// For the next interim look.
    pub(crate) next: Missing,
    /// For a decision if the estimate stays the same; `None` if that is unknown.
    pub(crate) expected: Option<Missing>,
    /// For the last interim look.
    pub(crate) most: Missing,
}

/// The budget of one run of a gate, and what the run has cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BudgetMeter {
    /// The budget.
    pub(crate) budget: Budget,
    /// What the run cost so far.
    pub(crate) spent: Price,
    /// The price of one more start by the evidence so far, before any evidence by the ledger; `None` if neither has a price.
    pub(crate) unit: Option<UnitPrice>,
}

impl BudgetMeter {
    /// The end of the budget, if the next interim look costs more than what is left of it. Without any price the first
    /// measurement tells what one costs.
    pub(crate) fn ends_before(&self, missing: &MissingEvidence) -> Option<BudgetEnd> {
        let price = |missing: Missing| {
            let unit = self.unit?;
            Some(unit.price(missing.starts, missing.repeats))
        };
        let next = price(missing.next)?;
        let ends = self.budget.is_exceeded_by(self.spent.and(next));
        ends.then_some(BudgetEnd {
            budget: self.budget,
            spent: self.spent,
            next,
            expected: missing.expected.and_then(price),
            most: price(missing.most)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record;

    fn meter(budget: f64, spent: f64) -> BudgetMeter {
        let json = br#"{"schema":"perfgate.result/1","price":{"starts":1,"gpus":0,"startup":6,"load":4,"waiting":0},
            "scenarios":[{"name":"c","repeats":[{"metrics":{"qps":1}}]}]}"#;
        let run = record::parse("a.json", json).unwrap();
        BudgetMeter {
            budget: Budget::Seconds(budget),
            spent: Price {
                load: spent,
                ..Price::default()
            },
            unit: UnitPrice::of_ledger(&[run]),
        }
    }

    const PAIR: MissingEvidence = MissingEvidence {
        next: Missing {
            starts: 2,
            repeats: 2,
        },
        expected: None,
        most: Missing {
            starts: 22,
            repeats: 22,
        },
    };

    #[test]
    fn the_next_look_is_measured_only_if_it_fits() {
        assert_eq!(meter(50.0, 30.0).ends_before(&PAIR), None);
        let end = meter(49.0, 30.0).ends_before(&PAIR).unwrap();
        assert!((end.next.seconds() - 20.0).abs() < 1e-9);
        assert!((end.most.seconds() - 220.0).abs() < 1e-9);
        assert_eq!(end.expected, None);
    }

    #[test]
    fn without_a_price_the_first_measurement_tells_it() {
        let unknown = BudgetMeter {
            unit: None,
            ..meter(1.0, 0.0)
        };
        assert_eq!(unknown.ends_before(&PAIR), None);
    }
}
