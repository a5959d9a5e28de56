//! Processes of the machine that belong to a container.

use std::collections::BTreeSet;

use bollard::query_parameters::TopOptions;

use super::Container;
use super::engine::{self, QUICK};

impl Container {
    /// Ids on the host, as the engine reports them; `None` if it does not, for example on another machine.
    pub(in crate::launch) async fn process_ids(&self) -> Option<BTreeSet<u32>> {
        let asked = self
            .docker
            .top_processes(self.removal.name(), None::<TopOptions>);
        let top = engine::timely(QUICK, asked).await.ok()?.ok()?;
        ids(&top.titles?, &top.processes?)
    }
}

/// The column that `ps` titles `PID`.
fn ids(titles: &[String], rows: &[Vec<String>]) -> Option<BTreeSet<u32>> {
    let column = titles.iter().position(|title| title == "PID")?;
    let ids = rows.iter().filter_map(|row| row.get(column)?.parse().ok());
    Some(ids.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_column_is_found_by_its_title() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let titles = words("UID PID PPID C STIME TTY TIME CMD");
        let rows = [
            words("root 4711 4690 9 10:00 ? 00:01 vllm"),
            words("root x"),
        ];
        assert_eq!(ids(&titles, &rows), Some([4711].into()));
        assert_eq!(ids(&words("USER COMMAND"), &rows), None);
    }
}
