//! Processes of this machine, from `/proc`.

use std::fs::DirEntry;
use std::path::{Path, PathBuf};

/// The kernel's process files.
const PROC: &str = "/proc";

/// Fields of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessEntry {
    /// Its id.
    pub id: u32,
    /// Whether it is neither a zombie nor dead.
    pub is_alive: bool,
    /// The id of its parent; 0 if none is visible.
    pub parent: u32,
    /// Its process group.
    pub group: u32,
    /// Its session.
    pub session: u32,
    /// Its start, in clock ticks since boot: id and start together are never reused.
    pub started: u64,
}

impl ProcessEntry {
    /// The process with that id, if it exists.
    pub fn of(id: u32) -> Option<Self> {
        Self::below(Path::new(PROC), id)
    }

    /// The same from a folder other than `/proc`.
    pub fn below(proc: &Path, id: u32) -> Option<Self> {
        let path = proc.join(id.to_string()).join("stat");
        Self::parse(&std::fs::read_to_string(path).ok()?)
    }

    /// The live members of a process group.
    pub fn all_in(group: u32) -> Vec<Self> {
        let members = ids().filter_map(Self::of);
        members
            .filter(|process| process.is_alive && process.group == group)
            .collect()
    }

    /// The processes that were started with that variable, `NAME=value`, as far as visible to this user.
    pub fn all_with(variable: &str) -> Vec<Self> {
        let has = |id: &u32| {
            let environment = std::fs::read(folder(*id).join("environ")).unwrap_or_default();
            let mut variables = environment.split(|byte| *byte == 0);
            variables.any(|known| known == variable.as_bytes())
        };
        let started = ids().filter(has).filter_map(Self::of);
        started.filter(|process| process.is_alive).collect()
    }

    /// Ids of the processes that listen on that TCP port of this machine, as far as visible to this user.
    pub fn listening_on(port: u16) -> Vec<u32> {
        let tables = ["net/tcp", "net/tcp6"].map(|name| Path::new(PROC).join(name));
        let sockets: Vec<String> = tables
            .iter()
            .filter_map(|table| std::fs::read_to_string(table).ok())
            .flat_map(|text| listeners(&text, port))
            .map(|inode| format!("socket:[{inode}]"))
            .collect();
        let holds = |id: &u32| {
            let mut files = entries(&folder(*id).join("fd"))
                .filter_map(|file| std::fs::read_link(file.path()).ok());
            files.any(|file| sockets.iter().any(|socket| file == Path::new(socket)))
        };
        ids().filter(holds).collect()
    }

    /// The name of a process; `None` if it has ended, or belongs to another pid namespace.
    pub fn name_of(id: u32) -> Option<String> {
        let name = std::fs::read_to_string(folder(id).join("comm")).ok()?;
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    }

    /// Names of a process: its own, its program, and the script that it may run.
    pub fn names_of(id: u32) -> Vec<String> {
        let command = std::fs::read(folder(id).join("cmdline")).unwrap_or_default();
        let words = command.split(|byte| *byte == 0).take(2);
        let programs = words.filter_map(|word| {
            let word = String::from_utf8_lossy(word);
            Some(Path::new(&*word).file_name()?.to_str()?.to_owned())
        });
        let names = Self::name_of(id).into_iter().chain(programs);
        names.filter(|name| !name.is_empty()).collect()
    }

    /// Fields 1, 3, 4, 5, 6 and 22 of proc(5)'s `stat`. The name in brackets may contain anything.
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

/// The folder of a process.
fn folder(id: u32) -> PathBuf {
    Path::new(PROC).join(id.to_string())
}

/// The ids of all processes.
fn ids() -> impl Iterator<Item = u32> {
    entries(Path::new(PROC)).filter_map(|process| process.file_name().to_str()?.parse().ok())
}

/// What a folder contains; nothing if it is unreadable.
fn entries(folder: &Path) -> impl Iterator<Item = DirEntry> + use<> {
    std::fs::read_dir(folder).into_iter().flatten().flatten()
}

/// Inodes of the sockets in proc(5)'s `net/tcp` that listen on a port: state 0A, the port in hexadecimal.
fn listeners(table: &str, port: u16) -> Vec<String> {
    let port = format!(":{port:04X}");
    let lines = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let listens = fields.get(1)?.ends_with(&port) && *fields.get(3)? == "0A";
        listens.then(|| fields.get(9).map(ToString::to_string))?
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stat_is_parsed_for_any_name_of_the_program() {
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

    #[test]
    fn the_listener_on_a_port_is_found_by_its_socket() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(ProcessEntry::listening_on(port).contains(&std::process::id()));
        drop(listener);
        assert!(!ProcessEntry::listening_on(port).contains(&std::process::id()));
        assert!(!ProcessEntry::names_of(std::process::id()).is_empty());
        assert!(ProcessEntry::names_of(0).is_empty());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,120}") {
            let _process = ProcessEntry::parse(&text);
        }
    }
}
