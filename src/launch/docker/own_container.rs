//! perfgate in a container with access to the engine's socket: servers run in sibling containers, and a port published on
//! the host's loopback is not on perfgate's loopback.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bollard::Docker;
use bollard::models::{ContainerInspectResponse, EndpointSettings};
use bollard::query_parameters::InspectContainerOptions;

use super::engine::{self, QUICK};

/// Digits of a container's whole id.
const ID_DIGITS: usize = 64;

/// Digits of the short id that a container has as its host name.
const SHORT_DIGITS: usize = 12;

/// What the engine reports about perfgate's own container; `None` if perfgate runs in no container of this engine.
pub(super) async fn find(docker: &Docker) -> Option<ContainerInspectResponse> {
    let read = |path: &str| std::fs::read_to_string(Path::new(path)).unwrap_or_default();
    let mut names = BTreeSet::new();
    names.extend(short_id(read("/proc/sys/kernel/hostname").trim()));
    names.extend(ids_in(&read("/proc/self/mountinfo")));
    names.extend(ids_in(&read("/proc/self/cgroup")));
    for name in names {
        let asked = docker.inspect_container(&name, None::<InspectContainerOptions>);
        if let Ok(container) = engine::ask(QUICK, asked).await {
            return Some(container);
        }
    }
    None
}

/// Where perfgate's container reaches the other one, `http://172.17.0.9:8000`; `Err` if they share no network that perfgate
/// itself is part of. `is_ours`: whether an address belongs to this process.
pub(super) fn address_of(
    other: &ContainerInspectResponse,
    own: &ContainerInspectResponse,
    port: u16,
    is_ours: impl Fn(&str) -> bool,
) -> Result<String, String> {
    let (theirs, ours) = (networks(other), networks(own));
    let shared = theirs.iter().find_map(|(name, endpoint)| {
        let address = endpoint
            .ip_address
            .as_ref()
            .filter(|address| !address.is_empty())?;
        let own = ours.get(name)?.ip_address.as_deref().unwrap_or_default();
        (is_ours(own) || is_ours(address)).then(|| format!("http://{address}:{port}"))
    });
    shared.ok_or_else(|| {
        let name = own.name.as_deref().unwrap_or("?").trim_start_matches('/');
        format!(
            "perfgate runs in the container `{name}`, which shares no network with the server, and the published port is on the host's loopback"
        )
    })
}

/// Whether this process can listen on an address, so the address is its own.
pub(super) fn is_own_address(address: &str) -> bool {
    std::net::UdpSocket::bind((address, 0)).is_ok()
}

/// Whether a container uses the host's network, and so its loopback.
pub(super) fn is_in_hosts_network(own: &ContainerInspectResponse) -> bool {
    networks(own).keys().any(|name| *name == "host")
}

fn networks(container: &ContainerInspectResponse) -> BTreeMap<&String, &EndpointSettings> {
    let settings = container.network_settings.as_ref();
    let networks = settings.and_then(|settings| settings.networks.as_ref());
    networks.into_iter().flatten().collect()
}

fn short_id(name: &str) -> Option<String> {
    let is_id = name.len() == SHORT_DIGITS && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| name.to_owned())
}

/// Full ids in the kernel's tables: `/var/lib/docker/containers/ID/hostname`, `/docker/ID`.
fn ids_in(table: &str) -> Vec<String> {
    table
        .lines()
        .filter(|line| line.contains("/containers/") || line.contains("docker"))
        .flat_map(|line| line.split(|c: char| !c.is_ascii_hexdigit()))
        .filter(|word| word.len() == ID_DIGITS)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(name: &str, networks: &[(&str, &str)]) -> ContainerInspectResponse {
        let networks: serde_json::Map<_, _> = networks
            .iter()
            .map(|(network, address)| {
                (
                    (*network).to_owned(),
                    serde_json::json!({"IPAddress": address}),
                )
            })
            .collect();
        let json = serde_json::json!({"Name": name, "NetworkSettings": {"Networks": networks}});
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_server_is_reached_over_a_shared_network() {
        let own = container("/ci-job", &[("ci", "10.0.0.5"), ("bridge", "172.17.0.5")]);
        let beside = container("/perfgate-1-0", &[("bridge", "172.17.0.9")]);
        assert_eq!(
            address_of(&beside, &own, 8000, |address| address == "172.17.0.5").as_deref(),
            Ok("http://172.17.0.9:8000")
        );
        let apart = container("/ci-job", &[("ci", "10.0.0.5")]);
        let reason = address_of(&beside, &apart, 8000, |_| true).unwrap_err();
        assert!(reason.contains("`ci-job`") && reason.contains("shares no network"));
        assert!(address_of(&beside, &own, 8000, |_| false).is_err());
        assert!(is_own_address("127.0.0.1") && !is_own_address("192.0.2.1"));
        assert!(is_in_hosts_network(&container("/ci-job", &[("host", "")])));
        assert!(!is_in_hosts_network(&own));
    }

    #[test]
    fn ids_are_found_in_the_kernels_tables() {
        let id = "0123456789abcdef".repeat(4);
        let line = format!(
            "712 690 8:1 /var/lib/docker/containers/{id}/hostname /etc/hostname rw - ext4 /dev/sda1 rw"
        );
        assert_eq!(ids_in(&line), std::slice::from_ref(&id));
        assert_eq!(ids_in(&format!("0::/docker/{id}")), [id]);
        assert_eq!(ids_in("0::/user.slice"), [""; 0]);
        assert_eq!(short_id("0123456789ab").as_deref(), Some("0123456789ab"));
        assert_eq!(short_id("gpu-ci-03"), None);
    }
}
