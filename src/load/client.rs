//! Destination of the requests: address, TLS, and their common head.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::ConfigVerifierExt as _;
use tokio::net::{TcpStream, lookup_host};

use super::LoadError;
use super::connection::Tls;
use crate::config::Headers;
use crate::http;

/// Timeout for each address of a host name.
const PROBE: Duration = Duration::from_secs(2);

/// An endpoint of a server, resolved and ready for load. Every stream in flight has its own connection (HTTP/1.1).
#[derive(Clone)]
pub struct Client {
    pub(super) address: SocketAddr,
    pub(super) tls: Option<Tls>,
    url: Url,
    authorization: Option<String>,
    headers: Headers,
}

impl Client {
    /// Resolves the endpoint at `url` (base address and path). `api_key` goes into the `Authorization` header only.
    ///
    /// Of several addresses the first that accepts a connection is used for all requests.
    pub async fn find(url: &str, api_key: Option<&str>) -> Result<Self, LoadError> {
        let wrong = |reason: String| LoadError::Address {
            url: url.to_owned(),
            reason,
        };
        let parsed = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        let host = parsed
            .host_str()
            .ok_or_else(|| wrong("the address has no host".to_owned()))?
            .trim_matches(['[', ']'])
            .to_owned();
        let port = parsed
            .port_or_known_default()
            .ok_or_else(|| wrong("the address has no port".to_owned()))?;
        let authorization = api_key
            .map(|key| {
                let header = format!("Bearer {key}");
                HeaderValue::from_str(&header)
                    .map(|_| header)
                    .map_err(|_unprintable| LoadError::ApiKey)
            })
            .transpose()?;
        let tls = if parsed.scheme() == "https" {
            http::install_tls_provider();
            let mut config = ClientConfig::with_platform_verifier().map_err(|error| {
                let error = error.to_string();
                wrong(http::about_certificates(&error).unwrap_or(error))
            })?;
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            let name =
                ServerName::try_from(host.clone()).map_err(|error| wrong(error.to_string()))?;
            let config = Arc::new(config);
            Some(Tls { config, name })
        } else {
            None
        };
        let addresses: Vec<SocketAddr> = lookup_host((host.as_str(), port))
            .await
            .map_err(|error| wrong(format!("cannot resolve the host: {error}")))?
            .collect();
        let address = reachable(&addresses)
            .await
            .ok_or_else(|| wrong("the host has no address".to_owned()))?;
        Ok(Self {
            address,
            tls,
            url: parsed,
            authorization,
            headers: Headers::default(),
        })
    }

    /// Adds headers.
    #[must_use]
    pub fn with_headers(self, headers: Headers) -> Self {
        Self { headers, ..self }
    }

    /// The head of every request, up to the length of its body.
    pub(super) fn head(&self) -> Vec<u8> {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port().map(|port| format!(":{port}"));
        let authorization = self
            .authorization
            .as_ref()
            .map(|value| format!("authorization: {value}\r\n"));
        let extra: String = self
            .headers
            .sent()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        format!(
            "POST {} HTTP/1.1\r\nhost: {host}{}\r\nuser-agent: perfgate/{}\r\ncontent-type: application/json\r\naccept: \
             text/event-stream\r\naccept-encoding: identity\r\n{}{extra}content-length: ",
            self.url.path(),
            port.unwrap_or_default(),
            env!("CARGO_PKG_VERSION"),
            authorization.unwrap_or_default(),
        )
        .into_bytes()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("url", &self.url.as_str())
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The first address that accepts a connection, else the first of all: then the requests report the error.
async fn reachable(addresses: &[SocketAddr]) -> Option<SocketAddr> {
    let [first, others @ ..] = addresses else {
        return None;
    };
    if !others.is_empty() {
        for address in addresses {
            let probe = tokio::time::timeout(PROBE, TcpStream::connect(address));
            if matches!(probe.await, Ok(Ok(_))) {
                return Some(*address);
            }
        }
    }
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn head(url: &str, key: Option<&str>) -> String {
        String::from_utf8(Client::find(url, key).await.unwrap().head()).unwrap()
    }

    #[tokio::test]
    async fn the_head_contains_host_path_and_key() {
        insta::assert_snapshot!(
            head("http://127.0.0.1:8000/base/v1/completions", Some("sesame")).await.replace('\r', ""),
            @r"
        POST /base/v1/completions HTTP/1.1
        host: 127.0.0.1:8000
        user-agent: perfgate/0.1.0
        content-type: application/json
        accept: text/event-stream
        accept-encoding: identity
        authorization: Bearer sesame
        content-length:
        "
        );
        assert!(
            head("http://[::1]/v1", None)
                .await
                .contains("host: [::1]\r\n")
        );
    }

    #[tokio::test]
    async fn extra_headers_follow_the_standard_ones() {
        let lines = ["X-Route: canary".to_owned(), "a: b, c".to_owned()];
        let client = Client::find("http://127.0.0.1:1/v1", None).await.unwrap();
        let client = client.with_headers(Headers::of_lines(&lines).unwrap());
        let head = String::from_utf8(client.head()).unwrap();
        let end = "accept-encoding: identity\r\na: b, c\r\nX-Route: canary\r\ncontent-length: ";
        assert!(head.ends_with(end), "{head}");
        assert!(!format!("{client:?}").contains("canary"));
    }

    #[tokio::test]
    async fn the_key_is_not_part_of_the_debug_output() {
        let client = Client::find("http://127.0.0.1:1/v1", Some("sesame"))
            .await
            .unwrap();
        assert!(!format!("{client:?}").contains("sesame"));
    }

    #[tokio::test]
    async fn an_invalid_address_or_header_is_an_error() {
        assert!(matches!(
            Client::find("nothing", None).await,
            Err(LoadError::Address { .. })
        ));
        assert!(matches!(
            Client::find("http://127.0.0.1/", Some("a\nb")).await,
            Err(LoadError::ApiKey)
        ));
    }

    #[tokio::test]
    async fn of_several_addresses_the_first_that_accepts_is_used() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let closed = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!(reachable(&[closed, good]).await, Some(good));
        assert_eq!(reachable(&[closed]).await, Some(closed));
        assert_eq!(reachable(&[]).await, None);
    }
}
