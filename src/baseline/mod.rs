//! Baselines: storage of the accepted runs.
//!
//! `baselines/<name>/<hardware>.json`, in git like code: the hardware is part of the name because a run on other
//! hardware is not a valid baseline. Beside it are `<hardware>.ledger.jsonl`, all accepted runs, and
//! `<hardware>.release.json`, the last release. A bucket in a cloud can contain the same files under the same names.

mod bucket;
mod fix;
mod folder;
mod location;
mod place;
mod promotion;
mod storage;
mod verify;

use std::path::{Path, PathBuf};

pub use bucket::{BucketError, FailedRequest, OfflineCopies};
pub use location::{BucketAddress, Cloud, Location, LocationError};
pub use place::{BaselineError, Part, Place, StoredRuns};
pub use promotion::{Change, Ended};
pub use storage::Storage;
pub use verify::{Finding, verify};

use crate::config::safe_name;
use crate::record::format::{Environment, Gpu};

/// Ending of the file name of the last release.
const RELEASE: &str = ".release";

/// The hardware as a file name: `nvidia-h100-80gb-hbm3`, `8x-nvidia-h100-80gb-hbm3`, or the CPU without a GPU.
pub fn hardware_name(environment: Option<&Environment>) -> String {
    let Some(environment) = environment else {
        return "unknown".to_owned();
    };
    match environment.gpus.as_deref() {
        Some([]) | None => match (&environment.cpu, environment.cpus) {
            (Some(cpu), Some(cpus)) => safe_name(&format!("cpu-{cpus}x-{cpu}")),
            (Some(cpu), None) => safe_name(&format!("cpu-{cpu}")),
            (None, _) => "unknown".to_owned(),
        },
        Some([gpu]) => safe_name(&gpu.name),
        Some(gpus) => safe_name(&format!("{}x-{}", gpus.len(), names(gpus))),
    }
}

/// Each kind of GPU in a machine is named once.
fn names(gpus: &[Gpu]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for gpu in gpus {
        if !names.contains(&gpu.name.as_str()) {
            names.push(&gpu.name);
        }
    }
    names.join("-")
}

/// Path of the baseline of a gate on some hardware.
pub fn path(folder: &Path, name: &str, hardware: &str) -> PathBuf {
    folder
        .join(safe_name(name))
        .join(format!("{hardware}.json"))
}

/// Path of the ledger of a baseline: `main.ledger.jsonl` for `main.json`.
pub fn ledger_path(baseline: &Path) -> PathBuf {
    baseline.with_file_name(format!("{}.ledger.jsonl", stem(baseline)))
}

/// Path of the last release of a baseline: `main.release.json` for `main.json`.
pub fn release_path(baseline: &Path) -> PathBuf {
    baseline.with_file_name(format!("{}{RELEASE}.json", stem(baseline)))
}

fn stem(baseline: &Path) -> &str {
    let name = baseline
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    name.split_once(".json").map_or(name, |(stem, _)| stem)
}

/// The hardware of the baselines and ledgers among the files of a folder, sorted.
pub fn hardware_of_files(files: impl IntoIterator<Item = String>) -> Vec<String> {
    let names = files.into_iter().filter_map(|name| {
        let hardware = name
            .strip_suffix(".ledger.jsonl")
            .or_else(|| name.strip_suffix(".json"))?;
        (!hardware.ends_with(RELEASE)).then(|| hardware.to_owned())
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Events;

    fn gpu(name: &str) -> Gpu {
        Gpu {
            name: name.to_owned(),
            ..Gpu::default()
        }
    }

    #[test]
    fn hardware_becomes_a_file_name() {
        let name = |gpus: Option<Vec<Gpu>>| {
            let environment = Environment {
                gpus,
                cpu: Some("AMD EPYC".to_owned()),
                cpus: Some(2),
                ..Environment::default()
            };
            hardware_name(Some(&environment))
        };
        assert_eq!(
            name(Some(vec![gpu("NVIDIA H100 80GB HBM3")])),
            "nvidia-h100-80gb-hbm3"
        );
        assert_eq!(
            name(Some(vec![gpu("NVIDIA L4"), gpu("NVIDIA L4")])),
            "2x-nvidia-l4"
        );
        assert_eq!(name(Some(vec![])), "cpu-2x-amd-epyc");
        assert_eq!(hardware_name(None), "unknown");
    }

    #[test]
    fn the_ledger_is_beside_the_baseline() {
        let path = |name| ledger_path(Path::new(name)).display().to_string();
        assert_eq!(
            path("baselines/demo/nvidia-l4.json"),
            "baselines/demo/nvidia-l4.ledger.jsonl"
        );
        assert_eq!(path("main.json.zst"), "main.ledger.jsonl");
    }

    #[test]
    fn baselines_of_other_hardware_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let baseline = path(folder.path(), "llama", "nvidia-l4");
        crate::files::write_atomically(&baseline, b"{}").unwrap();
        let location = Location::Folder(folder.path().to_owned());
        let storage = Storage::open(&location, None, &Events::ignored()).unwrap();
        assert_eq!(storage.hardware("llama").unwrap(), ["nvidia-l4"]);
        assert!(storage.hardware("other").unwrap().is_empty());
        assert_eq!(storage.gates().unwrap(), ["llama"]);
    }
}
