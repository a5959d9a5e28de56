//! The price of a measurement: server starts, time, and GPUs; and the most that it may cost.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::count::count;
use crate::text::number::{hours, span};

/// Seconds of one hour.
const SECONDS_PER_HOUR: f64 = 3600.0;

/// Number of last sessions whose prices form an average.
pub const AVERAGED: usize = 10;

/// What measuring costs. Times in seconds; together they are the wall-clock time of the measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Price {
    /// Server starts, failed ones included; 0 for a server that perfgate does not start.
    pub starts: u32,
    /// GPUs that the server could use; 0 without a GPU, or if they are unknown.
    pub gpus: u32,
    /// Time in which servers started.
    pub startup: f64,
    /// Time of load, warm-ups included.
    pub load: f64,
    /// All other time: waiting for free GPUs, stopping servers, saving results.
    pub waiting: f64,
}

impl Price {
    /// All its time, in seconds.
    pub fn seconds(&self) -> f64 {
        self.startup + self.load + self.waiting
    }

    /// Its time multiplied by its GPUs, in hours; `None` without a GPU.
    pub fn gpu_hours(&self) -> Option<f64> {
        (self.gpus > 0).then(|| f64::from(self.gpus) * self.seconds() / SECONDS_PER_HOUR)
    }

    /// Both together. The sides of a gate use the same GPUs; a side without a measurement does not know them.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            starts: self.starts.saturating_add(other.starts),
            gpus: self.gpus.max(other.gpus),
            startup: self.startup + other.startup,
            load: self.load + other.load,
            waiting: self.waiting + other.waiting,
        }
    }

    /// Both together, as far as they are known.
    pub fn both(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        [one, other].into_iter().flatten().reduce(Self::and)
    }

    /// What was added to an earlier price of the same evidence.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        let later = |now: f64, then: f64| (now - then).max(0.0);
        Self {
            starts: self.starts.saturating_sub(earlier.starts),
            gpus: self.gpus,
            startup: later(self.startup, earlier.startup),
            load: later(self.load, earlier.load),
            waiting: later(self.waiting, earlier.waiting),
        }
    }
}

/// `7 starts, 0.21 GPU-hours`; without a GPU `7 starts, 12.6 min of server time`.
impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.starts > 0 {
            write!(f, "{}, ", count(self.starts, "start"))?;
        }
        match self.gpu_hours() {
            Some(gpu_hours) => write!(f, "{} GPU-hours", hours(gpu_hours)),
            None => write!(f, "{} of server time", span(self.seconds())),
        }
    }
}

/// The mean price of several measurements.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AveragePrice {
    /// Number of sessions, at least 1.
    pub sessions: u32,
    /// Server starts.
    pub starts: f64,
    /// Time in seconds.
    pub seconds: f64,
    /// GPU-hours; absent if a session has no GPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_hours: Option<f64>,
}

impl AveragePrice {
    /// The mean of the last [`AVERAGED`] prices; `None` without a price.
    pub fn of(prices: &[Price]) -> Option<Self> {
        Self::of_all(&prices[prices.len().saturating_sub(AVERAGED)..])
    }

    /// The mean of all these prices; `None` without a price.
    pub fn of_all(prices: &[Price]) -> Option<Self> {
        let sessions = u32::try_from(prices.len()).ok();
        let sessions = sessions.filter(|count| *count > 0)?;
        let mean = |sum: f64| sum / f64::from(sessions);
        let gpu_hours: Option<f64> = prices.iter().map(Price::gpu_hours).sum();
        Some(Self {
            sessions,
            starts: mean(prices.iter().map(|price| f64::from(price.starts)).sum()),
            seconds: mean(prices.iter().map(Price::seconds).sum()),
            gpu_hours: gpu_hours.map(mean),
        })
    }
}

impl AveragePrice {
    /// `0.24 GPU-hours`; without a GPU `12.6 min`.
    pub fn cost(&self) -> String {
        self.gpu_hours.map_or_else(
            || span(self.seconds),
            |gpu_hours| format!("{} GPU-hours", hours(gpu_hours)),
        )
    }
}

/// `the last 10 gates cost 0.24 on average`, in GPU-hours as the price before it; without a GPU `… cost 12.6 min on average`.
impl fmt::Display for AveragePrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cost = self.gpu_hours.map_or_else(|| span(self.seconds), hours);
        match self.sessions {
            1 => write!(f, "the last gate cost {cost}"),
            sessions => write!(f, "the last {sessions} gates cost {cost} on average"),
        }
    }
}

/// The price of a verdict, beside that of earlier gates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VerdictPrice {
    /// What all its evidence cost, that of earlier runs of the commit included.
    pub evidence: Price,
    /// The mean price of the last accepted sessions; absent if none has a price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<AveragePrice>,
}

/// `7 starts, 0.21 GPU-hours; the last 10 gates cost 0.24 on average`.
impl fmt::Display for VerdictPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.average {
            Some(average) => write!(f, "{}; {average}", self.evidence),
            None => write!(f, "{}", self.evidence),
        }
    }
}

/// The most that one run of a gate may cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// GPU-hours. On a machine without a GPU an hour of server time counts as one.
    GpuHours(f64),
    /// Server time in seconds, whatever the number of GPUs.
    Seconds(f64),
}

impl Budget {
    /// Whether that price exceeds it.
    pub fn is_exceeded_by(self, price: Price) -> bool {
        match self {
            Self::GpuHours(most) => {
                f64::from(price.gpus.max(1)) * price.seconds() > most * SECONDS_PER_HOUR
            }
            Self::Seconds(most) => price.seconds() > most,
        }
    }
}

/// `0.50 GPU-hours`, `20.0 min of server time`.
impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GpuHours(most) => write!(f, "{} GPU-hours", hours(*most)),
            Self::Seconds(most) => write!(f, "{} of server time", span(*most)),
        }
    }
}

/// A budget that ended before the evidence decided. The prices of what is missing are estimates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetEnd {
    /// The budget of this run.
    pub budget: Budget,
    /// What this run cost; evidence of earlier runs of the commit is not in it.
    pub spent: Price,
    /// The evidence that the next interim look needs.
    pub next: Price,
    /// The evidence that decides if the estimate stays the same; absent if that is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Price>,
    /// All evidence up to the last interim look.
    pub most: Price,
}

/// What was spent, and what the missing evidence would cost.
impl fmt::Display for BudgetEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            budget,
            spent,
            next,
            expected,
            most,
        } = self;
        if spent.seconds() > 0.0 {
            write!(f, "the budget of {budget} ended: this run cost {spent}")?;
        } else {
            write!(f, "the budget of {budget} is too small")?;
        }
        write!(f, "; missing are about {next} for the next interim look")?;
        if let Some(expected) = expected {
            write!(
                f,
                "; {expected} for a decision if the estimate stays the same"
            )?;
        }
        write!(f, "; at most {most} for the last interim look")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(starts: u32, gpus: u32, load: f64) -> Price {
        Price {
            starts,
            gpus,
            startup: 30.0,
            load,
            waiting: 6.0,
        }
    }

    #[test]
    fn a_price_in_words_has_gpu_hours_or_time() {
        let words = |starts, gpus, load| price(starts, gpus, load).to_string();
        assert_eq!(words(7, 1, 720.0), "7 starts, 0.21 GPU-hours");
        assert_eq!(words(1, 2, 720.0), "1 start, 0.42 GPU-hours");
        assert_eq!(words(7, 0, 720.0), "7 starts, 12.6 min of server time");
        assert_eq!(words(0, 0, 6.0), "42 s of server time");
        assert_eq!(words(0, 8, 36_000.0), "80.1 GPU-hours");
    }

    #[test]
    fn prices_add_up() {
        let both = price(2, 1, 10.0).and(price(1, 0, 20.0));
        assert_eq!((both.starts, both.gpus), (3, 1));
        assert!((both.seconds() - 102.0).abs() < 1e-9);
        assert!((both.gpu_hours().unwrap() - 102.0 / 3600.0).abs() < 1e-9);
    }

    #[test]
    fn a_price_since_an_earlier_one_is_what_was_added() {
        let (earlier, added) = (price(2, 1, 10.0), price(1, 1, 20.0));
        assert_eq!(earlier.and(added).since(earlier), added);
        assert_eq!(earlier.since(earlier.and(added)).starts, 0);
    }

    #[test]
    fn a_budget_in_gpu_hours_counts_gpus_and_one_machine_without_any() {
        let half = Budget::GpuHours(0.5);
        assert!(!half.is_exceeded_by(price(1, 1, 1763.0)));
        assert!(half.is_exceeded_by(price(1, 2, 1763.0)));
        assert!(half.is_exceeded_by(price(1, 0, 1765.0)));
        let time = Budget::Seconds(1800.0);
        assert!(!time.is_exceeded_by(price(1, 2, 1763.0)));
        assert!(time.is_exceeded_by(price(1, 0, 1765.0)));
        assert_eq!(
            (half.to_string(), time.to_string()),
            (
                "0.50 GPU-hours".to_owned(),
                "30.0 min of server time".to_owned()
            )
        );
    }

    #[test]
    fn the_end_of_a_budget_names_what_was_spent_and_what_is_missing() {
        let mut end = BudgetEnd {
            budget: Budget::GpuHours(0.5),
            spent: price(5, 1, 1600.0),
            next: price(2, 1, 600.0),
            expected: Some(price(6, 1, 1900.0)),
            most: price(20, 1, 6400.0),
        };
        insta::assert_snapshot!(end, @"the budget of 0.50 GPU-hours ended: this run cost 5 starts, 0.45 GPU-hours; missing are about 2 starts, 0.18 GPU-hours for the next interim look; 6 starts, 0.54 GPU-hours for a decision if the estimate stays the same; at most 20 starts, 1.79 GPU-hours for the last interim look");
        end.spent = Price::default();
        end.expected = None;
        insta::assert_snapshot!(end, @"the budget of 0.50 GPU-hours is too small; missing are about 2 starts, 0.18 GPU-hours for the next interim look; at most 20 starts, 1.79 GPU-hours for the last interim look");
    }

    #[test]
    fn the_average_is_of_the_last_ten() {
        let mut prices = vec![price(100, 1, 1e6); 3];
        prices.extend([price(4, 1, 828.0); 10]);
        let average = AveragePrice::of(&prices).unwrap();
        assert!((average.starts - 4.0).abs() < 1e-9);
        assert_eq!(
            average.to_string(),
            "the last 10 gates cost 0.24 on average"
        );
        assert_eq!(AveragePrice::of(&[]), None);
        let mixed = AveragePrice::of(&[price(1, 0, 84.0), price(2, 1, 84.0)]).unwrap();
        assert_eq!(mixed.gpu_hours, None);
        assert_eq!(
            mixed.to_string(),
            "the last 2 gates cost 2.0 min on average"
        );
        let one = AveragePrice::of(&prices[..1]).unwrap();
        assert_eq!(one.to_string(), "the last gate cost 278");
    }
}
