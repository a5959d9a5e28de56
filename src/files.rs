//! Files: atomic writes, and reads with size limits and automatic decompression. Errors contain the path.

mod destination;

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

pub use destination::Destination;
use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

use crate::limits::{self, Limit, Packed};

/// A file or folder cannot be read or written.
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

    /// Whether reading failed.
    pub fn is_read_error(&self) -> bool {
        self.action == "read"
    }

    /// The error with the path as given, before links are followed. A folder that cannot be created keeps its own name.
    fn named(mut self, path: &Path) -> Self {
        if self.action == "write" {
            path.clone_into(&mut self.path);
        }
        self
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

/// The whole file as bytes, within the limit of a result.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    read_within(path, limits::RESULT)
}

/// The whole file as bytes, within `limit`.
pub fn read_within(path: &Path, limit: Limit) -> Result<Vec<u8>, FileError> {
    whole(path, limit).map_err(FileError::on("read", path))
}

/// The whole file as bytes, within the limit of a result; `None` only if the file does not exist. Any other problem is
/// an error.
pub fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    none_if_absent(path, whole(path, limits::RESULT))
}

/// The whole file as text, within the limit of a text; `None` only if the file does not exist.
pub fn read_text_if_there(path: &Path) -> Result<Option<String>, FileError> {
    none_if_absent(path, whole_text(path, limits::TEXT))
}

fn whole_text(path: &Path, limit: Limit) -> io::Result<String> {
    String::from_utf8(whole(path, limit)?)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

fn whole(path: &Path, limit: Limit) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    if size > limit.bytes {
        return Err(too_large(limit));
    }
    bounded(file, limit)
}

fn too_large(limit: Limit) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it {limit}"))
}

/// Bytes that are inspected before the rest is read.
const SNIFFED: u64 = 4 << 10;

/// All bytes of a reader, within a limit. Input that begins with a zero byte is neither text nor compressed and is refused
/// at once: a device of zeros would fill the memory up to the limit.
fn bounded(mut reader: impl Read, limit: Limit) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.by_ref().take(SNIFFED).read_to_end(&mut bytes)?;
    if bytes.first() == Some(&0) {
        let message = "it begins with a zero byte, so it is neither text nor a compressed file";
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    let rest = (limit.bytes + 1).saturating_sub(bytes.len() as u64);
    reader.take(rest).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit.bytes {
        return Err(too_large(limit));
    }
    Ok(bytes)
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
    Zstandard,
}

impl Packing {
    /// Detected from the first bytes: downloads often lose or keep a wrong file name extension.
    fn of(beginning: &[u8]) -> Self {
        match beginning {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstandard,
            _ => Self::None,
        }
    }
}

/// The bytes, decompressed if needed, within a limit: a small archive can unpack to a huge size.
pub fn unpacked(bytes: Vec<u8>, limit: Limit) -> io::Result<Vec<u8>> {
    if Packing::of(&bytes) == Packing::None {
        return Ok(bytes);
    }
    let packed = Hashed::new(io::Cursor::new(bytes));
    bounded(packed.unpacked(limits::PACKED_RESULT)?, limit)
}

/// A reader that fails if its output is far larger than its input, before it fills the memory.
struct Unpacking {
    decoder: Box<dyn Read>,
    packed: Hashed,
    given: u64,
    most: Packed,
}

impl Read for Unpacking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.decoder.read(buffer)?;
        self.given += read as u64;
        let taken = self.packed.0.borrow().taken as u64;
        let Packed { of, times, beside } = self.most;
        if self.given > beside + taken * times {
            let message =
                format!("it unpacks to more than {times} times its size, the limit of {of}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(read)
    }
}

/// The names in a folder that are valid text; empty only if the folder does not exist.
pub fn names(folder: &Path) -> Result<Vec<String>, FileError> {
    let names = std::fs::read_dir(folder).and_then(|entries| {
        let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(io::Result::transpose).collect()
    });
    Ok(none_if_absent(folder, names)?.unwrap_or_default())
}

/// Whether it is a folder; an error if that cannot be determined.
pub fn is_folder(path: &Path) -> Result<bool, FileError> {
    let about = none_if_absent(path, std::fs::metadata(path))?;
    Ok(about.is_some_and(|about| about.is_dir()))
}

/// Size of a file in bytes; `None` only if the file does not exist.
pub fn size_if_there(path: &Path) -> Result<Option<u64>, FileError> {
    let about = none_if_absent(path, std::fs::metadata(path))?;
    Ok(about.map(|about| about.len()))
}

fn none_if_absent<T>(path: &Path, read: io::Result<T>) -> Result<Option<T>, FileError> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(FileError::on("read", path)),
    }
}

/// The whole file as text, within the limit of a text.
pub fn read_text(path: &Path) -> Result<String, FileError> {
    read_text_within(path, limits::TEXT)
}

/// The whole file as text, within `limit`.
pub fn read_text_within(path: &Path, limit: Limit) -> Result<String, FileError> {
    whole_text(path, limit).map_err(FileError::on("read", path))
}

/// The beginning of a Git LFS pointer, which replaces a file that is not fetched.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1";

/// Whether a file with this beginning is a Git LFS pointer.
pub fn is_lfs_pointer(begin: &[u8]) -> bool {
    begin.starts_with(LFS_POINTER)
}

/// Size of the read buffer in bytes.
const BUFFER: usize = 64 << 10;

/// A file of any size that is read sequentially: decompressed if its first bytes are those of gzip or
/// Zstandard, and hashed while it is read.
pub struct Opened {
    hashed: Hashed,
    unpacked: Box<dyn BufRead>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").finish_non_exhaustive()
    }
}

/// The bytes on disk, shared by decompression and hashing.
#[derive(Clone)]
struct Hashed(Rc<RefCell<Raw>>);

struct Raw {
    file: Box<dyn Read>,
    hash: Sha256,
    taken: usize,
}

impl Hashed {
    fn new(file: impl Read + 'static) -> Self {
        Self(Rc::new(RefCell::new(Raw {
            file: Box::new(file),
            hash: Sha256::new(),
            taken: 0,
        })))
    }

    /// The bytes, decompressed if the first ones are those of gzip or Zstandard.
    fn unpacked(&self, most: Packed) -> io::Result<Box<dyn BufRead>> {
        let mut raw = BufReader::with_capacity(BUFFER, self.clone());
        let decoder: Box<dyn Read> = match Packing::of(raw.fill_buf()?) {
            Packing::None => return Ok(Box::new(raw)),
            Packing::Gzip => Box::new(MultiGzDecoder::new(raw)),
            Packing::Zstandard => Box::new(zstd::Decoder::with_buffer(raw)?),
        };
        let unpacking = Unpacking {
            decoder,
            packed: self.clone(),
            given: 0,
            most,
        };
        Ok(Box::new(BufReader::with_capacity(BUFFER, unpacking)))
    }
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let raw = &mut *self.0.borrow_mut();
        let read = raw.file.read(buffer)?;
        raw.hash.update(&buffer[..read]);
        raw.taken += read;
        Ok(read)
    }
}

/// Opens a file for sequential reading.
pub fn open(path: &Path) -> Result<Opened, FileError> {
    let file = File::open(path).map_err(FileError::on("read", path))?;
    opened(path, Hashed::new(file))
}

/// Opens the bytes of a copy of the file at `path`.
pub fn open_copy(path: &Path, bytes: Vec<u8>) -> Result<Opened, FileError> {
    opened(path, Hashed::new(io::Cursor::new(bytes)))
}

fn opened(path: &Path, hashed: Hashed) -> Result<Opened, FileError> {
    let unpacked = hashed.unpacked(limits::PACKED_DATASET);
    let unpacked = unpacked.map_err(FileError::on("read", path))?;
    Ok(Opened { hashed, unpacked })
}

impl Opened {
    /// The unpacked bytes.
    pub fn reader(&mut self) -> &mut dyn BufRead {
        &mut *self.unpacked
    }

    /// SHA-256 of the file on disk, in hexadecimal; reads the file to its end.
    pub fn sha256(mut self) -> io::Result<String> {
        io::copy(&mut self.hashed, &mut io::sink())?;
        let hash = self.hashed.0.borrow().hash.clone().finalize();
        Ok(format!("{hash:x}"))
    }
}

/// Writes to a path and follows links: a file atomically, a device or a pipe directly.
/// Creates missing folders.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let written = Destination::of(path)?.write(bytes);
    written.map_err(|error| error.named(path))
}

/// Checks that the path is writable before the measurement whose result goes there. Creates missing folders.
pub fn check_writable(path: &Path) -> Result<(), FileError> {
    let checked = Destination::of(path)?.check();
    checked.map_err(|error| error.named(path))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Creates a folder and its missing parents.
pub fn create_folder(path: &Path) -> Result<(), FileError> {
    std::fs::create_dir_all(path).map_err(FileError::on("create", path))
}

/// Removes a folder with its contents.
pub fn remove_folder(path: &Path) -> Result<(), FileError> {
    std::fs::remove_dir_all(path).map_err(FileError::on("remove", path))
}

/// Appends text to a file that another program owns; creates it if missing.
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
    fn a_file_is_read_decompressed_and_hashed_as_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let text = "some text\n".repeat(100_000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        let gzip = gzip.finish().unwrap();
        let files = [
            ("a.txt", text.clone().into_bytes()),
            ("a.txt.gz", gzip.clone()),
            ("packed by content", gzip),
            ("a.txt.zst", zstd::encode_all(text.as_bytes(), 1).unwrap()),
        ];
        for (name, bytes) in files {
            let path = folder.path().join(name);
            write_atomically(&path, &bytes).unwrap();
            let mut opened = open(&path).unwrap();
            // Reads a part, hashes the whole file.
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

    const SMALL: Limit = Limit {
        of: "a test",
        bytes: 8 << 10,
    };

    #[test]
    fn a_file_beyond_its_limit_is_refused_with_the_name_of_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        let mut small = File::create(&path).unwrap();
        small.write_all(&[b'x'; 8 << 10]).unwrap();
        assert!(read_within(&path, SMALL).is_ok());
        // The size is checked first, without reading.
        let large = File::create(&path).unwrap();
        large.set_len(1 << 40).unwrap();
        let error = read_within(&path, SMALL).unwrap_err().to_string();
        assert!(
            error.ends_with("it is larger than 8 KiB, the limit of a test"),
            "{error}"
        );
    }

    #[test]
    fn a_device_without_end_is_refused() {
        let error = read_text(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(error.contains("begins with a zero byte"), "{error}");
        let endless = io::repeat(b'x');
        assert!(
            bounded(endless, SMALL)
                .unwrap_err()
                .to_string()
                .contains("a test")
        );
    }

    #[test]
    fn an_archive_beyond_the_limit_is_refused() {
        let text = vec![b' '; 1 << 20];
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&text).unwrap();
        for packed in [
            gzip.finish().unwrap(),
            zstd::encode_all(text.as_slice(), 1).unwrap(),
        ] {
            assert!(packed.len() < 2 << 10);
            let error = unpacked(packed.clone(), SMALL).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
            assert_eq!(unpacked(packed, limits::TEXT).unwrap().len(), 1 << 20);
        }
    }

    #[test]
    fn an_archive_far_larger_than_any_result_is_refused_before_the_limit() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let mut zstandard = zstd::Encoder::new(Vec::new(), 1).unwrap();
        for _ in 0..64 {
            let text = vec![b' '; 1 << 20];
            gzip.write_all(&text).unwrap();
            zstandard.write_all(&text).unwrap();
        }
        for packed in [gzip.finish().unwrap(), zstandard.finish().unwrap()] {
            let error = unpacked(packed, limits::RESULT).unwrap_err();
            insta::allow_duplicates! {
                insta::assert_snapshot!(error, @"it unpacks to more than 100 times its size, the limit of a result file");
            }
        }
        // As figures do that differ.
        let figures: String = (0..4_000_000_u64)
            .map(|at| format!("{}, ", at.wrapping_mul(0x9e37_79b9) % 1_000_000))
            .collect();
        let packed = zstd::encode_all(figures.as_bytes(), 1).unwrap();
        assert_eq!(
            unpacked(packed, limits::RESULT).unwrap().len(),
            figures.len()
        );
    }
    #[test]
    fn a_compressed_data_set_ends_if_it_is_far_larger_than_any_other() {
        let packed_blanks = |mebibytes: usize| {
            let mut zstandard = zstd::Encoder::new(Vec::new(), 1).unwrap();
            for _ in 0..mebibytes {
                zstandard.write_all(&vec![b' '; 1 << 20]).unwrap();
            }
            zstandard.finish().unwrap()
        };
        let read = |packed: Vec<u8>| {
            let mut opened = open_copy(Path::new("a.jsonl.zst"), packed).unwrap();
            io::copy(opened.reader(), &mut io::sink())
        };
        assert_eq!(read(packed_blanks(16)).unwrap(), 16 << 20);
        insta::assert_snapshot!(read(packed_blanks(256)).unwrap_err(), @"it unpacks to more than 500 times its size, the limit of a data set");
    }
}
