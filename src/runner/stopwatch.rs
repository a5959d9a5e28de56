//! Measures the price of one arm: each moment between the start of its server and its end belongs to one part.

use std::time::Instant;

use crate::report::price::Price;

/// A part of an arm's time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Startup,
    Load,
    Waiting,
}

/// A watch that stands while the arm has no server: in pairs the other arm measures then.
#[derive(Debug, Default)]
pub(super) struct Stopwatch {
    /// The end of the previous part; `None` while the watch stands.
    last: Option<Instant>,
    /// Without the GPUs.
    price: Price,
}

impl Stopwatch {
    /// Continues the price of an earlier run.
    pub(super) fn after(price: Option<Price>) -> Self {
        Self {
            last: None,
            price: price.unwrap_or_default(),
        }
    }

    /// Lets the watch run, from now on if it stands.
    pub(super) fn run(&mut self) {
        self.last.get_or_insert_with(Instant::now);
    }

    /// Counts a server start.
    pub(super) fn count_start(&mut self) {
        self.price.starts = self.price.starts.saturating_add(1);
    }

    /// The time since the end of the previous part was that part.
    pub(super) fn ends(&mut self, part: Part) {
        let Some(last) = &mut self.last else { return };
        let now = Instant::now();
        let seconds = now.duration_since(*last).as_secs_f64();
        *last = now;
        match part {
            Part::Startup => self.price.startup += seconds,
            Part::Load => self.price.load += seconds,
            Part::Waiting => self.price.waiting += seconds,
        }
    }

    /// Stops the watch after a last part.
    pub(super) fn stop(&mut self, part: Part) {
        self.ends(part);
        self.last = None;
    }

    /// The price up to the end of the previous part, in whole milliseconds, on a server with so many GPUs.
    pub(super) fn price(&self, gpus: usize) -> Price {
        let rounded = |seconds: f64| (seconds * 1e3).round() / 1e3;
        let Price {
            starts,
            gpus: earlier,
            startup,
            load,
            waiting,
        } = self.price;
        Price {
            starts,
            gpus: u32::try_from(gpus).map_or(earlier, |gpus| gpus.max(earlier)),
            startup: rounded(startup),
            load: rounded(load),
            waiting: rounded(waiting),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_standing_watch_counts_nothing_and_an_earlier_price_continues() {
        let earlier = Price {
            starts: 2,
            gpus: 1,
            startup: 5.0,
            load: 7.0,
            waiting: 0.0,
        };
        let mut watch = Stopwatch::after(Some(earlier));
        watch.ends(Part::Load);
        assert_eq!(watch.price(0), earlier);
        watch.run();
        watch.count_start();
        std::thread::sleep(Duration::from_millis(5));
        watch.run();
        watch.stop(Part::Startup);
        std::thread::sleep(Duration::from_millis(5));
        watch.ends(Part::Load);
        let price = watch.price(1);
        assert_eq!((price.starts, price.gpus), (3, 1));
        assert!(price.startup >= 5.005 && price.load.to_bits() == 7.0_f64.to_bits());
    }
}
