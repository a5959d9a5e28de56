//! The integration tests: the real binary, as people run it.

mod launch;
