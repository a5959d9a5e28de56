//! The process that owns a container, stored in a label, and whether that process still lives.

use std::fs;

use crate::process_table::ProcessEntry;

/// A process, distinct from every other on this machine, also from a later one with the same id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// Changes with every boot, and differs between machines.
    boot: String,
    /// The namespace in which `pid` counts. A later namespace can reuse the number only after all processes of this one have
    /// ended.
    namespace: String,
    pid: u32,
    /// Start of the process, in clock ticks since boot.
    started: u64,
}

/// State of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnerState {
    Lives,
    Gone,
    /// Of another machine or another namespace, so it cannot be seen from here.
    Unknown,
}

impl Owner {
    /// This process; `None` if `/proc` is unreadable.
    pub(super) fn this_process() -> Option<Self> {
        let pid = std::process::id();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
        Some(Self {
            boot: boot.trim().to_owned(),
            // `pid:[4026531836]`
            namespace: namespace
                .to_string_lossy()
                .chars()
                .filter(char::is_ascii_digit)
                .collect(),
            pid,
            started: living(pid)?,
        })
    }

    /// The label: boot, namespace, process, start.
    pub(super) fn label(&self) -> String {
        let Self {
            boot,
            namespace,
            pid,
            started,
        } = self;
        format!("{boot} {namespace} {pid} {started}")
    }

    /// From a label; `None` for a label that is not ours.
    pub(super) fn parse(label: &str) -> Option<Self> {
        let words: Vec<&str> = label.split(' ').collect();
        let [boot, namespace, pid, started] = words[..] else {
            return None;
        };
        Some(Self {
            boot: boot.to_owned(),
            namespace: namespace.to_owned(),
            pid: pid.parse().ok()?,
            started: started.parse().ok()?,
        })
    }

    /// Its state, as seen from `here`.
    pub(super) fn state(&self, here: &Self) -> OwnerState {
        self.state_by(here, living)
    }

    fn state_by(&self, here: &Self, started: impl Fn(u32) -> Option<u64>) -> OwnerState {
        if (&self.boot, &self.namespace) != (&here.boot, &here.namespace) {
            OwnerState::Unknown
        } else if started(self.pid) == Some(self.started) {
            OwnerState::Lives
        } else {
            OwnerState::Gone
        }
    }
}

/// Start of the process with that id, if it lives. A zombie does not.
fn living(pid: u32) -> Option<u64> {
    let entry = ProcessEntry::of(pid).filter(|entry| entry.is_alive)?;
    Some(entry.started)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn owner(boot: &str, namespace: &str, pid: u32, started: u64) -> Owner {
        Owner {
            boot: boot.to_owned(),
            namespace: namespace.to_owned(),
            pid,
            started,
        }
    }

    #[test]
    fn this_process_lives_and_its_label_identifies_it() {
        let here = Owner::this_process().unwrap();
        assert_eq!(Owner::parse(&here.label()), Some(here.clone()));
        assert_eq!(here.state(&here), OwnerState::Lives);
    }

    #[test]
    fn a_later_process_with_the_same_id_is_another_one() {
        let here = owner("b", "1", 7, 100);
        let started = |pid: u32| (pid == 7).then_some(100);
        assert_eq!(
            owner("b", "1", 7, 99).state_by(&here, started),
            OwnerState::Gone
        );
        assert_eq!(
            owner("b", "1", 8, 100).state_by(&here, started),
            OwnerState::Gone
        );
        assert_eq!(here.state_by(&here, started), OwnerState::Lives);
    }

    #[test]
    fn an_owner_on_another_machine_or_namespace_is_unknown() {
        let here = owner("b", "1", 7, 100);
        let no_process = |_: u32| None;
        assert_eq!(
            owner("c", "1", 7, 100).state_by(&here, no_process),
            OwnerState::Unknown
        );
        assert_eq!(
            owner("b", "2", 7, 100).state_by(&here, no_process),
            OwnerState::Unknown
        );
    }

    proptest! {
        #[test]
        fn any_label_is_read_without_a_panic(text in ".{0,120}") {
            let _owner = Owner::parse(&text);
        }
    }
}
