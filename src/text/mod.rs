//! Text from outside made harmless before it is shown. Pure.

pub mod guard;
pub mod hidden;
pub mod sanitize;
