//! Processes of this machine, as `/proc` tells them.

use std::path::Path;

/// Where the kernel tells them.
const PROC: &str = "/proc";

/// What `/proc/PID/stat` says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessEntry {
    /// Its number.
    pub id: u32,
    /// Whether it is neither a zombie nor dead.
    pub is_alive: bool,
    /// The number of its parent; 0 for one that has none here.
    pub parent: u32,
    /// Its process group.
    pub group: u32,
    /// Its session.
    pub session: u32,
    /// When it was started, in clock ticks since the boot: with the number it is a name that is never used twice.
    pub started: u64,
}

impl ProcessEntry {
    /// The process of that number, where there is one.
    pub fn of(id: u32) -> Option<Self> {
        Self::below(Path::new(PROC), id)
    }

    /// The same from another folder than `/proc`.
    pub fn below(proc: &Path, id: u32) -> Option<Self> {
        let path = proc.join(id.to_string()).join("stat");
        Self::parse(&std::fs::read_to_string(path).ok()?)
    }

    /// The live members of a process group.
    pub fn all_in(group: u32) -> Vec<Self> {
        let Ok(processes) = std::fs::read_dir(PROC) else {
            return Vec::new();
        };
        processes
            .flatten()
            .filter_map(|process| process.file_name().to_str()?.parse().ok())
            .filter_map(Self::of)
            .filter(|process| process.is_alive && process.group == group)
            .collect()
    }

    /// Fields 1, 3, 4, 5, 6 and 22 of proc(5)'s `stat`. The name in brackets may hold anything.
    fn parse(stat: &str) -> Option<Self> {
        let (id, _) = stat.split_once(' ')?;
        let (_, fields) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        Some(Self {
            id: id.parse().ok()?,
            is_alive: !matches!(*fields.first()?, "Z" | "X" | "x"),
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stat_is_read_whatever_the_name_of_the_program() {
        let stat = |name: &str, state: &str| {
            format!("9 ({name}) {state} 1 7 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0")
        };
        let process = ProcessEntry {
            id: 9,
            is_alive: true,
            parent: 1,
            group: 7,
            session: 5,
            started: 4711,
        };
        for name in ["python", "a) b", ") S 1 2 3", ""] {
            assert_eq!(
                ProcessEntry::parse(&stat(name, "S")),
                Some(process),
                "{name}"
            );
        }
        for state in ["Z", "X"] {
            let ended = ProcessEntry {
                is_alive: false,
                ..process
            };
            assert_eq!(ProcessEntry::parse(&stat("python", state)), Some(ended));
        }
        for broken in ["", "rubbish", "9 (python) S 1 7", "9 (python) S 1 x y z"] {
            assert_eq!(ProcessEntry::parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn this_process_is_alive_in_its_own_group() {
        let own = ProcessEntry::of(std::process::id()).unwrap();
        assert!(own.is_alive && own.started > 0);
        assert!(ProcessEntry::all_in(own.group).contains(&own));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,120}") {
            let _process = ProcessEntry::parse(&text);
        }
    }
}
