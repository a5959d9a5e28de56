//! What one more server start costs, by what earlier ones cost.

use std::fmt;

use serde::Serialize;

use crate::record::Run;
use crate::record::format::ResultFile;
use crate::report::price::{AVERAGED, Price};
use crate::stats::number;
use crate::text::count::count;
use crate::text::number::span;

/// The expected seconds of one more server start, and of one more repeat on it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct UnitPrice {
    /// Seconds in which a server starts; 0 if perfgate does not start it.
    startup: f64,
    /// Seconds of load of a repeat.
    load: f64,
    /// All other seconds of a repeat.
    waiting: f64,
    /// GPUs of the server.
    gpus: u32,
}

impl UnitPrice {
    /// The mean of several measurements; `None` if none of them has a price.
    pub(crate) fn of<'a>(measured: impl Iterator<Item = &'a ResultFile>) -> Option<Self> {
        let mut sum = Price::default();
        let mut repeats = 0.0;
        for file in measured {
            if let Some(price) = file.price {
                sum = sum.and(price);
                repeats += repeats_of(file, price);
            }
        }
        let mean = |seconds: f64, of: f64| if of > 0.0 { seconds / of } else { 0.0 };
        (repeats > 0.0).then(|| Self {
            startup: mean(sum.startup, f64::from(sum.starts)),
            load: mean(sum.load, repeats),
            waiting: mean(sum.waiting, repeats),
            gpus: sum.gpus,
        })
    }

    /// The mean of the last sessions of a ledger that have a price.
    pub(crate) fn of_ledger(ledger: &[Run]) -> Option<Self> {
        let priced = ledger.iter().rev().map(|run| &run.file);
        Self::of(priced.filter(|file| file.price.is_some()).take(AVERAGED))
    }

    /// The seconds of so many starts and repeats.
    pub(crate) fn seconds(self, starts: f64, repeats: f64) -> f64 {
        self.startup * starts + (self.load + self.waiting) * repeats
    }

    /// The price of so many starts and repeats.
    pub(crate) fn price(self, starts: u32, repeats: u32) -> Price {
        let of_repeats = |seconds: f64| seconds * f64::from(repeats);
        Price {
            starts,
            gpus: self.gpus,
            startup: self.startup * f64::from(starts),
            load: of_repeats(self.load),
            waiting: of_repeats(self.waiting),
        }
    }
}

/// `a server start takes 31 s and a repeat 62 s, on 2 GPUs`.
impl fmt::Display for UnitPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.startup > 0.0 {
            write!(f, "a server start takes {} and ", span(self.startup))?;
        }
        write!(f, "a repeat takes {}", span(self.load + self.waiting))?;
        if self.gpus > 0 {
            write!(f, ", on {}", count(self.gpus, "GPU"))?;
        }
        Ok(())
    }
}

/// The repeats behind a price. The price of a gate is that of both versions, and its result has the repeats of the candidate.
fn repeats_of(file: &ResultFile, price: Price) -> f64 {
    let repeats = file.scenarios.iter().map(|scenario| scenario.repeats.len());
    let repeats = number(repeats.max().unwrap_or(0) as u64);
    if price.starts == 0 {
        return repeats;
    }
    let shared = file.shared_starts().filter(|starts| *starts > 0);
    let per_start = shared.map_or(1.0, |starts| repeats / f64::from(starts));
    f64::from(price.starts) * per_start
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record;

    /// A session with so many repeats on a server start each, or all on one, and that price.
    fn session(repeats: usize, is_shared: bool, price: &str) -> Run {
        let repeat = |number: usize| {
            let start = if is_shared { 0 } else { number };
            format!(r#"{{"start":"s-{start}","metrics":{{"qps":1}}}}"#)
        };
        let repeats: Vec<String> = (0..repeats).map(repeat).collect();
        let json = format!(
            r#"{{"schema":"perfgate.result/1",{price}"scenarios":[{{"name":"c","repeats":[{}]}}]}}"#,
            repeats.join(",")
        );
        record::parse("a.json", json.as_bytes()).unwrap()
    }

    const PRICE: &str = r#""price":{"starts":6,"gpus":2,"startup":60,"load":120,"waiting":12},"#;

    #[test]
    fn a_gate_prices_starts_of_both_versions() {
        let unit = UnitPrice::of_ledger(&[session(3, false, PRICE)]).unwrap();
        assert_eq!(
            unit.price(2, 2),
            Price {
                starts: 2,
                gpus: 2,
                startup: 20.0,
                load: 40.0,
                waiting: 4.0
            }
        );
    }

    #[test]
    fn repeats_that_share_a_server_cost_only_their_load() {
        let shared = PRICE.replace("\"starts\":6", "\"starts\":1");
        let unit = UnitPrice::of_ledger(&[session(4, true, &shared)]).unwrap();
        assert!((unit.price(1, 4).seconds() - 192.0).abs() < 1e-9);
        assert!((unit.price(0, 4).seconds() - 132.0).abs() < 1e-9);
        let attached = PRICE.replace("\"starts\":6", "\"starts\":0");
        let unit = UnitPrice::of_ledger(&[session(4, true, &attached)]).unwrap();
        assert!((unit.price(0, 4).seconds() - 132.0).abs() < 1e-9);
    }

    #[test]
    fn sessions_without_a_price_do_not_count_and_old_ones_neither() {
        let mut ledger = vec![session(6, false, &PRICE.replace("60", "6000"))];
        ledger.extend(vec![session(6, false, PRICE); AVERAGED]);
        ledger.push(session(6, false, ""));
        let unit = UnitPrice::of_ledger(&ledger).unwrap();
        assert!((unit.price(1, 0).startup - 10.0).abs() < 1e-9);
        assert_eq!(UnitPrice::of_ledger(&ledger[11..]), None);
    }
}
