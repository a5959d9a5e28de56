//! State of a git bisect: its ends, the remaining commits, the requested commit.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::GitError;
use super::work_tree;
use crate::bisect::Commit;
use crate::environment::GIT_LOCATION_VARIABLES;

/// Git's default names of both ends.
const DEFAULT_TERMS: [&str; 2] = ["bad", "good"];

/// Separator between fields of a commit; it does not occur in text.
const FIELD: char = '\u{1f}';

/// A repository and its folders.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    /// The top of the work tree.
    pub(crate) top: PathBuf,
    /// perfgate's folder for searches, inside the git directory of this work tree, which `git clean` and `git checkout` do
    /// not change.
    pub(crate) state: PathBuf,
}

/// A running git bisect.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    /// The ends at its start.
    pub(crate) first_good: String,
    pub(crate) first_bad: String,
    /// The bad end of the remaining commits, and every commit known to be good.
    bad: String,
    good: Vec<String>,
    skipped: Vec<String>,
    /// Whether only first parents are followed.
    pub(crate) first_parent: bool,
    /// Paths to which the search is limited.
    paths: Vec<String>,
}

/// The remaining commits of a search after an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Only this commit.
    One(String),
    /// Several, all of them skipped.
    OnlySkipped(Vec<String>),
    /// Number of commits that may still be the culprit.
    More(usize),
}

/// The answer for a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommitAnswer {
    Good,
    Bad,
    Skip,
}

impl Search {
    /// A good commit that descends from this one.
    pub(crate) fn good_after(&self, commit: &str) -> Option<&str> {
        let descends =
            |good: &&String| work_tree::merge_base(commit, good).as_deref() == Some(commit);
        self.good.iter().find(descends).map(String::as_str)
    }
}

impl Repository {
    /// The repository of the working folder, which must be the top of its work tree, as for `git bisect run`.
    pub(crate) fn here() -> Result<Self, GitError> {
        let here = Path::new(".");
        let top = work_tree::top_of_working_tree().map_err(|error| {
            if matches!(error, GitError::NoRepository | GitError::Failed(_)) {
                GitError::NoWorkTree
            } else {
                error
            }
        })?;
        if here.canonicalize().ok() != top.canonicalize().ok() {
            return Err(GitError::NotTheTop(top));
        }
        let directory = git(here, &["rev-parse", "--absolute-git-dir"])?;
        Ok(Self {
            top,
            state: Path::new(&directory).join("perfgate-bisect"),
        })
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> Result<String, GitError> {
        git(&self.top, arguments)
    }

    /// A file in git's directory, if it exists.
    fn file(&self, name: &str) -> Option<String> {
        let path = self.git(&["rev-parse", "--git-path", name]).ok()?;
        std::fs::read_to_string(self.top.join(path)).ok()
    }

    /// Whether the work tree has uncommitted changes.
    pub(crate) fn is_dirty(&self) -> Result<bool, GitError> {
        let changes = self.git(&["status", "--porcelain", "--ignore-submodules=none"])?;
        Ok(!changes.is_empty())
    }

    /// The full name of the commit of a revision.
    pub(crate) fn commit(&self, revision: &str) -> Result<String, GitError> {
        let named = format!("{revision}^{{commit}}");
        self.git(&[
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &named,
        ])
        .map_err(
            |_unknown| match self.git(&["rev-list", "--max-count=1", "--all"]) {
                Ok(commits) if commits.is_empty() => GitError::NoCommit,
                Ok(_) | Err(_) => GitError::UnknownCommit {
                    revision: revision.to_owned(),
                    is_shallow: work_tree::is_shallow(),
                },
            },
        )
    }

    /// The commit that git asks about; without a checkout it is in a reference.
    pub(crate) fn asked_about(&self) -> Result<String, GitError> {
        let head = self.git(&["rev-parse", "--verify", "--quiet", "BISECT_HEAD^{commit}"]);
        head.or_else(|_| self.commit("HEAD"))
    }

    /// A commit with its short id and subject.
    pub(crate) fn described(&self, id: &str) -> Result<Commit, GitError> {
        let text = self.git(&["show", "--no-patch", "--format=%H%x1f%an%x1f%s", id, "--"])?;
        let mut fields = text.splitn(3, FIELD).map(str::to_owned);
        let mut next = || fields.next().unwrap_or_default();
        Ok(Commit {
            id: next(),
            author: next(),
            subject: next(),
        })
    }

    /// Its parents.
    pub(crate) fn parents(&self, id: &str) -> Result<Vec<String>, GitError> {
        let line = self.git(&["rev-list", "--parents", "--max-count=1", id, "--"])?;
        Ok(line.split(' ').skip(1).map(str::to_owned).collect())
    }

    /// The running search, if it has both ends.
    pub(crate) fn search(&self) -> Result<Option<Search>, GitError> {
        let terms = self.file("BISECT_TERMS");
        let mut terms = terms.iter().flat_map(|terms| terms.lines());
        let [bad_term, good_term] = DEFAULT_TERMS.map(|usual| terms.next().unwrap_or(usual));
        let bad_ref = format!("refs/bisect/{bad_term}");
        let Ok(bad) = self.git(&["rev-parse", "--verify", "--quiet", &bad_ref]) else {
            return Ok(None);
        };
        let refs = |pattern: String| -> Result<Vec<String>, GitError> {
            let text = self.git(&["for-each-ref", "--format=%(objectname)", &pattern])?;
            Ok(text.lines().map(str::to_owned).collect())
        };
        let good = refs(format!("refs/bisect/{good_term}-*"))?;
        let log = self.file("BISECT_LOG").unwrap_or_default();
        // `# bad: [HASH] subject`; the first of each is the end at the start of the search.
        let first = |term: &str| {
            let mark = format!("# {term}: [");
            let id = log.lines().find_map(|line| line.strip_prefix(&mark))?;
            id.split_once(']').map(|(id, _)| id.to_owned())
        };
        let Some(first_good) = first(good_term).or_else(|| good.first().cloned()) else {
            return Ok(None);
        };
        Ok(Some(Search {
            first_good,
            first_bad: first(bad_term).unwrap_or_else(|| bad.clone()),
            bad,
            good,
            skipped: refs("refs/bisect/skip-*".to_owned())?,
            first_parent: self.file("BISECT_FIRST_PARENT").is_some(),
            paths: unquoted(&self.file("BISECT_NAMES").unwrap_or_default()),
        }))
    }

    /// The remaining commits after an answer for a commit.
    pub(crate) fn left(
        &self,
        search: &Search,
        commit: &str,
        answer: CommitAnswer,
    ) -> Result<Left, GitError> {
        let mut good = search.good.clone();
        let mut skipped = search.skipped.clone();
        let mut bad = search.bad.clone();
        match answer {
            CommitAnswer::Good => good.push(commit.to_owned()),
            CommitAnswer::Bad => commit.clone_into(&mut bad),
            CommitAnswer::Skip => skipped.push(commit.to_owned()),
        }
        let mut arguments = vec!["rev-list", &bad, "--not"];
        arguments.extend(good.iter().map(String::as_str));
        if search.first_parent {
            arguments.insert(1, "--first-parent");
        }
        arguments.push("--");
        arguments.extend(search.paths.iter().map(String::as_str));
        let text = self.git(&arguments)?;
        let mut suspects: Vec<String> = text.lines().map(str::to_owned).collect();
        // With paths, git omits the bad end if it does not change them.
        if !suspects.contains(&bad) {
            suspects.insert(0, bad.clone());
        }
        if let [only] = &suspects[..] {
            return Ok(Left::One(only.clone()));
        }
        let none_to_ask = suspects
            .iter()
            .all(|suspect| *suspect == bad || skipped.contains(suspect));
        Ok(if none_to_ask {
            Left::OnlySkipped(suspects)
        } else {
            Left::More(suspects.len())
        })
    }
}

/// The words of a line, each in single quotes.
fn unquoted(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut characters = line.trim().chars();
    while let Some(character) = characters.next() {
        match character {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if !quoted => word.get_or_insert_default().extend(characters.next()),
            ' ' if !quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

/// The trimmed output of git in that folder; an error contains its stderr.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> Result<String, GitError> {
    answer(work_tree::command(folder, arguments), arguments)
}

/// Runs git in another work tree, without the variables that locate the repository of the working folder.
pub(crate) fn git_elsewhere(folder: &Path, arguments: &[&str]) -> Result<String, GitError> {
    let mut command = work_tree::command(folder, arguments);
    for variable in GIT_LOCATION_VARIABLES {
        command.env_remove(variable);
    }
    // Messages about submodules are parsed, so they must be in English.
    command.env("LC_ALL", "C");
    answer(command, arguments)
}

fn answer(mut command: Command, arguments: &[&str]) -> Result<String, GitError> {
    let output = command.output().map_err(GitError::Run)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(GitError::Command {
        command: arguments.join(" "),
        stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_search_are_read_in_gits_format() {
        assert_eq!(
            unquoted(" 'src' 'a b' 'it'\\''s'\n"),
            ["src", "a b", "it's"]
        );
        assert!(unquoted("\n").is_empty());
    }
}
