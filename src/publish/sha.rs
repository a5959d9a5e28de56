//! Full hashes of commits.

use std::fmt;

/// A commit's full hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sha(String);

impl Sha {
    /// The commit with that hash; `None` if it is not valid or is the zeros of a deleted branch.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hash = matches!(text.len(), 40 | 64)
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            && text.bytes().any(|byte| byte != b'0');
        is_hash.then(|| Self(text.to_owned()))
    }

    /// In hexadecimal.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The abbreviated hash.
    pub fn short(&self) -> &str {
        &self.0[..10]
    }
}

impl fmt::Display for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
