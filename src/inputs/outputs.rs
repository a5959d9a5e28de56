//! The files that a command writes: all of them are checked before the work whose result they take, and written by one function.

use std::path::{Path, PathBuf};

use super::plan;
use super::policy::policy_path;
use crate::cli::bench::RunArgs;
use crate::cli::compare::{AuthorArgs, OutputArgs, PolicyArgs};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::failure::of_adapters::cannot_keep;
use crate::files::{self, Destination, FileError};
use crate::record::format::ResultFile;
use crate::terminal::{self, Output};
use crate::{record, secret};

/// The outputs and inputs of a command, by what names them.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    written: Vec<(&'static str, PathBuf)>,
    read: Vec<(String, PathBuf)>,
    /// Folders whose files are inputs.
    folders: Vec<PathBuf>,
}

impl Outputs {
    /// A file that is written where a path is given.
    pub(crate) fn writes<'a>(
        mut self,
        what: &'static str,
        path: impl Into<Option<&'a PathBuf>>,
    ) -> Self {
        let path = path.into().cloned();
        self.written.extend(path.map(|path| (what, path)));
        self
    }

    /// Reports.
    pub(crate) fn writes_reports(self, args: &OutputArgs) -> Self {
        self.writes("--html", args.html.as_ref())
            .writes("--markdown", args.markdown.as_ref())
            .writes("--junit", args.junit.as_ref())
    }

    /// A file that is read where a path is given.
    pub(crate) fn reads<'a>(
        mut self,
        what: impl Into<String>,
        path: impl Into<Option<&'a Path>>,
    ) -> Self {
        let path = path.into().map(Path::to_owned);
        self.read.extend(path.map(|path| (what.into(), path)));
        self
    }

    /// The configuration, and the data set where a flag names it.
    pub(crate) fn reads_plan(self, args: &RunArgs) -> Self {
        let config = args.config.as_deref();
        let dataset = args.load.dataset.as_deref().map(Path::new);
        self.reads(
            "the configuration",
            config.unwrap_or(Path::new(plan::USUAL_FILE)),
        )
        .reads("the data set", dataset)
    }

    /// The policy.
    pub(crate) fn reads_policy(self, args: &PolicyArgs) -> Self {
        self.reads("the policy", policy_path(args))
    }

    /// The author's word.
    pub(crate) fn reads_author(self, args: &AuthorArgs) -> Self {
        self.reads("--analysis", args.analysis.as_deref())
            .reads("--explanation", args.explanation.as_deref())
    }

    /// Files of baselines: one that is there is not to be overwritten by anything but `baseline update`.
    pub(crate) fn reads_folder(mut self, folder: &Path) -> Self {
        self.folders.extend(std::fs::canonicalize(folder).ok());
        self
    }

    /// Before something is measured: [`Self::check_names`], and that every output can be written.
    pub(crate) fn check(self) -> Result<(), Failure> {
        self.check_names()?;
        let mut paths = self.written.iter();
        paths.try_for_each(|(_, path)| files::check_writable(path).map_err(cannot_keep))
    }

    /// That no output is a folder, an input or the file of another output. Enough where nothing is measured: a file that
    /// cannot be written hides no verdict.
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
                return Err(usage(format!(
                    "{called} is the same file as that of {other}"
                )));
            }
            seen.push((what, destination));
        }
        Ok(())
    }
}

fn usage(message: String) -> Failure {
    Failure::message(ExitStatus::Usage, message).hint("give another path")
}

/// A folder in place of a file is a mistake; a file that cannot be written is one of the surroundings.
fn unfit(called: &str, error: &FileError) -> Failure {
    if error.kind() == std::io::ErrorKind::IsADirectory {
        usage(format!("{called} is a folder, not a file"))
    } else {
        cannot_keep(error)
    }
}

/// Writes a report where it was asked for; what goes to the process's own stdout or stderr passes its guarded writer.
pub(crate) fn write(path: &Path, output: Output, text: &str) -> Result<(), Failure> {
    match Destination::of(path).map_err(cannot_keep)? {
        Destination::Stdout => print(output, text),
        Destination::Stderr => {
            terminal::note(text.trim_end());
            Ok(())
        }
        Destination::File(_) | Destination::Stream(_) => {
            let text = match output {
                Output::Json => secret::masked_json(text),
                Output::Text | Output::Coloured => secret::masked(text),
            };
            tracing::debug!("writes `{}`", path.display());
            files::write_atomically(path, text.as_bytes()).map_err(cannot_keep)
        }
    }
}

/// Where a result grows while it is measured: the file itself, or, for a device or a pipe, which can be written only once,
/// a file of the system's temporary folder.
pub(crate) fn growing(path: &Path) -> Result<PathBuf, Failure> {
    match Destination::of(path).map_err(cannot_keep)? {
        Destination::File(_) => Ok(path.to_owned()),
        Destination::Stream(_) | Destination::Stdout | Destination::Stderr => elsewhere(path),
    }
}

/// Hands the finished result over where it grew elsewhere.
pub(crate) fn deliver(path: &Path, grown: &Path, result: &ResultFile) -> Result<(), Failure> {
    if path == grown {
        return Ok(());
    }
    let delivered = match Destination::of(path).map_err(cannot_keep)? {
        Destination::Stdout | Destination::Stderr => {
            let text = serde_json::to_string_pretty(result);
            let text = text.map_err(|error| Failure::new(ExitStatus::Bug, error))?;
            write(path, Output::Json, &text)
        }
        Destination::File(_) | Destination::Stream(_) => {
            record::save(path, result).map_err(cannot_keep)
        }
    };
    delivered.map_err(|failure| failure.hint(kept_in(grown)))?;
    // Only a folder that holds no server's log goes.
    let _left = std::fs::remove_file(grown);
    let _left = grown.parent().map(std::fs::remove_dir);
    Ok(())
}

/// Keeps a result that could not be written where it belongs; the failure names its place.
pub(crate) fn rescue(path: &Path, result: &ResultFile, failure: Failure) -> Failure {
    let rescued = elsewhere(path).and_then(|place| {
        record::save(&place, result).map_err(cannot_keep)?;
        Ok(place)
    });
    match rescued {
        Ok(place) => failure.hint(kept_in(&place)),
        Err(_) => failure,
    }
}

fn kept_in(place: &Path) -> String {
    format!("what was measured is kept in `{}`", place.display())
}

/// A file of the same name in a folder of its own among the temporary ones, which stays.
fn elsewhere(path: &Path) -> Result<PathBuf, Failure> {
    let folder = tempfile::Builder::new().prefix("perfgate-kept-").tempdir();
    let folder = folder.map_err(cannot_keep)?.keep();
    let is_file = path.extension().is_some();
    let name = path.file_name().filter(|_| is_file);
    Ok(folder.join(name.unwrap_or("result.json".as_ref())))
}

/// Data to stdout.
pub(crate) fn print(output: Output, text: &str) -> Result<(), Failure> {
    terminal::print(output, text).or_else(|error| {
        // A reader that has seen enough (`| head`) is no failure.
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Ok(())
        } else {
            Err(output_failure(error))
        }
    })
}

fn output_failure(error: std::io::Error) -> Failure {
    Failure::new(
        ExitStatus::SurroundingsFailed,
        anyhow::Error::new(error).context("cannot write to stdout"),
    )
}
