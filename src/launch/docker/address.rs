//! Where a container engine may listen: the address in the environment, else the default sockets.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::super::LaunchError;
use crate::config::is_of_this_machine;

pub(super) type Lookup<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// An address to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// `unix:///var/run/docker.sock`, `tcp://127.0.0.1:2375`.
    pub(super) url: String,
    /// Where the address comes from: `DOCKER_HOST`, `the docker context x`; `None` for a default.
    pub(super) origin: Option<String>,
}

impl Address {
    fn default_at(path: &str) -> Self {
        Self {
            url: format!("unix://{path}"),
            origin: None,
        }
    }

    /// Whether host folders are those of this machine.
    pub(super) fn is_socket(&self) -> bool {
        self.url.starts_with("unix://")
    }

    /// The address with its origin.
    pub(super) fn in_words(&self) -> String {
        match &self.origin {
            Some(origin) => format!("{} ({origin})", self.url),
            None => self.url.clone(),
        }
    }
}

/// The addresses to try, in order. A configured address is the only one: `DOCKER_HOST`, then `CONTAINER_HOST`, then the
/// docker context; without any of them, the default sockets of Docker and podman.
pub(super) fn addresses(lookup: Lookup<'_>) -> Result<Vec<Address>, LaunchError> {
    let variable = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
    for name in ["DOCKER_HOST", "CONTAINER_HOST"] {
        if let Some(url) = variable(name) {
            let address = Address {
                url: url.trim().to_owned(),
                origin: Some(name.to_owned()),
            };
            let wants_tls = variable("DOCKER_TLS_VERIFY").is_some();
            return Ok(vec![checked(address, wants_tls)?]);
        }
    }
    if let Some(address) = context(&variable)? {
        return Ok(vec![checked(address, false)?]);
    }
    let runtime_folder = variable("XDG_RUNTIME_DIR")
        .unwrap_or_else(|| format!("/run/user/{}", rustix::process::getuid().as_raw()));
    Ok(vec![
        Address::default_at("/var/run/docker.sock"),
        Address::default_at(&format!("{runtime_folder}/docker.sock")),
        Address::default_at(&format!("{runtime_folder}/podman/podman.sock")),
        Address::default_at("/run/podman/podman.sock"),
    ])
}

/// The folder of the docker program's configuration.
pub(super) fn docker_folder(variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    variable("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".docker")))
}

/// The engine of the current docker context; `None` for `default`, which means the default sockets.
fn context(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Address>, LaunchError> {
    let Some(folder) = docker_folder(variable) else {
        return Ok(None);
    };
    let named = variable("DOCKER_CONTEXT").or_else(|| {
        let text = fs::read_to_string(folder.join("config.json")).ok()?;
        let config: Value = serde_json::from_str(&text).ok()?;
        Some(config.get("currentContext")?.as_str()?.to_owned())
    });
    let Some(name) = named.filter(|name| !name.is_empty() && name != "default") else {
        return Ok(None);
    };
    // The folder of a context is named after the hash of the context's name.
    let hash = format!("{:x}", Sha256::digest(name.as_bytes()));
    let path = folder.join("contexts/meta").join(hash).join("meta.json");
    let origin = format!("the docker context `{name}`");
    let url = host_of_context(&path)
        .map_err(|reason| refused(&origin, &format!("`{}`: {reason}", path.display())))?;
    Ok(Some(Address {
        url,
        origin: Some(origin),
    }))
}

/// The engine's address in `meta.json` of a docker context.
fn host_of_context(path: &Path) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let context: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let host = context.pointer("/Endpoints/docker/Host");
    let host = host.and_then(Value::as_str);
    Ok(host
        .ok_or("missing field `Endpoints.docker.Host`")?
        .to_owned())
}

/// An address that perfgate supports: a socket, or TCP on this machine.
fn checked(address: Address, wants_tls: bool) -> Result<Address, LaunchError> {
    let refuse = |reason: &str| Err(refused(&address.in_words(), reason));
    match address.url.split_once("://") {
        Some(("unix", path)) if path.starts_with('/') => Ok(address),
        Some(("unix", _)) => refuse("the path of a socket must start with `/`"),
        Some(("tcp" | "http", _)) if wants_tls => {
            refuse("DOCKER_TLS_VERIFY asks for TLS, which perfgate does not support for engines")
        }
        Some(("tcp" | "http", _)) if is_here(&address.url) => Ok(address),
        // Its published ports would be on the loopback of another machine, and perfgate measures only this one.
        Some(("tcp" | "http", _)) => {
            refuse("the engine is on another machine, and perfgate cannot reach servers there")
        }
        Some(("ssh", _)) => refuse("perfgate does not support engines over ssh"),
        Some((scheme, _)) => refuse(&format!("unknown scheme `{scheme}`")),
        None => refuse("not a valid address"),
    }
}

/// An unusable address, with its origin.
fn refused(address: &str, reason: &str) -> LaunchError {
    LaunchError::setting(
        format!("cannot use the container engine at {address}: {reason}"),
        "set DOCKER_HOST to an engine on this machine, unix:///var/run/docker.sock, or unset it",
    )
}

fn is_here(url: &str) -> bool {
    let url = reqwest::Url::parse(url).ok();
    let host = url.as_ref().and_then(reqwest::Url::host_str);
    host.is_some_and(is_of_this_machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Vec<Address>, LaunchError> {
        let variables: Vec<(String, String)> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        addresses(&move |wanted: &str| {
            variables
                .iter()
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.clone())
        })
    }

    fn shown(variables: &[(&str, &str)]) -> String {
        with(variables).map_or_else(
            |error| error.to_string(),
            |addresses| {
                let addresses: Vec<String> = addresses.iter().map(Address::in_words).collect();
                addresses.join("\n")
            },
        )
    }

    #[test]
    fn without_an_address_the_default_sockets_are_tried() {
        insta::assert_snapshot!(shown(&[("XDG_RUNTIME_DIR", "/run/user/7"), ("DOCKER_HOST", "")]), @r"
        unix:///var/run/docker.sock
        unix:///run/user/7/docker.sock
        unix:///run/user/7/podman/podman.sock
        unix:///run/podman/podman.sock
        ");
    }

    #[test]
    fn a_configured_engine_is_the_only_one() {
        insta::assert_snapshot!(
            shown(&[("DOCKER_HOST", "unix:///a.sock"), ("CONTAINER_HOST", "unix:///b.sock")]),
            @"unix:///a.sock (DOCKER_HOST)"
        );
        insta::assert_snapshot!(shown(&[("CONTAINER_HOST", "unix:///b.sock")]), @"unix:///b.sock (CONTAINER_HOST)");
        for local in [
            "tcp://127.0.0.1:2375",
            "tcp://[::1]:2375",
            "http://localhost:1",
            "tcp://0.0.0.0:2375",
        ] {
            assert_eq!(with(&[("DOCKER_HOST", local)]).unwrap()[0].url, local);
        }
    }

    #[test]
    fn an_unsupported_address_is_explained() {
        let refused = |url: &str| shown(&[("DOCKER_HOST", url)]);
        insta::assert_snapshot!(refused("ssh://me@host"), @"cannot use the container engine at ssh://me@host (DOCKER_HOST): perfgate does not support engines over ssh");
        insta::assert_snapshot!(refused("fd://"), @"cannot use the container engine at fd:// (DOCKER_HOST): unknown scheme `fd`");
        insta::assert_snapshot!(refused("/var/run/docker.sock"), @"cannot use the container engine at /var/run/docker.sock (DOCKER_HOST): not a valid address");
        insta::assert_snapshot!(refused("tcp://docker:2375"), @"cannot use the container engine at tcp://docker:2375 (DOCKER_HOST): the engine is on another machine, and perfgate cannot reach servers there");
        for elsewhere in ["tcp://127.0.0.1:x@docker:2375", "tcp://127.docker:2375"] {
            assert!(
                refused(elsewhere).contains("on another machine"),
                "{elsewhere}"
            );
        }
        let tls = shown(&[
            ("DOCKER_HOST", "tcp://127.0.0.1:2376"),
            ("DOCKER_TLS_VERIFY", "1"),
        ]);
        assert!(tls.contains("TLS"), "{tls}");
    }

    #[test]
    fn the_docker_context_is_found_by_the_hash_of_its_name() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".docker");
        fs::create_dir_all(&folder).unwrap();
        crate::files::write_atomically(
            &folder.join("config.json"),
            br#"{"auths": {}, "currentContext": "rootless"}"#,
        )
        .unwrap();
        let variables = [("HOME", home.path().to_str().unwrap())];
        let missing = shown(&variables);
        assert!(
            missing.contains("the docker context `rootless`"),
            "{missing}"
        );
        let hash: String = Sha256::digest(b"rootless")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let place = folder.join("contexts/meta").join(hash);
        fs::create_dir_all(&place).unwrap();
        crate::files::write_atomically(
            &place.join("meta.json"),
            br#"{"Name": "rootless", "Metadata": {}, "Endpoints": {"docker": {"Host": "unix:///run/user/7/docker.sock", "SkipTLSVerify": false}}}"#,
        )
        .unwrap();
        assert_eq!(
            shown(&variables),
            "unix:///run/user/7/docker.sock (the docker context `rootless`)"
        );
        let named = [variables[0], ("DOCKER_CONTEXT", "default")];
        assert!(shown(&named).starts_with("unix:///var/run/docker.sock"));
    }
}
