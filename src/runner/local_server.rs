//! Whether the server runs on this machine, so that the result may contain this machine's hardware.

use super::repeat_context::RepeatContext;
use crate::config::{ServerPlan, is_of_this_machine};
use crate::event::RunEvent;
use crate::launch::Target;
use crate::process_table::ProcessEntry;

/// Programs that forward connections, usually to another machine. Port forwarders of container engines are not listed:
/// their containers run here.
const FORWARDERS: [&str; 26] = [
    "autossh",
    "caddy",
    "chisel",
    "cloudflared",
    "envoy",
    "frpc",
    "gost",
    "haproxy",
    "inlets",
    "k9s",
    "kubectl",
    "nginx",
    "ngrok",
    "oc",
    "plink",
    "rathole",
    "simpleproxy",
    "socat",
    "ssh",
    "sshd",
    "sshd-session",
    "stunnel",
    "tailscaled",
    "telepresence",
    "traefik",
    "tsh",
];

/// Whether the server runs here. A loopback address may be a tunnel: it counts only if no forwarder holds the port, or if
/// the user sets `telemetry.server_is_here`.
pub(crate) fn runs_here(context: &RepeatContext<'_>, target: &Target) -> bool {
    let ServerPlan::Url(_) = context.server else {
        return true;
    };
    let Some(port) = loopback_port(target.base_url()) else {
        return context.plan.server_is_here == Some(true);
    };
    if let Some(is_here) = context.plan.server_is_here {
        return is_here;
    }
    match doubt(port, &ProcessEntry::listening_on(port)) {
        Some(doubt) => {
            context.emit(RunEvent::ServerMayBeElsewhere { doubt });
            false
        }
        None => true,
    }
}

/// Whether an address is on this machine, for checks before any start.
pub(crate) fn is_at(url: &str) -> bool {
    let port = loopback_port(url);
    port.is_some_and(|port| doubt(port, &ProcessEntry::listening_on(port)).is_none())
}

/// Why the process on a port may not be the server.
fn doubt(port: u16, holders: &[u32]) -> Option<String> {
    if holders.is_empty() {
        return Some(format!(
            "perfgate cannot see which process listens on port {port}"
        ));
    }
    holders.iter().find_map(|id| {
        let names = ProcessEntry::names_of(*id);
        let tunnel = names
            .iter()
            .find(|name| FORWARDERS.contains(&name.as_str()))?;
        Some(format!(
            "port {port} is held by `{tunnel}` (process {id}), which forwards connections"
        ))
    })
}

/// The port of an address of this machine; `None` for other machines.
fn loopback_port(base_url: &str) -> Option<u16> {
    let url = reqwest::Url::parse(base_url).ok()?;
    let port = url.port_or_known_default()?;
    is_of_this_machine(url.host_str()?).then_some(port)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn only_addresses_of_this_machine_may_be_here() {
        assert_eq!(loopback_port("http://127.0.0.1:8000"), Some(8000));
        assert_eq!(loopback_port("http://localhost"), Some(80));
        assert_eq!(loopback_port("https://[::1]:1"), Some(1));
        assert_eq!(loopback_port("http://127.1:8000"), Some(8000));
        assert_eq!(loopback_port("http://127.evil.test:8000"), None);
        assert_eq!(loopback_port("http://localhost.evil.test:8000"), None);
        assert_eq!(loopback_port("http://10.0.0.7:8000"), None);
        assert_eq!(loopback_port("nonsense"), None);
    }

    #[test]
    fn a_tunnel_is_identified_by_its_name_and_an_invisible_process_is_not_the_server() {
        assert!(doubt(8000, &[]).unwrap().contains("cannot see"));
        assert_eq!(doubt(8000, &[std::process::id()]), None);
        let mut tunnel = Command::new("sleep")
            .arg0("kubectl")
            .arg("60")
            .spawn()
            .unwrap();
        // A program's arguments appear shortly after its start.
        while ProcessEntry::names_of(tunnel.id()).len() < 3 {
            std::thread::yield_now();
        }
        let found = doubt(8000, &[tunnel.id()]);
        tunnel.kill().unwrap();
        tunnel.wait().unwrap();
        assert!(found.unwrap().contains("`kubectl`"));
    }
}
