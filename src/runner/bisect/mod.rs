//! The search for the commit that made serving slower: builds, measures and compares commits one by one.

pub(crate) mod bisect_run;
pub(crate) mod building;
pub(crate) mod ends;
pub(crate) mod finishing;
pub(crate) mod judging;
pub(crate) mod noise;
pub(crate) mod question;
pub(crate) mod session;
