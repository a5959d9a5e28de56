//! The working tree and the contents of commits, read with the `git` command.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::error::GitError;
use crate::event::{Events, GitEvent};
use crate::record::format::Source;

/// The checked-out commit, or `None` without a repository or git. A repository that git refuses adds a warning that
/// explains why the result has no commit.
pub(crate) fn of_working_tree(
    environment: &dyn Fn(&str) -> Option<String>,
    events: &Events,
) -> Option<Source> {
    let commit = match commit_of("HEAD") {
        Ok(commit) => commit,
        Err(error) => {
            warn_of(&error, events);
            return None;
        }
    };
    Some(Source {
        branch: branch_of_head().or_else(|| branch_of_service(&commit, environment)),
        commit: Some(commit),
        dirty: is_dirty(),
    })
}

fn warn_of(error: &GitError, events: &Events) {
    let is_repository = || {
        let here = std::env::current_dir().unwrap_or_default();
        here.ancestors().any(|folder| folder.join(".git").exists())
    };
    let is_not_installed = matches!(error, GitError::NotInstalled);
    let is_worth_it =
        matches!(error, GitError::Ownership(_)) || (is_not_installed && is_repository());
    if is_worth_it {
        events.emit(GitEvent::CommitUnknown {
            reason: error.to_string(),
            hint: error.hint(),
        });
    }
}

/// The checked-out branch; `None` if HEAD is detached.
pub(crate) fn branch_of_head() -> Option<String> {
    let reference = git(&["symbolic-ref", "--quiet", "HEAD"])?;
    reference.strip_prefix("refs/heads/").map(str::to_owned)
}

/// The branch from a CI service for a detached HEAD, if the service's commit is the checked-out one.
fn branch_of_service(commit: &str, environment: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let given = |name: &str| environment(name).filter(|value| !value.is_empty());
    let is_of = |name: &str| given(name).is_none_or(|of| of == commit);
    let is_set = |name: &str| given(name).is_some_and(|value| value != "false");
    if given("GITHUB_ACTIONS").is_some() {
        let branch = given("GITHUB_REF")?.strip_prefix("refs/heads/")?.to_owned();
        return is_of("GITHUB_SHA").then_some(branch);
    }
    // Unset in pipelines of merge requests and tags.
    if let Some(branch) = given("CI_COMMIT_BRANCH") {
        return is_of("CI_COMMIT_SHA").then_some(branch);
    }
    if let Some(branch) = given("BUILDKITE_BRANCH") {
        let is_branch = !is_set("BUILDKITE_PULL_REQUEST") && given("BUILDKITE_TAG").is_none();
        return (is_branch && is_of("BUILDKITE_COMMIT")).then_some(branch);
    }
    // Jenkins: multibranch and single-branch jobs.
    let is_change = is_set("CHANGE_ID") || given("TAG_NAME").is_some();
    let branch = given("BRANCH_NAME").or_else(|| {
        let branch = given("GIT_BRANCH")?;
        Some(branch.strip_prefix("origin/").unwrap_or(&branch).to_owned())
    })?;
    (given("JENKINS_URL").is_some() && !is_change && is_of("GIT_COMMIT")).then_some(branch)
}

/// Whether a tracked file has uncommitted changes, except perfgate's own outputs, which do not affect results.
fn is_dirty() -> Option<bool> {
    let top = top_of_working_tree().ok()?;
    let changed = output(&top, &["diff", "--name-only", "-z", "HEAD"]).ok()?;
    let mut paths = parts(&changed).map(|name| top.join(OsStr::from_bytes(name)));
    Some(paths.any(|path| !is_own_output(&path)))
}

/// Whether it is an output of perfgate: a result, a comparison, a ledger, or a report beside a comparison.
pub(crate) fn is_own_output(path: &Path) -> bool {
    use std::io::Read as _;
    const BEGIN: u64 = 64 << 10;
    let begins_as_ours = |path: &Path| {
        let mut begin = Vec::new();
        let read =
            std::fs::File::open(path).and_then(|file| file.take(BEGIN).read_to_end(&mut begin));
        let text = String::from_utf8_lossy(&begin);
        read.is_ok() && text.trim_start().starts_with('{') && text.contains("\"perfgate.")
    };
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let is_report = matches!(name, "report.html" | "comment.md" | "junit.xml")
        || path.extension().is_some_and(|ending| ending == "log");
    begins_as_ours(path) || (is_report && begins_as_ours(&path.with_file_name("comparison.json")))
}

/// The checked-out commit and its parents, from the commit object: a shallow clone hides the parents.
pub(crate) fn commit_and_parents() -> Option<(String, Vec<String>)> {
    let commit = commit_of("HEAD").ok()?;
    let parents = parents(&commit).ok()?;
    Some((commit, parents))
}

/// The main branch if known, else `main`.
pub(crate) fn main_branch() -> String {
    known_main_branch().unwrap_or_else(|| "main".to_owned())
}

/// The remote's main branch, else an existing `main` or `master`, else the only branch.
pub(crate) fn known_main_branch() -> Option<String> {
    let of_remote = git(&["symbolic-ref", "--quiet", "refs/remotes/origin/HEAD"]);
    let of_remote =
        of_remote.and_then(|name| name.strip_prefix("refs/remotes/origin/").map(str::to_owned));
    of_remote.or_else(|| {
        let branches = git(&["for-each-ref", "--format=%(refname)", "refs/heads"])?;
        let branches: Vec<&str> = branches
            .lines()
            .filter_map(|name| name.strip_prefix("refs/heads/"))
            .collect();
        let usual = DEFAULT_MAIN
            .into_iter()
            .find(|usual| branches.contains(usual));
        let only = match branches.as_slice() {
            [only] => Some(*only),
            _ => None,
        };
        usual.or(only).map(str::to_owned)
    })
}

/// Usual names of main branches.
pub(crate) const DEFAULT_MAIN: [&str; 2] = ["main", "master"];

/// Number of commits after that one in this tree; `None` if git does not have it.
pub(crate) fn commits_since(commit: &str) -> Option<u64> {
    // The text comes from a file; only a valid object name is passed to git.
    let is_name = commit.len() >= 7 && commit.chars().all(|c| c.is_ascii_hexdigit());
    let range = format!("{commit}..HEAD");
    is_name
        .then(|| git(&["rev-list", "--count", &range]))??
        .parse()
        .ok()
}

/// The top of the work tree.
pub(crate) fn top_of_working_tree() -> Result<PathBuf, GitError> {
    ask(&["rev-parse", "--show-toplevel"]).map(PathBuf::from)
}

/// This folder relative to the top of the work tree, empty at the top; `None` outside a work tree.
pub(crate) fn folder_in_working_tree() -> Option<String> {
    let prefix = git(&["rev-parse", "--show-prefix"])?;
    Some(prefix.trim_end_matches('/').to_owned())
}

/// The full name of the commit of a revision, if this clone has it.
pub(crate) fn commit_of(revision: &str) -> Result<String, GitError> {
    let commit = format!("{revision}^{{commit}}");
    ask(&["rev-parse", "--verify", "--end-of-options", &commit])
}

/// The parents of a commit, also at the boundary of a shallow clone.
pub(crate) fn parents(commit: &str) -> Result<Vec<String>, GitError> {
    let raw = output(Path::new("."), &["cat-file", "commit", commit])?;
    let raw = String::from_utf8_lossy(&raw);
    let headers = raw.lines().take_while(|line| !line.is_empty());
    let parents = headers.filter_map(|line| line.strip_prefix("parent "));
    Ok(parents.map(str::to_owned).collect())
}

/// Whether `one` is `other` or an ancestor of it.
pub(crate) fn is_ancestor(one: &str, other: &str) -> bool {
    git(&["merge-base", "--is-ancestor", one, other]).is_some()
}

/// Whether this clone is shallow.
pub(crate) fn is_shallow() -> bool {
    git(&["rev-parse", "--is-shallow-repository"]).is_some_and(|answer| answer == "true")
}

/// The merge base of two commits.
pub(crate) fn merge_base(one: &str, other: &str) -> Option<String> {
    git(&["merge-base", "--end-of-options", one, other])
        .and_then(|commits| commits.lines().next().map(str::to_owned))
}

/// The object at a path of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A file.
    File(Object),
    /// A folder.
    Folder(Object),
    /// Neither.
    Nothing,
}

/// A git object with its repository, which may be a submodule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    folder: PathBuf,
    name: String,
}

/// The object at a path from the top of the tree of a commit. Follows links inside the commit, and enters submodules at
/// their recorded commit.
pub(crate) fn entry(top: &Path, commit: &str, path: &Path) -> Result<Entry, GitError> {
    let name = path.as_os_str().as_encoded_bytes();
    if name.contains(&b'\n') {
        return Err(unreadable("its name has a line break"));
    }
    let asked = [commit.as_bytes(), b":", name, b"\n"].concat();
    let arguments = ["cat-file", "--batch-check", "--follow-symlinks"];
    let answer = succeeded(run_with(top, &arguments, &asked))?;
    let answer = String::from_utf8_lossy(&answer);
    let (first, rest) = answer.split_once('\n').unwrap_or((&answer, ""));
    let words: Vec<&str> = first.split(' ').collect();
    let object = |name: &str| Object {
        folder: top.to_owned(),
        name: name.to_owned(),
    };
    match words.as_slice() {
        [name, "blob", _] => Ok(Entry::File(object(name))),
        [name, "tree", _] => Ok(Entry::Folder(object(name))),
        ["symlink", _] => Err(GitError::Object(format!(
            "a link in that commit leads out of the repository, to `{}`",
            rest.trim_end()
        ))),
        ["dangling", _] if link(top, commit, path).is_some() => {
            Err(unreadable("a link in that commit has no target"))
        }
        ["loop", _] => Err(unreadable("links in that commit form a loop")),
        // A path through a file, or a missing path in a linked folder.
        ["notdir" | "dangling", _] => Ok(Entry::Nothing),
        [.., "missing"] => absent(top, commit, path),
        // An unknown answer of git.
        _ => Err(GitError::Object(format!(
            "unexpected answer of git: `{first}`"
        ))),
    }
}

/// `Nothing`, unless the path leads into a submodule, or this clone lacks the object.
fn absent(top: &Path, commit: &str, path: &Path) -> Result<Entry, GitError> {
    for folder in path.ancestors().filter(|folder| *folder != Path::new("")) {
        let line = listed(top, commit, folder)?;
        let Some(pinned) = line.strip_prefix(b"160000 commit ") else {
            continue;
        };
        let pinned = pinned.split(|byte| *byte == b'\t').next();
        let pinned = String::from_utf8_lossy(pinned.unwrap_or_default()).into_owned();
        let inside = top.join(folder);
        let rest = path.strip_prefix(folder).unwrap_or(path);
        let has_commit = || {
            let commit = format!("{pinned}^{{commit}}");
            output(&inside, &["cat-file", "-e", &commit]).is_ok()
        };
        if !inside.join(".git").exists() || !has_commit() {
            return Err(GitError::Object(format!(
                "it is in the submodule `{}`, and this clone does not have its commit {}: run `git submodule update --init {0}`, and `git fetch` in it",
                folder.display(),
                pinned.get(..10).unwrap_or(&pinned)
            )));
        }
        return entry(&inside, &pinned, rest);
    }
    if listed(top, commit, path)?.is_empty() {
        Ok(Entry::Nothing)
    } else {
        Err(unreadable("this clone does not have the object"))
    }
}

/// The line of a path from `git ls-tree`; empty if it does not exist.
fn listed(top: &Path, commit: &str, path: &Path) -> Result<Vec<u8>, GitError> {
    let mut listing = command(top, &["ls-tree", "-z", commit, "--"]);
    succeeded(listing.arg(path).output())
}

/// The target of the link at a path of a commit; `None` for anything but a link.
pub(crate) fn link(top: &Path, commit: &str, path: &Path) -> Option<PathBuf> {
    let line = String::from_utf8(listed(top, commit, path).ok()?).ok()?;
    let object = line.strip_prefix("120000 blob ")?.split('\t').next()?;
    let target = output(top, &["cat-file", "blob", object]).ok()?;
    Some(PathBuf::from(String::from_utf8(target).ok()?))
}

/// The bytes of a file's object.
pub(crate) fn blob(object: &Object) -> Result<Vec<u8>, GitError> {
    output(&object.folder, &["cat-file", "blob", &object.name])
}

/// The names in a folder's object.
pub(crate) fn names(object: &Object) -> Result<Vec<String>, GitError> {
    let listing = output(
        &object.folder,
        &["ls-tree", "--name-only", "-z", &object.name],
    )?;
    let names = parts(&listing).filter_map(|name| std::str::from_utf8(name).ok());
    Ok(names.map(str::to_owned).collect())
}

/// Whether git sees a file of the work tree as unchanged: converted line ends and files outside of a sparse work tree do
/// not count as changes.
pub(crate) fn is_as_committed(top: &Path, path: &Path) -> bool {
    // Only the submodule tracks paths inside it.
    let inside = path
        .ancestors()
        .skip(1)
        .find(|folder| *folder != Path::new("") && top.join(folder).join(".git").exists());
    let (folder, path) =
        match inside.and_then(|inside| Some((inside, path.strip_prefix(inside).ok()?))) {
            Some((inside, rest)) => (top.join(inside), rest),
            None => (top.to_owned(), path),
        };
    let mut command = command(
        &folder,
        &["--literal-pathspecs", "diff", "--quiet", "HEAD", "--"],
    );
    command
        .arg(path)
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Files of a commit with certain name endings and a line that matches the pattern; paths from the top.
pub(crate) fn with_line(
    top: &Path,
    commit: &str,
    form: &str,
    ends: &[&str],
) -> Result<Vec<PathBuf>, GitError> {
    let mut command = command(
        top,
        &["grep", "-l", "-z", "-I", "-E", "-e", form, commit, "--"],
    );
    let output = command.args(ends).output();
    // `git grep` exits with 1 where no file matches.
    let found = match output {
        Ok(output) if output.status.code() == Some(1) => Vec::new(),
        output => succeeded(output)?,
    };
    let prefix = format!("{commit}:");
    let names = parts(&found).filter_map(|name| std::str::from_utf8(name).ok());
    Ok(names
        .filter_map(|name| name.strip_prefix(&prefix))
        .map(PathBuf::from)
        .collect())
}

/// Path of a file in git's directory.
pub(crate) fn own_file(name: &str) -> Option<PathBuf> {
    git(&["rev-parse", "--git-path", name]).map(PathBuf::from)
}

fn unreadable(why: &str) -> GitError {
    GitError::Object(why.to_owned())
}

/// Git's output, or why it failed.
fn succeeded(output: std::io::Result<Output>) -> Result<Vec<u8>, GitError> {
    let output = output.map_err(|error| GitError::Object(error.to_string()))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(unreadable(String::from_utf8_lossy(&output.stderr).trim()))
    }
}

/// The trimmed output; `None` if git failed. Takes no locks and runs no hooks.
pub(crate) fn git(arguments: &[&str]) -> Option<String> {
    ask(arguments).ok()
}

/// The trimmed output, or why git failed.
fn ask(arguments: &[&str]) -> Result<String, GitError> {
    let output = command(Path::new("."), arguments).output();
    let output = output.map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            GitError::NotInstalled
        } else {
            GitError::Failed(error.to_string())
        }
    })?;
    if !output.status.success() {
        return Err(GitError::of(&String::from_utf8_lossy(&output.stderr)));
    }
    let text = String::from_utf8(output.stdout);
    let text =
        text.map_err(|error| GitError::Failed(format!("its output is not UTF-8: {error}")))?;
    Ok(text.trim().to_owned())
}

/// Git's output in a folder as bytes; `None` if it failed.
pub(crate) fn bytes(folder: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    output(folder, arguments).ok()
}

/// Git's output in a folder as bytes, or why it failed.
fn output(folder: &Path, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
    succeeded(command(folder, arguments).output())
}

/// The parts of output with NUL after each.
pub(crate) fn parts(output: &[u8]) -> impl Iterator<Item = &[u8]> {
    let parts = output.split(|byte| *byte == 0);
    parts.filter(|part| !part.is_empty())
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

/// Git in that folder, without hooks and other programs from the repository's configuration.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
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
        // Its messages are parsed, so they must be in English.
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    command
}
