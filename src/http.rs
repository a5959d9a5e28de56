//! The HTTP client for questions to a server: ready, models, metrics. The load generator has its own client.

use std::time::Duration;

/// A healthy server answers these questions in milliseconds; a busy one may need longer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// For an added slash and a changed scheme.
const MOST_REDIRECTS: usize = 3;

/// A client without a proxy (the server under test is on this machine, or its address is configured) and with a short timeout.
pub fn client(base_url: &str) -> Result<reqwest::Client, reqwest::Error> {
    builder(base_url)
        .no_proxy()
        // Another dependency enables HTTP/2; requests to a server under test stay with HTTP/1.1.
        .http1_only()
        .timeout(TIMEOUT)
        // Redirects to other hosts are refused; but vLLM's own /metrics may redirect to /metrics/.
        .redirect(reqwest::redirect::Policy::custom(|attempt| {
            let first = attempt.previous().first();
            let is_metrics = first.is_some_and(|first| first.path().ends_with("/metrics"));
            if is_metrics && attempt.previous().len() < MOST_REDIRECTS {
                attempt.follow()
            } else {
                attempt.stop()
            }
        }))
        .build()
}

/// Longest answer about models, version or metrics. vLLM's metrics have about 100 kB per engine; a longer answer is something
/// else, or endless.
pub const LONGEST_ANSWER: usize = 16 << 20;

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection failed, or the answer took too long.
    #[error("{}", in_words(.0))]
    Connection(#[source] reqwest::Error),
    /// It is longer than the limit.
    #[error("the answer is longer than {} MiB", LONGEST_ANSWER >> 20)]
    TooLong,
}

/// The body of an answer, up to [`LONGEST_ANSWER`]; the rest is not read.
pub async fn body(mut answer: reqwest::Response) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(BodyError::Connection)? {
        if body.len() + piece.len() > LONGEST_ANSWER {
            return Err(BodyError::TooLong);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// A builder of a client for this address. Only `https` needs the system's certificates, so a machine without them can
/// still use `http`.
pub fn builder(base_url: &str) -> reqwest::ClientBuilder {
    install_tls_provider();
    let builder = reqwest::Client::builder();
    if base_url.starts_with("https:") {
        builder
    } else {
        builder.tls_certs_only([])
    }
}

/// Installs the TLS implementation, once per process. Without it, creating a client panics.
pub fn install_tls_provider() {
    // The only error: one is already installed.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// The innermost cause; the errors above it only repeat the address.
pub fn in_words(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = cause.to_string();
    about_certificates(&text).unwrap_or(text)
}

/// The cause and the fix of a TLS failure about certificates, by the messages of `rustls` and its verifier.
pub fn about_certificates(error: &str) -> Option<String> {
    const PRIVATE: &str =
        "for a private certificate authority, set SSL_CERT_FILE to a PEM file with its certificate";
    let is = |words: &[&str]| words.iter().any(|word| error.contains(word));
    let text = if is(&["CaUsedAsEndEntity"]) {
        // The default of `openssl req -x509`.
        "the server's certificate is that of an authority (CA:TRUE), which a server must not use; create it with `-addext basicConstraints=critical,CA:FALSE`, and set SSL_CERT_FILE to a PEM file with it".to_owned()
    } else if is(&["UnknownIssuer", "SelfSigned"]) {
        format!(
            "the server's certificate is signed by an authority that this machine does not trust; {PRIVATE}"
        )
    } else if is(&["NotValidForName", "not valid for name"]) {
        "the server's certificate is for another host name; use a name from the certificate"
            .to_owned()
    } else if is(&["Expired", "certificate expired"]) {
        "the server's certificate has expired, or this machine's clock is wrong".to_owned()
    } else if is(&["NotValidYet", "certificate not valid yet"]) {
        "the server's certificate is not valid yet, or this machine's clock is wrong".to_owned()
    } else if is(&["No CA certificates"]) {
        format!(
            "this machine has no CA certificates; install the package `ca-certificates`, or {PRIVATE}"
        )
    } else if is(&["invalid peer certificate"]) {
        format!("the server's certificate is rejected; {PRIVATE}")
    } else {
        return None;
    };
    Some(format!("{text} ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_certificate_is_explained_with_the_fix() {
        for (error, words) in [
            ("invalid peer certificate: UnknownIssuer", "SSL_CERT_FILE"),
            (
                "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
                "CA:FALSE",
            ),
            (
                "invalid peer certificate: certificate expired: …",
                "has expired",
            ),
            (
                "invalid peer certificate: NotValidForName",
                "another host name",
            ),
            (
                "No CA certificates were loaded from the system",
                "ca-certificates",
            ),
        ] {
            let text = about_certificates(error).unwrap();
            assert!(text.contains(words) && text.contains(error), "{text}");
        }
        assert_eq!(about_certificates("connection refused"), None);
    }
}
