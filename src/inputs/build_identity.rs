//! Identifies a build of a version, as far as visible on this machine: the commit, uncommitted changes, build output, and
//! the environment that the server inherits.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::outputs::LOCK;
use crate::baseline::Location;
use crate::cli::gate::GateArgs;
use crate::config::{Plan, ProcessPlan, ServerPlan};
use crate::environment::Environment;
use crate::git::work_tree;

/// Larger files are identified by size and modification time: builds replace them, and reading them takes seconds.
const MAX_READ: u64 = 16 << 20;

/// Maximum bytes read in total, for the same reason.
const MAX_TOTAL_READ: u64 = 512 << 20;

/// Files of servers, interpreters or tests that change without another build.
const BY_PRODUCTS: [&str; 7] = [
    "__pycache__",
    ".cache",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    "node_modules",
    ".git",
];

/// Endings of such files.
const BY_PRODUCT_ENDINGS: [&str; 6] = ["log", "pid", "pyc", "tmp", "lock", "sock"];

/// Prefixes of variables that differ between jobs and shells of the same build.
const OF_THE_SESSION: [&str; 15] = [
    "GITHUB_",
    "ACTIONS_",
    "RUNNER_",
    "INPUT_",
    "CI_",
    "BUILDKITE",
    "JENKINS_",
    "GITLAB_",
    "PERFGATE",
    "SSH_",
    "XDG_",
    "DBUS_",
    "NEXTEST",
    "SYSTEMD_",
    "TERM",
];

/// Names of such variables, and of credentials that are new for every job.
const OF_THE_JOB: [&str; 24] = [
    "_",
    "PWD",
    "OLDPWD",
    "SHLVL",
    "HOSTNAME",
    "COLUMNS",
    "LINES",
    "TMPDIR",
    "TEMP",
    "TMP",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "WINDOWID",
    "STATE",
    "BUILD_ID",
    "BUILD_NUMBER",
    "BUILD_TAG",
    "BUILD_URL",
    "BUILD_DISPLAY_NAME",
    "EXECUTOR_NUMBER",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "GH_TOKEN",
];

/// Variables of a step of GitHub Actions that name files which the step writes.
const FILES_OF_THE_STEP: [&str; 4] = [
    "GITHUB_OUTPUT",
    "GITHUB_ENV",
    "GITHUB_STEP_SUMMARY",
    "GITHUB_EVENT_PATH",
];

/// Files that perfgate or the job writes without a build.
#[derive(Clone, Debug, Default)]
pub(crate) struct Own {
    paths: Vec<PathBuf>,
    /// The top of the work tree.
    top: PathBuf,
}

impl Own {
    /// The files of a gate with its evidence folder.
    pub(crate) fn of_gate(args: &GateArgs, evidence: &Path, environment: &Environment) -> Self {
        let mut own = vec![args.output.clone(), evidence.to_owned()];
        if let Location::Folder(folder) = &args.accepted.storage.baselines {
            own.push(folder.clone());
        }
        let named = [&args.junit, &args.accepted.baseline, &args.accepted.ledger];
        own.extend(named.into_iter().flatten().cloned());
        let of_the_step = FILES_OF_THE_STEP.iter();
        let of_the_step = of_the_step.filter_map(|name| environment(name));
        own.extend(of_the_step.map(PathBuf::from));
        Self::at(own)
    }

    /// The files at and below these paths.
    fn at(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        // A missing file is resolved by its existing folder.
        let resolved = |path: PathBuf| {
            let absolute = std::path::absolute(&path).ok()?;
            let exact = absolute.canonicalize().ok();
            exact.or_else(|| {
                let folder = absolute.parent()?.canonicalize().ok()?;
                Some(folder.join(absolute.file_name()?))
            })
        };
        let top = work_tree::top_of_working_tree().ok();
        let top = top.and_then(|top| top.canonicalize().ok());
        let top = top.unwrap_or_default();
        // An output folder at the top of the tree does not own the whole tree.
        let is_within = |path: &PathBuf| !top.starts_with(path);
        let paths = paths.into_iter().filter_map(resolved).filter(is_within);
        Self {
            paths: paths.collect(),
            top,
        }
    }

    fn has(&self, path: &Path) -> bool {
        let mut folders = path.ancestors().skip(1);
        let mut above = folders.by_ref().take_while(|folder| *folder != self.top);
        self.paths.iter().any(|own| path.starts_with(own))
            || above.any(|folder| folder.join(LOCK).is_file())
    }

    /// The files below a folder, to exclude from git commands.
    fn below<'a>(&'a self, top: &'a Path) -> impl Iterator<Item = &'a Path> {
        let below = self
            .paths
            .iter()
            .filter_map(move |own| own.strip_prefix(top).ok());
        below.filter(|path| !path.as_os_str().is_empty())
    }
}

/// A build's name, equal for equal builds; `None` without a commit, where a re-run cannot be distinguished from another build.
pub(crate) fn name(
    plan: &Plan,
    base_plan: Option<&Plan>,
    own: &Own,
    variables: &[(String, String)],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Option<String> {
    let top = work_tree::top_of_working_tree().ok()?.canonicalize().ok()?;
    let mut seen = Seen::default();
    let servers = [&plan.server, &plan.base].into_iter().flatten();
    let is_local = |server: &ServerPlan| matches!(server, ServerPlan::Process(_));
    let local = servers.clone().any(is_local);
    seen.tree(&top, own, local)?;
    // It contains values of variables, so only the digest leaves this function.
    seen.part("plan", format!("{plan:?}\n{base_plan:?}").as_bytes());
    for server in servers {
        match server {
            ServerPlan::Process(process) => seen.process(process, variables),
            ServerPlan::Docker(docker) => {
                for name in &docker.env {
                    let value = lookup(name).unwrap_or_default();
                    seen.part(name, value.as_bytes());
                }
                for volume in &docker.volumes {
                    let host = volume.split(':').next().unwrap_or_default();
                    seen.file(Path::new(host), Path::new(host));
                }
            }
            ServerPlan::Simulator(_) | ServerPlan::Url(_) => {}
        }
    }
    Some(seen.name())
}

/// What the name of a build covers, if the server uses files of this machine that are not all known.
pub(crate) fn coverage(plan: &Plan) -> Option<&'static str> {
    match plan.server {
        Some(ServerPlan::Process(_)) => Some(
            "the commit; changed, untracked, ignored and submodule files of this tree; files named in the command; and the environment; but not files that the server loads from elsewhere, such as installed packages",
        ),
        Some(ServerPlan::Url(_)) => Some(
            "the commit and its changes, and the version and fingerprint that the server reports; but not other parts behind the URL",
        ),
        Some(ServerPlan::Docker(_) | ServerPlan::Simulator(_)) | None => None,
    }
}

/// All content read so far.
#[derive(Default)]
struct Seen {
    hash: Sha256,
    read: u64,
    /// Files that are already read.
    files: BTreeSet<PathBuf>,
}

impl Seen {
    fn name(self) -> String {
        format!("sha256:{:x}", self.hash.finalize())
    }

    /// Each part has its length before it, so that parts cannot merge.
    fn part(&mut self, name: &str, bytes: &[u8]) {
        for part in [name.as_bytes(), bytes] {
            self.hash.update((part.len() as u64).to_le_bytes());
            self.hash.update(part);
        }
    }

    /// A work tree with its submodules, and ignored files if the server uses them.
    fn tree(&mut self, top: &Path, own: &Own, with_ignored: bool) -> Option<()> {
        self.part("commit", &git(top, "rev-parse HEAD", &[])?);
        let excluded = own.below(top);
        let excluded = excluded.map(|path| format!(":(exclude,top,literal){}", path.display()));
        let changes = "diff HEAD --no-ext-diff --no-textconv --binary --ignore-submodules=all -- .";
        self.part(
            "changes",
            &git(top, changes, &excluded.collect::<Vec<_>>())?,
        );
        for path in listed(top, "ls-files --others --exclude-standard -z")? {
            self.beside(top, &path, own, with_ignored);
        }
        if with_ignored {
            for path in listed(top, "ls-files --others --ignored --exclude-standard -z")? {
                if !is_by_product(&path) {
                    self.beside(top, &path, own, with_ignored);
                }
            }
        }
        for path in submodules(&git(top, "ls-files --stage -z", &[])?) {
            let folder = top.join(&path);
            // A submodule that is not checked out contains no files.
            if folder.join(".git").exists() {
                self.part("submodule", path.as_os_str().as_bytes());
                self.tree(&folder, own, with_ignored)?;
            }
        }
        Some(())
    }

    /// An untracked file or nested repository.
    fn beside(&mut self, top: &Path, path: &Path, own: &Own, with_ignored: bool) {
        let whole = top.join(path);
        // Results of perfgate do not count, wherever they are.
        if own.has(&whole) || work_tree::is_own_output(&whole) {
            return;
        }
        if whole.is_dir() && !whole.is_symlink() {
            self.part("repository", path.as_os_str().as_bytes());
            let known = self.tree(&whole, own, with_ignored);
            self.part("known", &[u8::from(known.is_some())]);
        } else {
            self.file(&whole, path);
        }
    }

    /// The files named in a command, and its environment.
    fn process(&mut self, process: &ProcessPlan, variables: &[(String, String)]) {
        let folder = process.directory.clone().unwrap_or_default();
        for (index, word) in process.command.iter().enumerate() {
            // `--config=FILE` also names a file.
            let value = word
                .split_once('=')
                .map_or(word.as_str(), |(_, value)| value);
            let path = folder.join(value);
            if index == 0 && !word.contains('/') {
                if let Some(program) = on_search_path(word, variables) {
                    self.file(&program, &program);
                }
            } else if path.is_file() {
                self.file(&path, &path);
            }
        }
        let mut handed: Vec<&(String, String)> = variables
            .iter()
            .filter(|(name, _)| is_handed(name) && !process.env.contains_key(name))
            .collect();
        handed.sort();
        for (name, value) in handed {
            self.part(name, value.as_bytes());
        }
    }

    /// A file by its contents and name, a large file by its size and time, an unreadable file by its name.
    fn file(&mut self, path: &Path, name: &Path) {
        if !self.files.insert(path.to_owned()) {
            return;
        }
        self.part("file", name.as_os_str().as_bytes());
        if let Ok(target) = path.read_link() {
            self.part("link", target.as_os_str().as_bytes());
        }
        let Ok(about) = path.metadata() else { return };
        if !about.is_file() {
            return;
        }
        self.part("mode", &(about.mode() & 0o111).to_le_bytes());
        let size = about.len();
        if size <= MAX_READ && self.read + size <= MAX_TOTAL_READ {
            let mut bytes = Vec::new();
            let read = std::fs::File::open(path)
                .and_then(|file| file.take(MAX_READ + 1).read_to_end(&mut bytes));
            if read.is_ok() {
                self.read += bytes.len() as u64;
                self.part("contents", &Sha256::digest(&bytes));
                return;
            }
        }
        let changed = (about.mtime(), about.mtime_nsec());
        self.part("size and time", format!("{size} {changed:?}").as_bytes());
    }
}

/// Whether a variable of this process may affect a server.
fn is_handed(name: &str) -> bool {
    let mut of_the_session = OF_THE_SESSION.iter();
    !OF_THE_JOB.contains(&name) && !of_the_session.any(|beginning| name.starts_with(beginning))
}

fn is_by_product(path: &Path) -> bool {
    let is_one = |name: Option<&OsStr>, of: &[&str]| {
        name.is_some_and(|name| of.iter().any(|other| name == *other))
    };
    path.iter().any(|name| is_one(Some(name), &BY_PRODUCTS))
        || is_one(path.extension(), &BY_PRODUCT_ENDINGS)
}

/// Path of a program on the search path.
fn on_search_path(program: &str, variables: &[(String, String)]) -> Option<PathBuf> {
    let (_, folders) = variables.iter().find(|(name, _)| name == "PATH")?;
    let mut candidates = folders
        .split(':')
        .map(|folder| Path::new(folder).join(program));
    candidates.find(|path| path.is_file())
}

/// Output of git for a line of words without blanks, with further words.
fn git(top: &Path, words: &str, more: &[String]) -> Option<Vec<u8>> {
    let words = words.split(' ').chain(more.iter().map(String::as_str));
    work_tree::bytes(top, &words.collect::<Vec<_>>())
}

/// The paths in git's NUL-separated output, sorted.
fn listed(top: &Path, words: &str) -> Option<Vec<PathBuf>> {
    let output = git(top, words, &[])?;
    let paths = work_tree::parts(&output).map(|part| PathBuf::from(OsStr::from_bytes(part)));
    let mut paths: Vec<PathBuf> = paths.collect();
    paths.sort();
    Some(paths)
}

/// Paths of submodules in `git ls-files --stage -z`: `160000 OBJECT 0\tPATH`.
fn submodules(output: &[u8]) -> Vec<PathBuf> {
    let paths = work_tree::parts(output).filter_map(|line| {
        let rest = line.strip_prefix(b"160000 ")?;
        let tab = rest.iter().position(|byte| *byte == b'\t')?;
        Some(PathBuf::from(OsStr::from_bytes(&rest[tab + 1..])))
    });
    paths.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submodules_are_the_entries_that_are_commits() {
        let stage =
            b"100644 aaaa 0\tREADME\x00160000 bbbb 0\tthird party/vllm\x00120000 cccc 0\tlink\x00";
        assert_eq!(submodules(stage), [PathBuf::from("third party/vllm")]);
    }

    #[test]
    fn variables_that_differ_between_jobs_do_not_change_the_build() {
        for name in ["GITHUB_RUN_ID", "RUNNER_TEMP", "PWD", "AWS_SESSION_TOKEN"] {
            assert!(!is_handed(name), "{name}");
        }
        for name in [
            "VLLM_USE_V1",
            "CUDA_VISIBLE_DEVICES",
            "ENGINE_SPEED",
            "LD_PRELOAD",
            "PATH",
        ] {
            assert!(is_handed(name), "{name}");
        }
    }

    #[test]
    fn files_of_runs_do_not_change_the_build_and_a_library_does() {
        for path in ["a/__pycache__/b.so", "server.log", "x/.cache/y"] {
            assert!(is_by_product(Path::new(path)), "{path}");
        }
        for path in ["build/speed", "vllm/_C.abi3.so", "dist/server"] {
            assert!(!is_by_product(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn parts_do_not_merge() {
        let name = |parts: &[(&str, &str)]| {
            let mut seen = Seen::default();
            for (name, value) in parts {
                seen.part(name, value.as_bytes());
            }
            seen.name()
        };
        assert_ne!(name(&[("a", "bc")]), name(&[("ab", "c")]));
        assert_ne!(name(&[("a", ""), ("b", "")]), name(&[("a", "b"), ("", "")]));
    }

    #[test]
    fn a_file_is_identified_by_its_contents_and_not_by_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("speed");
        let name = |text: &str| {
            crate::files::write_atomically(&path, text.as_bytes()).unwrap();
            let mut seen = Seen::default();
            seen.file(&path, &path);
            seen.name()
        };
        assert_eq!(name("1"), name("1"));
        assert_ne!(name("1"), name("1.5"));
    }
}
