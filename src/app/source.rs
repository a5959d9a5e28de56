//! What git knows of the working tree and of what commits hold, by the `git` command.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::record::format::Source;

/// The commit that is checked out here, or `None` where there is no repository or no git.
pub(super) fn of_working_tree() -> Option<Source> {
    let commit = git(&["rev-parse", "HEAD"])?;
    let branch = git(&["rev-parse", "--abbrev-ref", "HEAD"]).filter(|branch| branch != "HEAD");
    let dirty =
        git(&["status", "--porcelain", "--untracked-files=no"]).map(|changes| !changes.is_empty());
    Some(Source {
        commit: Some(commit),
        branch,
        dirty,
    })
}

/// What tells one build of this tree from another: the commit and the changes beside it. `None` where there is no
/// repository or no git.
pub(super) fn state_of_working_tree() -> Option<String> {
    let commit = git(&["rev-parse", "HEAD"])?;
    let changes = git(&["diff", "HEAD", "--no-ext-diff", "--binary"])?;
    Some(format!("{commit}\n{changes}"))
}

/// The main branch: the one that is known, else `main`.
pub(super) fn main_branch() -> String {
    known_main_branch().unwrap_or_else(|| "main".to_owned())
}

/// What the remote calls its main branch, else `main` or `master`, where there is one.
pub(super) fn known_main_branch() -> Option<String> {
    let of_remote = git(&["symbolic-ref", "--short", "refs/remotes/origin/HEAD"]);
    let of_remote = of_remote.and_then(|branch| branch.strip_prefix("origin/").map(str::to_owned));
    of_remote.or_else(|| {
        let is_there = |branch: &&str| {
            let name = format!("refs/heads/{branch}");
            git(&["rev-parse", "--verify", "--quiet", &name]).is_some()
        };
        ["main", "master"]
            .into_iter()
            .find(is_there)
            .map(str::to_owned)
    })
}

/// Commits that came after that one in this tree; `None` where git does not know it.
pub(super) fn commits_since(commit: &str) -> Option<u64> {
    // A file may say anything; only what is an object's name reaches git.
    let is_name = commit.len() >= 7 && commit.chars().all(|c| c.is_ascii_hexdigit());
    let range = format!("{commit}..HEAD");
    is_name
        .then(|| git(&["rev-list", "--count", &range]))??
        .parse()
        .ok()
}

/// The top of the work tree.
pub(super) fn top_of_working_tree() -> Option<PathBuf> {
    git(&["rev-parse", "--show-toplevel"]).map(PathBuf::from)
}

/// This folder from the top of the work tree, empty at the top; `None` outside of any.
pub(super) fn folder_in_working_tree() -> Option<String> {
    let prefix = git(&["rev-parse", "--show-prefix"])?;
    Some(prefix.trim_end_matches('/').to_owned())
}

/// The full name of the commit that a revision names.
pub(super) fn commit_of(revision: &str) -> Option<String> {
    let commit = format!("{revision}^{{commit}}");
    git(&[
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        &commit,
    ])
}

/// The commit at which two branched off from each other.
pub(super) fn merge_base(one: &str, other: &str) -> Option<String> {
    git(&["merge-base", "--end-of-options", one, other]).filter(|commit| !commit.is_empty())
}

/// What a commit has at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A file, by the name of its object.
    File(String),
    /// A folder.
    Folder(String),
    /// Neither.
    Nothing,
}

/// What a commit has at a path from the top of the tree. Links of the commit are followed, within the commit.
pub(super) fn entry(top: &Path, commit: &str, path: &Path) -> Result<Entry, String> {
    let name = path.as_os_str().as_encoded_bytes();
    if name.contains(&b'\n') {
        return Err("its name has a line break".to_owned());
    }
    let asked = [commit.as_bytes(), b":", name, b"\n"].concat();
    let arguments = ["cat-file", "--batch-check", "--follow-symlinks"];
    let answer = succeeded(run_with(top, &arguments, &asked))?;
    let answer = String::from_utf8_lossy(&answer);
    let (first, rest) = answer.split_once('\n').unwrap_or((&answer, ""));
    let words: Vec<&str> = first.split(' ').collect();
    match words.as_slice() {
        [object, "blob", _] => Ok(Entry::File((*object).to_owned())),
        [object, "tree", _] => Ok(Entry::Folder((*object).to_owned())),
        ["symlink", _] => Err(format!(
            "a link leads out of the repository there, to `{}`",
            rest.trim_end()
        )),
        ["dangling", _] if link(top, commit, path).is_some() => {
            Err("a link leads to nothing there".to_owned())
        }
        ["loop", _] => Err("links lead in a circle there".to_owned()),
        // A path through a file, or to nothing in a folder that a link leads to.
        ["notdir" | "dangling", _] => Ok(Entry::Nothing),
        [.., "missing"] => absent(top, commit, path),
        // The commit of a submodule, or what no version of git has said yet.
        _ => Err(format!("git says `{first}`")),
    }
}

/// `Nothing`, unless the commit has the path and this clone lacks the object.
fn absent(top: &Path, commit: &str, path: &Path) -> Result<Entry, String> {
    if listed(top, commit, path)?.is_empty() {
        Ok(Entry::Nothing)
    } else {
        Err("this clone does not have the object".to_owned())
    }
}

/// The line of a path in its folder, as `git ls-tree` has it; empty where there is none.
fn listed(top: &Path, commit: &str, path: &Path) -> Result<Vec<u8>, String> {
    let mut listing = command(top, &["ls-tree", "-z", commit, "--"]);
    succeeded(listing.arg(path).output())
}

/// Where the link at a path of a commit leads; `None` where none is.
pub(super) fn link(top: &Path, commit: &str, path: &Path) -> Option<PathBuf> {
    let line = String::from_utf8(listed(top, commit, path).ok()?).ok()?;
    let object = line.strip_prefix("120000 blob ")?.split('\t').next()?;
    let target = String::from_utf8(blob(top, object).ok()?).ok()?;
    Some(PathBuf::from(target))
}

/// The bytes of a file's object.
pub(super) fn blob(top: &Path, object: &str) -> Result<Vec<u8>, String> {
    succeeded(run(top, &["cat-file", "blob", object]))
}

/// The names in a folder's object.
pub(super) fn names(top: &Path, object: &str) -> Result<Vec<String>, String> {
    let listing = succeeded(run(top, &["ls-tree", "--name-only", "-z", object]))?;
    let names = listing.split(|byte| *byte == 0);
    Ok(names
        .filter_map(|name| String::from_utf8(name.to_vec()).ok())
        .filter(|name| !name.is_empty())
        .collect())
}

/// What git answered, or what it said was wrong.
fn succeeded(output: std::io::Result<Output>) -> Result<Vec<u8>, String> {
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// The trimmed output; `None` where git failed. It takes no locks and runs no hooks.
pub(super) fn git(arguments: &[&str]) -> Option<String> {
    let output = run(Path::new("."), arguments).ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn run(folder: &Path, arguments: &[&str]) -> std::io::Result<Output> {
    command(folder, arguments).output()
}

fn run_with(folder: &Path, arguments: &[&str], input: &[u8]) -> std::io::Result<Output> {
    let mut child = command(folder, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input)?;
    }
    child.wait_with_output()
}

/// Git in that folder, which runs no hooks and nothing else that the repository's configuration names.
pub(super) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .args([
            "--no-optional-locks",
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "core.fsmonitor=false",
        ])
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}
