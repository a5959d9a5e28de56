//! Why a metric cannot be judged in a scenario.

use std::fmt;

/// Why a side has no usable value, or why the values of two sides are not comparable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A value of zero has no relative change; a budget can judge it.
    Zero,
    /// Any other reason, in a sentence.
    Because(String),
}

/// The reason with its side: `not measured by the baseline (repeat 1)`.
pub(crate) fn of_side(reason: &str, side: &str) -> String {
    match reason.strip_prefix("not measured") {
        Some(rest) => format!("not measured by the {side}{rest}"),
        None => format!("{side}: {reason}"),
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zero => {
                "a value of zero has no relative change; give the rule a `max` or `min` instead"
            }
            Self::Because(reason) => reason,
        })
    }
}

impl Missing {
    pub(super) fn because(reason: impl Into<String>) -> Self {
        Self::Because(reason.into())
    }
}
