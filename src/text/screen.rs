//! The properties of a terminal for the layout of text.

/// Columns of a terminal of unknown width; wider lines might be wrapped by the terminal.
pub(crate) const USUAL: usize = 80;

/// The fewest columns; with fewer, words would be broken into letters.
const FEWEST: usize = 20;

/// The properties of a terminal for renderers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Whether to colour.
    pub color: bool,
    /// How many columns it has.
    columns: usize,
}

impl Screen {
    /// For output without a terminal: a file, a log, a pipe.
    pub const NONE: Self = Self {
        color: false,
        columns: USUAL,
    };

    /// The same with colour or without.
    #[must_use]
    pub fn coloured(self, color: bool) -> Self {
        Self { color, ..self }
    }

    /// The same with that many columns.
    #[must_use]
    pub fn wide(self, columns: usize) -> Self {
        Self {
            columns: columns.max(FEWEST),
            ..self
        }
    }

    /// How many columns it has.
    pub(crate) fn columns(self) -> usize {
        self.columns
    }
}
