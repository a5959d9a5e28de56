//! Text: numbers and counts as people read them, and text from outside made harmless before it is shown. Pure.

pub mod count;
pub mod guard;
pub mod hidden;
pub mod number;
pub mod sanitize;
pub mod screen;
