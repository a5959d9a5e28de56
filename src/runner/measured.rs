//! What a side hands back of a load point.

use crate::record::format::{Environment, Repeat, Server};

/// What came of one load point.
pub(crate) struct Measured {
    pub(crate) repeat: Repeat,
    /// Which server it was.
    pub(crate) server: Server,
    /// The machine, where the server runs on this one.
    pub(crate) environment: Option<Environment>,
    /// Whether the load generator, without real-time priority, was kept from its work: the repeat is void, and the next one
    /// will be too. With that priority a repeat may be void for the same reason, but this is `false`.
    pub(crate) is_spoiled: bool,
}
