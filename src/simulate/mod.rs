//! The embedded vLLM-compatible server without a GPU.
//!
//! [`engine`] is the batching model (pure), `schedule` runs it in real time, `http` answers as vLLM does, `stream` frames
//! the chunks, `metrics` counts for `/metrics`.

pub mod engine;
mod http;
mod metrics;
mod options;
mod request;
mod schedule;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::serve::ListenerExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

pub use metrics::Lateness;
pub use options::{Costs, Options};

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The port is taken or not allowed.
    #[error("cannot listen on 127.0.0.1:{port}: {source}")]
    Listen {
        /// The requested port.
        port: u16,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The engine's thread could not be started.
    #[error("cannot start the engine's thread: {0}")]
    Thread(#[source] std::io::Error),
    /// The HTTP side ended.
    #[error("the HTTP server ended: {0}")]
    Serve(#[source] std::io::Error),
}

/// How the server ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Served {
    /// Whether it ended because of `--die-after`, not because it was stopped.
    pub died: bool,
    /// Lateness of tokens against the engine's schedule.
    pub lateness: Lateness,
}

/// A listening server.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    options: Options,
}

impl Server {
    /// Listens on the loopback address; port 0 selects a free one.
    pub async fn bind(port: u16, options: Options) -> Result<Self, SimulateError> {
        let listen = |source| SimulateError::Listen { port, source };
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        Ok(Self {
            listener,
            address,
            options,
        })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves until `stop` is cancelled; open streams are then aborted, as when a real server is killed.
    pub async fn serve(self, stop: CancellationToken) -> Result<Served, SimulateError> {
        let options = Arc::new(self.options);
        let metrics = Arc::new(metrics::Metrics::new(&options));
        let died = CancellationToken::new();
        let engine =
            schedule::start(&options, Arc::clone(&metrics)).map_err(SimulateError::Thread)?;
        let router = http::router(http::State::new(
            options,
            Arc::clone(&metrics),
            engine,
            died.clone(),
        ));
        let listener = self.listener.tap_io(send_at_once);
        tokio::select! {
            served = axum::serve(listener, router) => served.map_err(SimulateError::Serve)?,
            () = stop.cancelled() => {}
            () = died.cancelled() => {}
        }
        Ok(Served {
            died: died.is_cancelled(),
            lateness: metrics.lateness(),
        })
    }
}

/// A token is a small write: with Nagle's algorithm it would wait 40 ms for the client's acknowledgement. asyncio, which
/// vLLM's server uses, disables it too.
fn send_at_once(stream: &mut TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::warn!("tokens may be late: cannot set TCP_NODELAY: {error}");
    }
}
