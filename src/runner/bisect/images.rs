//! Images of builds: perfgate starts them, the container engine stores them.

use std::path::PathBuf;

use crate::failure::Failure;
use crate::failure::of_adapters::cannot_keep;
use crate::files;
use crate::git::search::Repository;

/// All images built by searches in this repository.
pub(crate) fn built(repository: &Repository) -> Vec<String> {
    let text = std::fs::read_to_string(path(repository)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Adds one.
pub(crate) fn remember(repository: &Repository, image: String) -> Result<(), Failure> {
    let mut images = built(repository);
    if images.contains(&image) {
        return Ok(());
    }
    images.push(image);
    let text = images.join("\n") + "\n";
    files::write_atomically(&path(repository), text.as_bytes()).map_err(cannot_keep)
}

fn path(repository: &Repository) -> PathBuf {
    repository.state.join("images")
}
