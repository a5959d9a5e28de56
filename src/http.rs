//! The HTTP client that asks a server about itself: ready, models, metrics. Requests under measurement have their own.

use std::time::Duration;

/// A healthy server answers these questions in milliseconds; a busy one may need a moment.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A client without a proxy (the server under test is on this machine or named on purpose) and with a short time-out.
pub fn client() -> Result<reqwest::Client, reqwest::Error> {
    install_tls_provider();
    reqwest::Client::builder()
        .no_proxy()
        // The client of buckets brings HTTP/2 along; a server under test is asked as ever.
        .http1_only()
        .timeout(TIMEOUT)
        .build()
}

/// Names the implementation of TLS, once per process. Without it building any client would panic.
pub fn install_tls_provider() {
    // An error only says that one is installed already.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// The cause at the bottom: what is above it only repeats the address.
pub fn in_words(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
