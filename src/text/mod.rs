//! Text: numbers and counts for people, and sanitizing of foreign text before it is shown. Pure.

pub mod count;
pub mod guard;
pub mod hidden;
pub mod name;
pub mod number;
pub mod sanitize;
pub mod screen;
