//! What is known of a terminal for which text is laid out.

/// Columns of a terminal that does not say how many it has; wider lines would be broken by somebody else.
pub(crate) const USUAL: usize = 80;

/// Fewer are no terminal; a word would be broken into letters.
const FEWEST: usize = 20;

/// What a renderer for terminals needs to know of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Whether to colour.
    pub color: bool,
    /// How many columns it has.
    columns: usize,
}

impl Screen {
    /// Where there is no terminal: a file, a log, a pipe.
    pub const NONE: Self = Self {
        color: false,
        columns: USUAL,
    };

    /// The same with colour or without.
    #[must_use]
    pub fn coloured(self, color: bool) -> Self {
        Self { color, ..self }
    }

    /// The same with so many columns.
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
