//! What a side hands back of a load point.

use crate::record::format::{Environment, Repeat, Server};

/// The result of one load point.
pub(crate) struct Measured {
    pub(crate) repeat: Repeat,
    /// The server.
    pub(crate) server: Server,
    /// The machine, if the server runs on this machine.
    pub(crate) environment: Option<Environment>,
    /// Whether the load generator lacked CPU time without real-time priority: the repeat is void, and the next one probably
    /// too. With that priority this is `false`, even if the repeat is void for the same reason.
    pub(crate) is_spoiled: bool,
}
