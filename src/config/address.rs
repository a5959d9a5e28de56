//! The address of an external server, parsed once.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

/// Endpoint paths that other clients expect in an address and that perfgate adds itself; longest first.
const ENDPOINTS: [&str; 8] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/models",
    "/chat/completions",
    "/v1",
    "/health",
    "/metrics",
    "/version",
];

/// Base URL of a server: scheme, host, port and the path of its API, without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl(String);

/// Why a text is not the address of a server. It quotes no part of the text that may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongUrl {
    /// What is wrong, worded to follow the name of the option or key.
    pub message: &'static str,
    /// What to write instead.
    pub hint: String,
}

impl ServerUrl {
    /// Reads an address.
    pub fn parse(text: &str) -> Result<Self, WrongUrl> {
        let wrong = |message, hint: &str| WrongUrl {
            message,
            hint: hint.to_owned(),
        };
        let no_address = || wrong("is not an address", "write `http://127.0.0.1:8000`");
        // The URL parser drops line ends and tabs, and reads `https:///v1` as the host `v1`.
        if text.contains(char::is_whitespace) || text.contains(":///") {
            return Err(no_address());
        }
        let url = Url::parse(text).map_err(|_unclear| no_address())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(no_address());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong(
                "carries credentials",
                "remove them; set an API key in the environment variable PERFGATE_API_KEY",
            ));
        }
        if url.query().is_some() {
            return Err(wrong(
                "has a query (`?…`), which perfgate does not send",
                "remove it; if the server needs one, use the address of the engine behind it",
            ));
        }
        if url.fragment().is_some() {
            return Err(wrong("has a fragment (`#…`)", "remove it"));
        }
        let path = url.path().trim_end_matches('/');
        let endpoint = ENDPOINTS.iter().find(|endpoint| path.ends_with(*endpoint));
        let address = url.as_str().trim_end_matches('/');
        match endpoint.and_then(|endpoint| address.strip_suffix(endpoint)) {
            Some(base) => Err(WrongUrl {
                message: "ends with the path of an endpoint, which perfgate adds itself",
                hint: format!("write `{}`", base.trim_end_matches('/')),
            }),
            None => Ok(Self(address.to_owned())),
        }
    }

    /// As text, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether the host is this machine. The whole name counts, not its beginning: `127.evil.test` is another machine.
pub fn is_of_this_machine(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    if let Ok(address) = bare.unwrap_or(host).parse::<IpAddr>() {
        // Linux connects `0.0.0.0` to the local machine.
        let address = address.to_canonical();
        return address.is_loopback() || address.is_unspecified();
    }
    // Names below `localhost` also mean this machine (RFC 6761, 6.3).
    let name = host.strip_suffix('.').unwrap_or(host);
    name.rsplit('.').next() == Some("localhost")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_host_is_local_by_its_whole_name_and_not_by_its_beginning() {
        for host in [
            "127.0.0.1",
            "127.9.9.9",
            "localhost",
            "localhost.",
            "vllm.localhost",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "0.0.0.0",
            "[::]",
        ] {
            assert!(is_of_this_machine(host), "{host}");
        }
        for host in [
            "10.0.0.7",
            "127.evil.test",
            "127.0.0.1.evil.test",
            "localhost.evil.test",
            "localhosts",
            "notlocalhost",
            "[::ffff:10.0.0.7]",
            "[::1:2]",
            "",
        ] {
            assert!(!is_of_this_machine(host), "{host}");
        }
    }

    #[test]
    fn an_address_is_a_server_with_or_without_a_path_before_its_api() {
        for (given, kept) in [
            ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
            (
                "https://Gateway.example/team-a//",
                "https://gateway.example/team-a",
            ),
            ("http://[::1]:8000", "http://[::1]:8000"),
            ("http://v1", "http://v1"),
        ] {
            let url = ServerUrl::parse(given).unwrap();
            assert_eq!(url.as_str(), kept);
        }
    }

    #[test]
    fn an_address_with_parts_of_a_request_is_refused_with_a_correction() {
        for (given, message, hint) in [
            ("http://h:1/v1", "path of an endpoint", "`http://h:1`"),
            ("http://h:1/v1/", "path of an endpoint", "`http://h:1`"),
            (
                "http://h:1/a/v1/chat/completions",
                "path of an endpoint",
                "`http://h:1/a`",
            ),
            ("http://h:1/health", "path of an endpoint", "`http://h:1`"),
            ("http://h:1/?api-version=sesame", "query", "remove it"),
            ("http://h:1#sesame", "fragment", "remove it"),
            ("http://me:sesame@h", "credentials", "PERFGATE_API_KEY"),
            ("http://sesame@h", "credentials", "PERFGATE_API_KEY"),
            ("h:1", "not an address", "write"),
            ("http://", "not an address", "write"),
            ("https:///v1", "not an address", "write"),
            ("http://a b", "not an address", "write"),
            ("http://h:1\n", "not an address", "write"),
            ("ftp://h", "not an address", "write"),
            ("", "not an address", "write"),
        ] {
            let wrong = ServerUrl::parse(given).unwrap_err();
            assert!(wrong.message.contains(message), "{given}: {wrong:?}");
            assert!(wrong.hint.contains(hint), "{given}: {wrong:?}");
            assert!(!format!("{wrong:?}").contains("sesame"), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_that_round_trips_or_an_error(text in "(https?://)?([a-z0-9.:/@?#\\[\\] -]|\\PC|/v1){0,24}") {
            if let Ok(url) = ServerUrl::parse(&text) {
                prop_assert_eq!(ServerUrl::parse(url.as_str()), Ok(url));
            }
        }
    }
}
