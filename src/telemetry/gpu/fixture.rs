//! Scripts that answer like the real programs, for tests.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A shell script in that folder.
pub(in crate::telemetry) fn program(folder: &Path, script: &str) -> PathBuf {
    let program = folder.join("smi");
    crate::files::write_atomically(&program, format!("#!/bin/sh\n{script}\n").as_bytes()).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program
}

/// An `nvidia-smi` with one GPU for each `name, memory total, memory used, utilisation`, UUIDs `GPU-0`, `GPU-1` and so on,
/// and no processes.
pub(in crate::telemetry) fn nvidia_smi(folder: &Path, gpus: &[&str]) -> PathBuf {
    let lines: String = gpus
        .iter()
        .enumerate()
        .map(|(index, gpu)| format!("echo '{}'; ", line(index, gpu)))
        .collect();
    program(
        folder,
        &format!("case \"$1\" in --query-gpu*) {lines};; esac"),
    )
}

/// Output of such a program for one GPU.
pub(in crate::telemetry) fn line(index: usize, gpu: &str) -> String {
    format!(
        "{index}, GPU-{index}, {gpu}, 1500, 2600, 1980, 2600, 300.0, 350.0, 350.0, 50, 0x0000000000000000, Enabled, 0, Disabled, Disabled, 8.9, 95.02, 550.1, 4, 4, 16, 16"
    )
}
