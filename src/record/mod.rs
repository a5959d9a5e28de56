//! The result file: types, versions, reading and writing.

pub mod format;
