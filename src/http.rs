//! The HTTP client that asks a server about itself: ready, models, metrics. Requests under measurement have their own.

use std::time::Duration;

/// A healthy server answers these questions in milliseconds; a busy one may need a moment.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A slash added, and a scheme.
const MOST_REDIRECTS: usize = 3;

/// A client without a proxy (the server under test is on this machine or named on purpose) and with a short time-out.
pub fn client(base_url: &str) -> Result<reqwest::Client, reqwest::Error> {
    builder(base_url)
        .no_proxy()
        // The client of buckets brings HTTP/2 along; a server under test is asked as ever.
        .http1_only()
        .timeout(TIMEOUT)
        // A server that is to be measured is not elsewhere; but vLLM's own /metrics may be at /metrics/.
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

/// The most bytes of what a server reports of itself: its models, its version, its metrics. vLLM's metrics have some 100 kB for
/// each engine; more than this is something else, or has no end.
pub const LONGEST_ANSWER: usize = 16 << 20;

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection broke, or it took too long.
    #[error("{}", in_words(.0))]
    Connection(#[source] reqwest::Error),
    /// It is longer than anybody reads.
    #[error("the answer is longer than {} MiB", LONGEST_ANSWER >> 20)]
    TooLong,
}

/// The body of an answer, of [`LONGEST_ANSWER`] at most: what comes after that is not read.
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

/// The beginnings of a client for this address. Only `https` needs the system's certificates: a machine that has none can
/// measure everything else.
pub fn builder(base_url: &str) -> reqwest::ClientBuilder {
    install_tls_provider();
    let builder = reqwest::Client::builder();
    if base_url.starts_with("https:") {
        builder
    } else {
        builder.tls_certs_only([])
    }
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
    let text = cause.to_string();
    about_certificates(&text).unwrap_or(text)
}

/// What a failure of TLS is about and what to do, where it is about certificates. By the words of `rustls` and its verifier.
pub fn about_certificates(error: &str) -> Option<String> {
    const PRIVATE: &str = "for a private certificate authority, let SSL_CERT_FILE name a PEM file with its certificate";
    let is = |words: &[&str]| words.iter().any(|word| error.contains(word));
    let text = if is(&["CaUsedAsEndEntity"]) {
        // What `openssl req -x509` makes where it is not told otherwise.
        "the server's own certificate is one of an authority (CA:TRUE), which no server may have; make it with `-addext basicConstraints=critical,CA:FALSE`, and let SSL_CERT_FILE name a PEM file with it".to_owned()
    } else if is(&["UnknownIssuer", "SelfSigned"]) {
        format!(
            "the server's certificate is signed by an authority that this machine does not trust; {PRIVATE}"
        )
    } else if is(&["NotValidForName", "not valid for name"]) {
        "the server's certificate is for another host name; use the name that is in the certificate"
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
        format!("the server's certificate is refused; {PRIVATE}")
    } else {
        return None;
    };
    Some(format!("{text} ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_is_refused_is_explained_with_what_to_do() {
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
