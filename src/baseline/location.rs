//! Where baselines are stored: a folder, or a bucket in a cloud.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Separator after a scheme.
const SCHEME_ENDS: &str = "://";

/// The value of `--baselines`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A folder, also written as `file:///…`.
    Folder(PathBuf),
    /// A bucket with an optional prefix.
    Bucket(BucketAddress),
}

/// The cloud of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon S3 and compatible servers.
    S3,
    /// Google Cloud Storage.
    Google,
    /// A container of Azure Blob Storage.
    Azure,
}

/// `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketAddress {
    /// Its owner.
    pub cloud: Cloud,
    /// Its name.
    pub bucket: String,
    /// Prefix of all object names; empty, or without a slash at either end.
    pub prefix: String,
}

/// Why a text is not a valid location. Messages do not repeat the text, which may contain a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// Another scheme.
    #[error(
        "the scheme `{0}://` is not supported: use a folder, `s3://…`, `gs://…`, `az://…` or `file:///…`"
    )]
    Scheme(String),
    /// The bucket is missing.
    #[error("the bucket is missing; write `{0}://BUCKET/PREFIX`")]
    NoBucket(&'static str),
    /// A part that belongs elsewhere.
    #[error(
        "`{character}` is not allowed: write `{scheme}://BUCKET/PREFIX`, and set credentials and options in the environment"
    )]
    Character {
        /// The first forbidden character.
        character: char,
        /// The given scheme.
        scheme: &'static str,
    },
    /// A part of the prefix is not a valid name.
    #[error("a part of the prefix is empty, `.` or `..`")]
    Prefix,
    /// A file URL with a host, or without an absolute path.
    #[error("a file URL has three slashes and an absolute path: `file:///srv/baselines`")]
    FileUrl,
}

impl Cloud {
    /// The scheme, which is also the name of the required build feature.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Google => "gs",
            Self::Azure => "az",
        }
    }
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let Some((scheme, rest)) = text.split_once(SCHEME_ENDS) else {
            return Ok(Self::Folder(PathBuf::from(text)));
        };
        let cloud = match scheme.to_ascii_lowercase().as_str() {
            "s3" => Cloud::S3,
            "gs" => Cloud::Google,
            "az" => Cloud::Azure,
            "file" => return file(text).map(Self::Folder),
            _ => {
                let letters = scheme.chars().filter(char::is_ascii_alphanumeric);
                return Err(LocationError::Scheme(letters.take(12).collect()));
            }
        };
        bucket(cloud, rest).map(Self::Bucket)
    }
}

fn file(text: &str) -> Result<PathBuf, LocationError> {
    let url = reqwest::Url::parse(text).map_err(|_unclear| LocationError::FileUrl)?;
    url.to_file_path()
        .ok()
        .filter(|path| path.parent().is_some())
        .ok_or(LocationError::FileUrl)
}

fn bucket(cloud: Cloud, rest: &str) -> Result<BucketAddress, LocationError> {
    let scheme = cloud.scheme();
    let strange = |c: &char| {
        matches!(c, '@' | '?' | '#' | '\\' | ':' | '%') || c.is_control() || c.is_whitespace()
    };
    if let Some(character) = rest.chars().find(strange) {
        return Err(LocationError::Character { character, scheme });
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(LocationError::NoBucket(scheme));
    }
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let is_name = |part: &str| !matches!(part, "" | "." | "..");
    if !prefix.is_empty() && !prefix.split('/').all(is_name) {
        return Err(LocationError::Prefix);
    }
    Ok(BucketAddress {
        cloud,
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
    })
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Bucket(address) => address.fmt(f),
        }
    }
}

impl fmt::Display for BucketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        write!(
            f,
            "{}{SCHEME_ENDS}{}{slash}{}",
            self.cloud.scheme(),
            self.bucket,
            self.prefix
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        match text.parse::<Location>() {
            Ok(location) => location.to_string(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn folders_and_buckets_are_distinguished() {
        assert_eq!(
            "perf/baselines".parse(),
            Ok(Location::Folder(PathBuf::from("perf/baselines")))
        );
        assert_eq!(
            "file:///srv/my%20baselines".parse(),
            Ok(Location::Folder(PathBuf::from("/srv/my baselines")))
        );
        assert_eq!(shown("s3://perf/team/a/"), "s3://perf/team/a");
        assert_eq!(shown("S3://perf"), "s3://perf");
        assert_eq!(shown("gs://perf/x"), "gs://perf/x");
        assert_eq!(shown("az://container/x"), "az://container/x");
    }

    #[test]
    fn an_invalid_location_is_reported_without_repeating_it() {
        for (text, message) in [
            (
                "https://key:secret@host/x",
                "the scheme `https://` is not supported",
            ),
            ("s3://key:secret@bucket/x", "`:` is not allowed"),
            ("az://container/x?sig=secret", "`?` is not allowed"),
            ("s3:///x", "the bucket is missing"),
            ("gs://bucket//x", "a part of the prefix is empty"),
            ("s3://bucket/../x", "a part of the prefix is empty"),
            ("file://host/x", "a file URL has three slashes"),
            ("file:///", "a file URL has three slashes"),
        ] {
            let shown = shown(text);
            assert!(
                shown.starts_with("error: ") && shown.contains(message),
                "{text}: {shown}"
            );
            assert!(!shown.contains("secret"), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic_and_what_is_shown_is_read_back(text in "(s3|gs|az|file)://[-a-z./%@: ]{0,20}") {
            if let Ok(location @ Location::Bucket(_)) = text.parse::<Location>() {
                prop_assert_eq!(location.to_string().parse(), Ok(location));
            }
        }
    }
}
