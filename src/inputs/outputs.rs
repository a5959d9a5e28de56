//! Output files of a command, all checked before the measurement.

use std::path::{Path, PathBuf};

use super::plan;
use super::policy::policy_path;
use crate::cli::bench::RunArgs;
use crate::cli::compare::{AuthorArgs, OutputArgs, PolicyArgs};
use crate::failure::Failure;
use crate::failure::of_adapters::cannot_keep;
use crate::files::{self, Destination, FileError};

/// The lock file of a folder in use. It also marks a folder of perfgate.
pub(crate) const LOCK: &str = ".perfgate.lock";

/// The outputs and inputs of a command, with the options that set them.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    written: Vec<(&'static str, PathBuf)>,
    read: Vec<(String, PathBuf)>,
    /// Folders whose files are inputs.
    folders: Vec<PathBuf>,
}

impl Outputs {
    /// Adds an output, if a path is given.
    pub(crate) fn writes<'a>(
        mut self,
        what: &'static str,
        path: impl Into<Option<&'a PathBuf>>,
    ) -> Self {
        let path = path.into().cloned();
        self.written.extend(path.map(|path| (what, path)));
        self
    }

    /// Adds the reports.
    pub(crate) fn writes_reports(self, args: &OutputArgs) -> Self {
        self.writes("--html", args.html.as_ref())
            .writes("--markdown", args.markdown.as_ref())
            .writes("--junit", args.junit.as_ref())
    }

    /// Adds an input, if a path is given.
    pub(crate) fn reads<'a>(
        mut self,
        what: impl Into<String>,
        path: impl Into<Option<&'a Path>>,
    ) -> Self {
        let path = path.into().map(Path::to_owned);
        self.read.extend(path.map(|path| (what.into(), path)));
        self
    }

    /// Adds the configuration, and the data set of a flag.
    pub(crate) fn reads_plan(self, args: &RunArgs) -> Self {
        let config = args.config.as_deref();
        let dataset = args.load.dataset.as_deref().map(Path::new);
        self.reads(
            "the configuration",
            config.unwrap_or(Path::new(plan::DEFAULT_FILE)),
        )
        .reads("the data set", dataset)
    }

    /// The policy.
    pub(crate) fn reads_policy(self, args: &PolicyArgs) -> Self {
        self.reads("the policy", policy_path(args))
    }

    /// Text of the author.
    pub(crate) fn reads_author(self, args: &AuthorArgs) -> Self {
        self.reads("--analysis", args.analysis.as_deref())
            .reads("--explanation", args.explanation.as_deref())
    }

    /// Adds a folder of baselines: only `baseline update` may overwrite its files.
    pub(crate) fn reads_folder(mut self, folder: &Path) -> Self {
        self.folders.extend(std::fs::canonicalize(folder).ok());
        self
    }

    /// Before a measurement: [`Self::check_names`], and that every output is writable.
    pub(crate) fn check(self) -> Result<(), Failure> {
        self.check_names()?;
        let mut paths = self.written.iter();
        paths.try_for_each(|(_, path)| files::check_writable(path).map_err(cannot_keep))
    }

    /// Checks that no output is a folder, an input or the file of another output. Sufficient without a measurement, because a
    /// write error then loses no result.
    pub(crate) fn check_names(&self) -> Result<(), Failure> {
        let mut seen: Vec<(&str, Destination)> = Vec::new();
        for (what, path) in &self.written {
            let called = format!("{what} `{}`", path.display());
            let destination = Destination::of(path).map_err(|error| unfit(&called, &error))?;
            let input = self
                .read
                .iter()
                .find(|(_, input)| destination.is_also(input));
            if let Some((input, _)) = input {
                return Err(usage(format!(
                    "{called} would overwrite {input}, which is an input"
                )));
            }
            if let Destination::File(file) = &destination
                && file.is_file()
                && self.folders.iter().any(|folder| file.starts_with(folder))
            {
                let message = format!("{called} would overwrite a file of the baselines");
                return Err(usage(message));
            }
            let twice = seen.iter().find(
                |(_, other)| matches!(other, Destination::File(file) if destination.is_also(file)),
            );
            if let Some((other, _)) = twice {
                return Err(usage(format!("{called} is the same file as {other}")));
            }
            seen.push((what, destination));
        }
        Ok(())
    }
}

fn usage(message: String) -> Failure {
    Failure::usage(message).hint("use another path")
}

/// A folder in place of a file is a usage error; an unwritable file is an error of the environment.
fn unfit(called: &str, error: &FileError) -> Failure {
    if error.kind() == std::io::ErrorKind::IsADirectory {
        usage(format!("{called} is a folder, not a file"))
    } else {
        cannot_keep(error)
    }
}
