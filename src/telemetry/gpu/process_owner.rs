//! Owner of a process on a GPU: the server or another program.

use std::collections::BTreeSet;
use std::path::Path;

use crate::process_table::ProcessEntry;

/// Ancestors that are checked; longer chains do not occur.
const MOST_ANCESTORS: usize = 64;

/// Owner of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The server: one of its processes, or a descendant of one.
    Server,
    /// Another program, according to `/proc`.
    Other,
    /// The server's processes are unknown.
    Unknown,
}

/// The owner of the process with that id; `server` has the server's processes. Determined when the process is first seen,
/// because it may end later.
pub(super) fn owner(proc: &Path, id: u32, server: Option<&BTreeSet<u32>>) -> Owner {
    let Some(server) = server.filter(|server| !server.is_empty()) else {
        return Owner::Unknown;
    };
    let mut id = id;
    for _generation in 0..MOST_ANCESTORS {
        if server.contains(&id) {
            return Owner::Server;
        }
        match ProcessEntry::below(proc, id) {
            Some(entry) if server.contains(&entry.group) => return Owner::Server,
            Some(entry) if entry.parent > 1 => id = entry.parent,
            Some(_) | None => break,
        }
    }
    Owner::Other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_and_members_of_the_group_are_the_servers_and_other_processes_are_not() {
        let folder = tempfile::tempdir().unwrap();
        for (id, stat) in [
            (
                50,
                "50 (python3) S 40 40 40 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0",
            ),
            (
                60,
                "60 (a) b) S 50 60 60 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0",
            ),
            (
                70,
                "70 (train) S 1 70 70 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0",
            ),
        ] {
            let path = folder.path().join(id.to_string());
            std::fs::create_dir(&path).unwrap();
            crate::files::write_atomically(&path.join("stat"), stat.as_bytes()).unwrap();
        }
        let of =
            |id, server: &[u32]| owner(folder.path(), id, Some(&server.iter().copied().collect()));
        assert_eq!(of(40, &[40]), Owner::Server);
        // By its group, and by its parent's.
        assert_eq!(of(50, &[40]), Owner::Server);
        assert_eq!(of(60, &[40]), Owner::Server);
        assert_eq!(of(70, &[40]), Owner::Other);
        // Ended, or of another pid namespace.
        assert_eq!(of(99, &[40]), Owner::Other);
        assert_eq!(of(70, &[]), Owner::Unknown);
        assert_eq!(owner(folder.path(), 70, None), Owner::Unknown);
    }
}
