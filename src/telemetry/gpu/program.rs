//! Asking a program that may hang, as it does when the driver does.

use std::ffi::OsStr;
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// With a hung driver its programs hang too.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// Between two looks at a program that has not ended.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Answers are a few lines a GPU; more is not read.
const LONGEST_ANSWER: u64 = 4 << 20;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// There is no such program.
    NotInstalled,
    /// It ran and complained, in these words.
    Failed {
        /// `exit status: 9`.
        status: String,
        /// What it said, on whichever stream.
        said: String,
    },
    /// Anything else.
    Other(String),
}

impl NoAnswer {
    /// In words, for a program of that name.
    pub(super) fn describe(&self, name: &str) -> String {
        match self {
            Self::NotInstalled => format!("{name} is not installed"),
            Self::Failed { status, said } => {
                let said = said.lines().next().unwrap_or_default();
                format!("{name} failed ({status}): {said}")
            }
            Self::Other(reason) => format!("{name}{reason}"),
        }
    }
}

/// What the program says to stdout, within [`TIMEOUT`].
pub(super) fn ask(program: &Path, arguments: &[impl AsRef<OsStr>]) -> Result<String, NoAnswer> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            if error.kind() == ErrorKind::NotFound {
                NoAnswer::NotInstalled
            } else {
                NoAnswer::Other(format!(": {error}"))
            }
        })?;
    // Read beside the waiting, so that a long answer does not fill the pipe and stop the program.
    let readers = [child.stdout.take().map(read), child.stderr.take().map(read)];
    let status = wait(&mut child)?;
    let [stdout, stderr] = readers.map(|reader| {
        let bytes = reader.and_then(|reader| reader.join().ok());
        String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
    });
    if status.success() {
        return Ok(stdout);
    }
    // nvidia-smi prints its errors to stdout.
    let said = if stdout.trim().is_empty() {
        stderr
    } else {
        stdout
    };
    Err(NoAnswer::Failed {
        status: status.to_string(),
        said,
    })
}

fn wait(child: &mut Child) -> Result<std::process::ExitStatus, NoAnswer> {
    let began = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if began.elapsed() < TIMEOUT => std::thread::sleep(LOOK_AGAIN),
            Ok(None) => {
                // In the kernel, where a hung driver keeps it, even this does not end it: nobody waits for that.
                let _gone = child.kill();
                return Err(NoAnswer::Other(format!(
                    " did not answer within {} s",
                    TIMEOUT.as_secs()
                )));
            }
            Err(error) => return Err(NoAnswer::Other(format!(": {error}"))),
        }
    }
}

fn read(pipe: impl std::io::Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error is what there is.
        let _end = pipe.take(LONGEST_ANSWER).read_to_end(&mut bytes);
        bytes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_a_complaint_and_a_missing_program_are_told_apart() {
        let shell = Path::new("/bin/sh");
        assert_eq!(ask(shell, &["-c", "echo 1"]), Ok("1\n".to_owned()));
        let failed = ask(shell, &["-c", "echo no >&2; exit 9"]).unwrap_err();
        assert_eq!(
            failed.describe("x-smi"),
            "x-smi failed (exit status: 9): no"
        );
        let missing = ask(Path::new("no-such-smi"), &["-c"]).unwrap_err();
        assert_eq!(missing, NoAnswer::NotInstalled);
    }
}
