//! The integration tests: the real binary, as people run it.

// `cfg(test)` tells clippy that helpers are tests too.
#[cfg(test)]
mod launch;
