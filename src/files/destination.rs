//! The real destination of an output: a file behind links, a device, a pipe, or an open stream.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Access, Mode, OFlags, access, fcntl_setfl, open};
use rustix::io::Errno;
use tempfile::NamedTempFile;

use super::{FileError, create_folder, folder_of};

/// Maximum number of links, as in Linux.
const MAX_LINKS: usize = 40;

/// How long to wait until a reader opens a pipe.
const READER_WAIT: Duration = Duration::from_secs(10);

/// The target of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A regular file behind all links, existing or new: replaced atomically.
    File(PathBuf),
    /// A device, a pipe or a socket: written to and never replaced.
    Stream(PathBuf),
    /// This process's own stdout, as in `/dev/stdout`.
    Stdout,
    /// This process's stderr.
    Stderr,
}

impl Destination {
    /// Follows the links of a path. A folder is an error.
    pub fn of(path: &Path) -> Result<Self, FileError> {
        Self::follow(path).map_err(FileError::on("write", path))
    }

    fn follow(path: &Path) -> io::Result<Self> {
        let mut current = path.to_owned();
        for _ in 0..MAX_LINKS {
            let Some(name) = current.file_name().map(ToOwned::to_owned) else {
                return Err(io::ErrorKind::IsADirectory.into());
            };
            let folder = match fs::canonicalize(folder_of(&current)) {
                Ok(folder) => folder,
                // The write creates it or reports the reason.
                Err(error) if is_not_a_folder(&error) => return Ok(Self::File(current)),
                Err(error) => return Err(error),
            };
            // The target of a descriptor is open and has no path, or a path that must not be replaced.
            if folder.starts_with("/proc") && folder.ends_with("fd") {
                let own = folder == Path::new(&format!("/proc/{}/fd", std::process::id()));
                return Ok(match name.to_str() {
                    Some("1") if own => Self::Stdout,
                    Some("2") if own => Self::Stderr,
                    Some(_) | None => Self::Stream(current),
                });
            }
            let here = folder.join(&name);
            match fs::symlink_metadata(&here) {
                Ok(about) if about.is_symlink() => current = folder.join(fs::read_link(&here)?),
                Ok(about) if about.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
                Ok(about) if about.is_file() => return Ok(Self::File(here)),
                Ok(_) => return Ok(Self::Stream(here)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(Self::File(here));
                }
                Err(error) if is_not_a_folder(&error) => return Ok(Self::File(current)),
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("too many links"))
    }

    /// Whether another path leads to the same file, also through a hard link.
    pub fn is_also(&self, other: &Path) -> bool {
        let (Self::File(mine), Ok(Self::File(others))) = (self, Self::follow(other)) else {
            return false;
        };
        let identity = |path: &Path| {
            let about = fs::metadata(path).ok()?;
            Some((about.dev(), about.ino()))
        };
        *mine == others || (identity(mine).is_some() && identity(mine) == identity(&others))
    }

    /// Checks that it is writable before the measurement whose result goes there. Creates missing folders.
    pub(super) fn check(&self) -> Result<(), FileError> {
        match self {
            Self::File(path) => {
                let folder = folder_of(path);
                create_folder(folder)?;
                NamedTempFile::new_in(folder).map_err(FileError::on("write", path))?;
                Ok(())
            }
            // Opening a pipe waits for its reader.
            Self::Stream(path) => access(path, Access::WRITE_OK)
                .map_err(|error| FileError::on("write", path)(error.into())),
            Self::Stdout | Self::Stderr => Ok(()),
        }
    }

    /// Writes all of it.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), FileError> {
        match self {
            Self::File(path) => replace(path, bytes),
            Self::Stream(path) => open_to_write(path)
                .and_then(|mut stream| stream.write_all(bytes))
                .map_err(FileError::on("write", path)),
            Self::Stdout => open_stream(&io::stdout(), bytes, "/dev/stdout"),
            Self::Stderr => open_stream(&io::stderr(), bytes, "/dev/stderr"),
        }
    }
}

fn is_not_a_folder(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

/// Opens a device or a pipe. A pipe needs a reader; the wait is limited.
fn open_to_write(path: &Path) -> io::Result<File> {
    let begun = Instant::now();
    loop {
        // Non-blocking mode returns an error (ENXIO) for a pipe without a reader instead of an endless wait.
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match open(path, flags, Mode::empty()) {
            Ok(opened) => {
                fcntl_setfl(&opened, flags.difference(OFlags::NONBLOCK))?;
                return Ok(File::from(opened));
            }
            Err(Errno::NXIO) if begun.elapsed() < READER_WAIT => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(Errno::NXIO) => {
                let seconds = READER_WAIT.as_secs();
                return Err(io::Error::other(format!(
                    "no program opened the pipe for reading within {seconds} s"
                )));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn open_stream(stream: &impl AsFd, bytes: &[u8], name: &'static str) -> Result<(), FileError> {
    let copy = stream.as_fd().try_clone_to_owned();
    copy.and_then(|copy| File::from(copy).write_all(bytes))
        .map_err(FileError::on("write", Path::new(name)))
}

/// Writes to a temporary file, syncs, and renames: readers see the old file or the complete new one. An existing file
/// keeps its mode.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let failed = || FileError::on("write", path);
    let folder = folder_of(path);
    create_folder(folder)?;
    // A temporary file is private to its owner; a result has the usual mode of new files.
    let mode =
        fs::metadata(path).map_or_else(|_| Permissions::from_mode(0o644), |it| it.permissions());
    let mut file = NamedTempFile::new_in(folder).map_err(failed())?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().set_permissions(mode))
        .and_then(|()| file.as_file().sync_all())
        .map_err(failed())?;
    file.persist(path).map_err(|error| failed()(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use super::super::{check_writable, read_text, write_atomically};
    use super::*;

    #[test]
    fn links_are_followed_and_their_target_is_replaced_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        write_atomically(&at("shared/real"), b"old").unwrap();
        fs::set_permissions(at("shared/real"), Permissions::from_mode(0o600)).unwrap();
        symlink("shared/real", at("one")).unwrap();
        symlink("one", at("two")).unwrap();
        symlink("shared/new", at("dangling")).unwrap();
        write_atomically(&at("two"), b"new").unwrap();
        write_atomically(&at("dangling"), b"made").unwrap();
        assert_eq!(read_text(&at("shared/real")).unwrap(), "new");
        assert_eq!(read_text(&at("shared/new")).unwrap(), "made");
        assert!(at("one").is_symlink() && at("two").is_symlink() && at("dangling").is_symlink());
        let mode = fs::metadata(at("shared/real")).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        symlink("circle", at("circle")).unwrap();
        assert!(check_writable(&at("circle")).is_err());
    }

    #[test]
    fn a_pipe_is_written_to_and_stays_a_pipe() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RWXU).unwrap();
        check_writable(&pipe).unwrap();
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || {
                let mut text = String::new();
                File::open(pipe).unwrap().read_to_string(&mut text).unwrap();
                text
            }
        });
        write_atomically(&pipe, b"through").unwrap();
        assert_eq!(reader.join().unwrap(), "through");
        assert_eq!(Destination::of(&pipe).unwrap(), Destination::Stream(pipe));
    }

    #[test]
    fn devices_and_open_streams_are_never_files() {
        let null = Destination::of(Path::new("/dev/null")).unwrap();
        assert_eq!(null, Destination::Stream("/dev/null".into()));
        let stdout = Destination::of(Path::new("/dev/stdout")).unwrap();
        assert_eq!(stdout, Destination::Stdout);
        assert!(Destination::of(Path::new("/tmp")).is_err());
    }

    #[test]
    fn a_file_is_recognised_by_all_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        write_atomically(&at("a"), b"x").unwrap();
        fs::hard_link(at("a"), at("hard")).unwrap();
        symlink("a", at("soft")).unwrap();
        let destination = Destination::of(&at("a")).unwrap();
        for name in ["a", "hard", "soft", "./a"] {
            assert!(destination.is_also(&at(name)), "{name}");
        }
        assert!(!destination.is_also(&at("b")));
        let later = Destination::of(&at("later")).unwrap();
        assert!(later.is_also(&at("./later")) && !later.is_also(&at("a")));
    }
}
