//! Writing files whole or not at all, with errors that name the path.

mod destination;

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

pub use destination::Destination;
use sha2::{Digest as _, Sha256};

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

    /// Whether it was reading that failed.
    pub fn is_of_reading(&self) -> bool {
        self.action == "read"
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

/// The whole file as bytes; `None` only where there surely is none. One that cannot be read, or looked for, is an error.
pub fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    none_if_absent(std::fs::read(path)).map_err(FileError::on("read", path))
}

/// The whole file as text; `None` only where there surely is none.
pub fn read_text_if_there(path: &Path) -> Result<Option<String>, FileError> {
    none_if_absent(std::fs::read_to_string(path)).map_err(FileError::on("read", path))
}

/// The names in a folder that are text; none only where there surely is no such folder.
pub fn names(folder: &Path) -> Result<Vec<String>, FileError> {
    let names = std::fs::read_dir(folder).and_then(|entries| {
        let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(io::Result::transpose).collect()
    });
    let names = none_if_absent(names).map_err(FileError::on("read", folder))?;
    Ok(names.unwrap_or_default())
}

/// Whether it is a folder; an error where nobody can know.
pub fn is_folder(path: &Path) -> Result<bool, FileError> {
    let about = none_if_absent(std::fs::metadata(path)).map_err(FileError::on("read", path))?;
    Ok(about.is_some_and(|about| about.is_dir()))
}

/// Bytes of a file; `None` only where there surely is none.
pub fn size_if_there(path: &Path) -> Result<Option<u64>, FileError> {
    let about = none_if_absent(std::fs::metadata(path)).map_err(FileError::on("read", path))?;
    Ok(about.map(|about| about.len()))
}

fn none_if_absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

/// The whole file as text.
pub fn read_text(path: &Path) -> Result<String, FileError> {
    std::fs::read_to_string(path).map_err(FileError::on("read", path))
}

/// How the pointer begins that is in place of a file which Git LFS keeps and nobody has fetched.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1";

/// Whether a file that begins so is a pointer of Git LFS, and not the file itself.
pub fn is_lfs_pointer(begin: &[u8]) -> bool {
    begin.starts_with(LFS_POINTER)
}

/// Bytes that are read ahead.
const BUFFER: usize = 64 << 10;

/// A file that is read from front to back, whatever its size: unpacked by its name's ending (`.gz`, `.zst`), and hashed
/// as it is read.
pub struct Opened {
    hashed: Hashed,
    unpacked: Box<dyn BufRead>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").finish_non_exhaustive()
    }
}

/// The bytes as they stand on disk, shared by whoever unpacks them and whoever wants their hash.
#[derive(Clone)]
struct Hashed(Rc<RefCell<(Box<dyn Read>, Sha256)>>);

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (file, hash) = &mut *self.0.borrow_mut();
        let read = file.read(buffer)?;
        hash.update(&buffer[..read]);
        Ok(read)
    }
}

/// Opens a file to be read from front to back.
pub fn open(path: &Path) -> Result<Opened, FileError> {
    let file = File::open(path).map_err(FileError::on("read", path))?;
    opened(path, Box::new(file))
}

/// The same of the bytes that the file at `path` has elsewhere.
pub fn open_copy(path: &Path, bytes: Vec<u8>) -> Result<Opened, FileError> {
    opened(path, Box::new(io::Cursor::new(bytes)))
}

fn opened(path: &Path, file: Box<dyn Read>) -> Result<Opened, FileError> {
    let hashed = Hashed(Rc::new(RefCell::new((file, Sha256::new()))));
    let raw = BufReader::with_capacity(BUFFER, hashed.clone());
    let unpacked: Box<dyn BufRead> = match path.extension().and_then(|ending| ending.to_str()) {
        Some("gz") => Box::new(buffered(flate2::bufread::MultiGzDecoder::new(raw))),
        Some("zst") => {
            let decoder = zstd::Decoder::with_buffer(raw).map_err(FileError::on("unpack", path))?;
            Box::new(buffered(decoder))
        }
        Some(_) | None => Box::new(raw),
    };
    Ok(Opened { hashed, unpacked })
}

fn buffered<R: Read>(reader: R) -> BufReader<R> {
    BufReader::with_capacity(BUFFER, reader)
}

impl Opened {
    /// The unpacked bytes.
    pub fn reader(&mut self) -> &mut dyn BufRead {
        &mut *self.unpacked
    }

    /// SHA-256 of the file as it stands on disk, in hexadecimal, read to its end.
    pub fn sha256(mut self) -> io::Result<String> {
        io::copy(&mut self.hashed, &mut io::sink())?;
        let hash = self.hashed.0.borrow().1.clone().finalize();
        Ok(format!("{hash:x}"))
    }
}

/// Writes what is at the end of the path: a file whole or not at all, its links followed; into a device or a pipe.
/// Missing folders are made.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    Destination::of(path)?.write(bytes)
}

/// Whether that could be done, asked before the work whose result it takes. Missing folders are made.
pub fn check_writable(path: &Path) -> Result<(), FileError> {
    Destination::of(path)?.check()
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
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

    #[test]
    fn a_file_is_read_unpacked_and_hashed_as_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let text = "some text\n".repeat(100_000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        let files = [
            ("a.txt", text.clone().into_bytes()),
            ("a.txt.gz", gzip.finish().unwrap()),
            ("a.txt.zst", zstd::encode_all(text.as_bytes(), 1).unwrap()),
        ];
        for (name, bytes) in files {
            let path = folder.path().join(name);
            write_atomically(&path, &bytes).unwrap();
            let mut opened = open(&path).unwrap();
            // Read a little, hashed whole.
            let mut line = String::new();
            opened.reader().read_line(&mut line).unwrap();
            assert_eq!(line, "some text\n", "{name}");
            let mut rest = String::new();
            opened.reader().read_to_string(&mut rest).unwrap();
            assert_eq!(rest.len() + line.len(), text.len(), "{name}");
            let expected = format!("{:x}", Sha256::digest(&bytes));
            assert_eq!(opened.sha256().unwrap(), expected, "{name}");
            assert_eq!(open(&path).unwrap().sha256().unwrap(), expected, "{name}");
        }
    }
}
