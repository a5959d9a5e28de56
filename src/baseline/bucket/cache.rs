//! Local copies of a bucket's objects, for reads without network.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::files::{self, FileError};

/// The first line of a copy.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    /// The bucket and the name of the object, to detect two objects with the same file name.
    of: String,
    /// When it was read.
    read: String,
    /// The object's version.
    e_tag: Option<String>,
    /// SHA-256 of the content, to detect copies that a full disk truncated.
    sha256: String,
}

/// A copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Copied {
    /// When it was read (RFC 3339).
    pub(super) read: String,
    /// The version in the bucket's list.
    pub(super) e_tag: Option<String>,
    pub(super) bytes: Vec<u8>,
}

/// The folder of all copies of one bucket and prefix.
#[derive(Debug)]
pub(super) struct Cache {
    folder: Option<PathBuf>,
    address: String,
}

impl Cache {
    /// A cache below `folder`; without a folder nothing is cached.
    pub(super) fn of(folder: Option<&Path>, address: &str) -> Self {
        let own = format!("{:x}", Sha256::digest(address));
        Self {
            folder: folder.map(|folder| folder.join("baselines").join(&own[..16])),
            address: address.to_owned(),
        }
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        let file = format!("{:x}", Sha256::digest(name));
        Some(self.folder.as_ref()?.join(&file[..32]))
    }

    fn of_name(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// The copy of an object; `None` if it is missing or damaged.
    pub(super) fn read(&self, name: &str) -> Option<Copied> {
        let bytes = files::read(&self.path(name)?).ok()?;
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let head: Head = serde_json::from_slice(&bytes[..end]).ok()?;
        let bytes = bytes[end + 1..].to_vec();
        let whole = head.sha256 == format!("{:x}", Sha256::digest(&bytes));
        (whole && head.of == self.of_name(name)).then_some(Copied {
            read: head.read,
            e_tag: head.e_tag,
            bytes,
        })
    }

    pub(super) fn write(&self, name: &str, copied: &Copied) -> Result<(), FileError> {
        let Some(path) = self.path(name) else {
            return Ok(());
        };
        let head = Head {
            of: self.of_name(name),
            read: copied.read.clone(),
            e_tag: copied.e_tag.clone(),
            sha256: format!("{:x}", Sha256::digest(&copied.bytes)),
        };
        // Serialization of four texts cannot fail.
        let mut file = serde_json::to_vec(&head).unwrap_or_default();
        file.push(b'\n');
        file.extend_from_slice(&copied.bytes);
        files::write_atomically(&path, &file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_read_back_and_a_truncated_one_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::of(Some(folder.path()), "s3://perf/team");
        let copied = Copied {
            read: "2026-01-01T00:00:00Z".to_owned(),
            e_tag: Some("\"1\"".to_owned()),
            bytes: b"line\nline\n".to_vec(),
        };
        assert_eq!(cache.read("llama/nvidia-l4.json"), None);
        cache.write("llama/nvidia-l4.json", &copied).unwrap();
        assert_eq!(cache.read("llama/nvidia-l4.json"), Some(copied.clone()));
        assert_eq!(
            Cache::of(Some(folder.path()), "s3://perf/other").read("llama/nvidia-l4.json"),
            None
        );
        let path = cache.path("llama/nvidia-l4.json").unwrap();
        let bytes = files::read(&path).unwrap();
        files::write_atomically(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(cache.read("llama/nvidia-l4.json"), None);
        Cache::of(None, "s3://perf").write("x", &copied).unwrap();
    }
}
