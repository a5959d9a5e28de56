//! An interval drawn in characters: `······[==+===|=]··¦··`.

use super::view::RowChart;

/// The range of a drawing, in limits: from the better side to beyond the indifference zone.
const REACH: (f64, f64) = (-1.5, 2.5);

/// The fewest characters of a drawing.
pub(super) const LEAST: usize = 13;

/// The most characters of a drawing.
pub(super) const MOST: usize = 41;

/// A drawing of that many characters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drawing {
    characters: usize,
}

impl Drawing {
    pub(super) fn new(characters: usize) -> Self {
        Self { characters }
    }

    /// The positions of zero and the limit in every drawing below.
    pub(super) fn header(self) -> String {
        let (zero, limit) = (self.place(0.0), self.place(1.0));
        format!("{}0{}limit", " ".repeat(zero), " ".repeat(limit - zero - 1))
    }

    /// Zero `|`, limit `¦`, estimate `+`, ends `[` `]`, `<` and `>` where they are outside. `None` without a limit.
    pub(super) fn of(self, chart: RowChart) -> Option<String> {
        let limit = chart.limit.filter(|limit| *limit > 0.0)?;
        let [low, value, high] = [chart.low, chart.value, chart.high].map(|ratio| ratio / limit);
        let mut drawing = vec!['·'; self.characters];
        let mut mark = |at: f64, character| {
            if let Some(spot) = drawing.get_mut(self.place(at)) {
                *spot = character;
            }
        };
        for step in self.place(low)..=self.place(high) {
            mark(self.at(step), '=');
        }
        mark(low, if low < REACH.0 { '<' } else { '[' });
        mark(high, if high > REACH.1 { '>' } else { ']' });
        mark(0.0, '|');
        mark(1.0, '¦');
        let estimate = if value > REACH.1 {
            '>'
        } else if value < REACH.0 {
            '<'
        } else {
            '+'
        };
        mark(value, estimate);
        Some(drawing.into_iter().collect())
    }

    /// The character position of a change, given in limits.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a position on a line of a few characters"
    )]
    fn place(self, limits: f64) -> usize {
        let share = ((limits - REACH.0) / (REACH.1 - REACH.0)).clamp(0.0, 1.0);
        (share * (self.characters - 1) as f64).round() as usize
    }

    /// The change at a character position.
    #[expect(clippy::cast_precision_loss, reason = "a handful of characters")]
    fn at(self, character: usize) -> f64 {
        let share = character as f64 / (self.characters - 1) as f64;
        REACH.0 + share * (REACH.1 - REACH.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(characters: usize, [low, value, high]: [f64; 3]) -> String {
        let chart = RowChart {
            value,
            low,
            high,
            limit: Some(0.05),
        };
        Drawing::new(characters).of(chart).unwrap()
    }

    #[test]
    fn an_interval_is_drawn_where_it_lies_against_zero_and_the_limit() {
        let lines = [
            Drawing::new(21).header(),
            drawn(21, [0.01, 0.03, 0.06]),
            drawn(21, [-0.02, -0.01, 0.01]),
            drawn(21, [0.07, 0.08, 0.09]),
            drawn(21, [0.2, 0.3, 0.4]),
            drawn(21, [-0.9, 0.0, 0.9]),
        ];
        insta::assert_snapshot!(lines.join("\n"), @"
        0    limit
········|[=+=¦]······
······[+|]···¦·······
········|····¦·+=]···
········|····¦······>
<=======+====¦======>
");
    }

    #[test]
    fn every_width_has_room_for_every_mark() {
        for characters in LEAST..=MOST {
            let header = Drawing::new(characters).header();
            assert!(header.chars().count() <= characters, "{header}");
            let line = drawn(characters, [-0.04, 0.02, 0.11]);
            assert_eq!(line.chars().count(), characters);
            for mark in ['[', '|', '+', '¦', ']'] {
                assert_eq!(line.matches(mark).count(), 1, "{line}");
            }
        }
    }
}
