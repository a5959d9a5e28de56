//! Main memory of a server that its processes cannot give back. It excludes the page cache of model files, because the
//! kernel decides how much of it to keep.

use std::collections::HashMap;

use bollard::Docker;
use bollard::query_parameters::StatsOptionsBuilder;
use futures_util::StreamExt as _;

use crate::process_table::ProcessEntry;

/// Measures a server's memory, for each kind of server.
#[derive(Clone, Debug)]
pub enum MemoryProbe {
    /// A server that perfgate did not start.
    None,
    /// The processes of a group, from `/proc`.
    Group(u32),
    /// A container, from its engine's statistics.
    Container {
        /// The engine.
        docker: Box<Docker>,
        /// The container's name.
        name: String,
    },
}

impl MemoryProbe {
    /// Bytes in use now; `None` if unknown.
    pub async fn in_use(&self) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Group(leader) => of_group(*leader),
            Self::Container { docker, name } => of_container(docker, name).await,
        }
    }
}

/// The anonymous memory of every process, and shared memory once: vLLM's processes share the same segments.
fn of_group(leader: u32) -> Option<u64> {
    // A process that ended meanwhile holds nothing.
    let held = |member: ProcessEntry| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", member.id)).ok()?;
        resident(&status)
    };
    let members = ProcessEntry::all_in(leader).into_iter().filter_map(held);
    let sums =
        members.reduce(|[anonymous, shared], [more, also]| [anonymous + more, shared.max(also)]);
    sums.map(|[anonymous, shared]| anonymous + shared)
}

/// `RssAnon` and `RssShmem` of `/proc/PID/status`, in bytes; a zombie has none.
fn resident(status: &str) -> Option<[u64; 2]> {
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?;
        kibibytes.checked_mul(1024)
    };
    Some([of("RssAnon:")?, of("RssShmem:")?])
}

async fn of_container(docker: &Docker, name: &str) -> Option<u64> {
    let options = StatsOptionsBuilder::default()
        .stream(false)
        .one_shot(true)
        .build();
    let mut answers = Box::pin(docker.stats(name, Some(options)));
    let memory = answers.next().await?.ok()?.memory_stats?;
    match memory.stats.as_ref().and_then(held) {
        Some(held) => Some(held),
        // As `docker stats` counts, if the engine reports no parts (podman).
        None => memory.usage,
    }
}

/// Anonymous and shared memory, by their names in the second and the first version of control groups.
fn held(parts: &HashMap<String, u64>) -> Option<u64> {
    let of = |names: [&str; 2]| names.iter().find_map(|name| parts.get(*name)).copied();
    of(["anon", "total_rss"]).map(|anonymous| anonymous + of(["shmem", "total_shmem"]).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_cache_is_excluded_in_both_versions_of_control_groups() {
        let parts = |pairs: &[(&str, u64)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), *value));
            held(&pairs.collect())
        };
        assert_eq!(
            parts(&[("anon", 100), ("file", 900), ("shmem", 20)]),
            Some(120)
        );
        assert_eq!(
            parts(&[("total_rss", 100), ("total_cache", 900), ("rss", 1)]),
            Some(100)
        );
        assert_eq!(parts(&[("file", 900)]), None);
    }

    #[test]
    fn a_process_without_memory_of_its_own_is_skipped() {
        assert_eq!(
            resident("Name:\tx\nRssAnon:\t      12 kB\nRssFile:\t 9 kB\nRssShmem:\t   3 kB\n"),
            Some([12 << 10, 3 << 10])
        );
        assert_eq!(resident("Name:\tzombie\nState:\tZ\n"), None);
    }

    #[tokio::test]
    async fn the_group_of_this_test_holds_memory() {
        let group = ProcessEntry::of(std::process::id()).unwrap().group;
        let held = MemoryProbe::Group(group).in_use().await.unwrap();
        assert!(held > 1 << 20, "{held}");
        assert_eq!(MemoryProbe::None.in_use().await, None);
    }
}
