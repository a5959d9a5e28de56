//! Writing files whole or not at all, with errors that name the path.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file or folder that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} `{}`: {source}", path.display())]
pub struct FileError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl FileError {
    /// The kind of the operating system's error.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    fn on(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self {
            action,
            path,
            source,
        }
    }
}

/// The whole file as bytes.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    std::fs::read(path).map_err(FileError::on("read", path))
}

/// The whole file as text.
pub fn read_text(path: &Path) -> Result<String, FileError> {
    std::fs::read_to_string(path).map_err(FileError::on("read", path))
}

/// Writes beside the destination, syncs, and renames: a reader sees the old file or the whole new one.
/// Missing folders are made.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let folder = folder_of(path);
    create_folder(folder)?;
    let mut file = NamedTempFile::new_in(folder).map_err(FileError::on("write", path))?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(FileError::on("write", path))?;
    make_readable(file.as_file()).map_err(FileError::on("write", path))?;
    file.persist(path)
        .map_err(|error| FileError::on("write", path)(error.error))?;
    Ok(())
}

/// Whether a file could be written there, asked before the work whose result it takes. Missing folders are made.
pub fn check_writable(path: &Path) -> Result<(), FileError> {
    let folder = folder_of(path);
    create_folder(folder)?;
    NamedTempFile::new_in(folder).map_err(FileError::on("write", path))?;
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A temporary file is private to its owner; a result is for everybody, as other files are.
#[cfg(unix)]
fn make_readable(file: &std::fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_: &std::fs::File) -> io::Result<()> {
    Ok(())
}

/// Makes a folder and its parents where they are missing.
pub fn create_folder(path: &Path) -> Result<(), FileError> {
    std::fs::create_dir_all(path).map_err(FileError::on("create", path))
}

/// Appends text to a file that somebody else owns, making it where it is missing.
pub fn append(path: &Path, text: &str) -> Result<(), FileError> {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(FileError::on("append to", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_into_a_folder_that_did_not_exist() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/result.json");
        write_atomically(&path, b"{}").unwrap();
        write_atomically(&path, b"{\"x\": 1}").unwrap();
        assert_eq!(read_text(&path).unwrap(), "{\"x\": 1}");
        assert_eq!(path.parent().unwrap().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn an_error_names_the_action_and_the_path() {
        let error = read(Path::new("/no/such/file")).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot read `/no/such/file`: ")
        );
    }
}
