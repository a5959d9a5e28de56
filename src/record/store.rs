//! Result files on disk: plain JSON or compressed. Reading detects compression by content, writing by the
//! file name extension (`.gz`, `.zst`).

use std::io::Write as _;
use std::path::Path;

use super::format::ResultFile;
use super::ledger::parse_ledger;
use super::read::{RecordError, parse};
use super::valid::Run;
use crate::{files, limits, secret};

enum Packing {
    None,
    Gzip,
    Zstandard,
}

fn packing(path: &Path) -> Packing {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("gz") => Packing::Gzip,
        Some("zst") => Packing::Zstandard,
        Some(_) | None => Packing::None,
    }
}

/// Reads and checks a result file.
pub fn load(path: &Path) -> Result<Run, RecordError> {
    read(&path.display().to_string(), files::read(path)?)
}

/// Reads and checks a ledger: one result per line.
pub fn load_ledger(path: &Path) -> Result<Vec<Run>, RecordError> {
    read_ledger(&path.display().to_string(), files::read(path)?)
}

/// Checks the bytes of a result file. `file` is the name in errors.
pub fn read(file: &str, bytes: Vec<u8>) -> Result<Run, RecordError> {
    parse(file, &unpacked(file, bytes)?)
}

/// Checks the bytes of a ledger.
pub fn read_ledger(file: &str, bytes: Vec<u8>) -> Result<Vec<Run>, RecordError> {
    parse_ledger(file, &unpacked(file, bytes)?)
}

fn unpacked(file: &str, bytes: Vec<u8>) -> Result<Vec<u8>, RecordError> {
    if files::is_lfs_pointer(&bytes) {
        return Err(RecordError::Pointer {
            file: file.to_owned(),
        });
    }
    files::unpacked(bytes, limits::RESULT).map_err(|error| RecordError::Unpack {
        file: file.to_owned(),
        reason: error.to_string(),
    })
}

/// Writes a result file atomically.
pub fn save(path: &Path, result: &ResultFile) -> Result<(), RecordError> {
    let file = path.display().to_string();
    let json = serde_json::to_string_pretty(result).map_err(|source| RecordError::Json {
        file: file.clone(),
        source,
    })?;
    let json = secret::masked_json(&json).into_bytes();
    let packed = match packing(path) {
        Packing::None => Ok(json),
        Packing::Gzip => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&json).and_then(|()| encoder.finish())
        }
        Packing::Zstandard => zstd::encode_all(json.as_slice(), zstd::DEFAULT_COMPRESSION_LEVEL),
    };
    let packed = packed.map_err(|error| RecordError::Unpack {
        file,
        reason: error.to_string(),
    })?;
    Ok(files::write_atomically(path, &packed)?)
}

#[cfg(test)]
mod tests {
    use super::super::format::{Repeat, SCHEMA, Scenario};
    use super::*;

    #[test]
    fn a_result_is_read_back_as_written_in_every_packing() {
        let folder = tempfile::tempdir().unwrap();
        let repeat = Repeat {
            metrics: [("qps".to_owned(), Some(3.5))].into(),
            ..Repeat::default()
        };
        let scenario = Scenario {
            name: "concurrency=1".to_owned(),
            repeats: vec![repeat],
            ..Scenario::default()
        };
        let result = ResultFile {
            schema: SCHEMA.to_owned(),
            scenarios: vec![scenario],
            ..ResultFile::default()
        };
        for name in ["a.json", "a.json.gz", "a.json.zst"] {
            let path = folder.path().join(name);
            save(&path, &result).unwrap();
            assert_eq!(load(&path).unwrap().file, result, "{name}");
        }
    }

    #[test]
    fn a_cut_off_archive_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.json.zst");
        std::fs::File::create(&path)
            .unwrap()
            .write_all(&[0x28, 0xB5, 0x2F, 0xFD, 0, 1])
            .unwrap();
        let error = load(&path).unwrap_err().to_string();
        assert!(
            error.starts_with("cannot unpack `") && error.contains("cut.json.zst"),
            "{error}"
        );
    }
}
