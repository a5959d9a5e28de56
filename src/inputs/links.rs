//! Resolves a path with control over which symbolic links are followed.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// Maximum number of links, as in Linux; more is a loop.
const MAX_LINKS: usize = 40;

/// Resolves `path` from the folder `start`. `follow` returns the target of a link, or `None` for anything but a link and for
/// a link that must not be followed. `None` for a loop.
pub(crate) fn walk(
    start: &Path,
    path: &Path,
    mut follow: impl FnMut(&Path) -> Option<PathBuf>,
) -> Option<PathBuf> {
    let mut at = start.to_owned();
    let mut left: VecDeque<OsString> = parts(path).collect();
    let mut links = 0;
    while let Some(part) = left.pop_front() {
        match Path::new(&part).components().next() {
            Some(Component::ParentDir) => {
                at.pop();
                continue;
            }
            Some(Component::CurDir) | None => continue,
            // A root replaces the path before it.
            Some(Component::Normal(_) | Component::RootDir | Component::Prefix(_)) => {
                at.push(&part);
            }
        }
        if let Some(target) = follow(&at) {
            links += 1;
            if links > MAX_LINKS {
                return None;
            }
            at.pop();
            for part in parts(&target).rev() {
                left.push_front(part);
            }
        }
    }
    Some(at)
}

fn parts(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().map(|part| part.as_os_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walked(path: &str, links: &[(&str, &str)]) -> Option<String> {
        let follow = |at: &Path| {
            let mut links = links.iter();
            let link = links.find(|(link, _)| Path::new(link) == at);
            link.map(|(_, target)| PathBuf::from(target))
        };
        let end = walk(Path::new("/top/folder"), Path::new(path), follow);
        end.map(|end| end.display().to_string())
    }

    #[test]
    fn allowed_links_are_followed_and_a_loop_ends() {
        let links = [("/top/a", "b/c"), ("/top/b/c", "/x"), ("/o", "o")];
        assert_eq!(walked("./../f", &links).unwrap(), "/top/f");
        assert_eq!(walked("../a/f", &links).unwrap(), "/x/f");
        assert_eq!(walked("/top/d/../a", &links).unwrap(), "/x");
        assert_eq!(walked("/o/f", &links), None);
    }
}
