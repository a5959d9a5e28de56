//! Runs a program that may hang, as it does when the driver hangs.

use std::ffi::OsStr;
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// If the driver hangs, its programs hang too.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// Between two checks of a program that has not ended.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Answers have a few lines per GPU; more is not read.
const LONGEST_ANSWER: u64 = 4 << 20;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The program is not installed.
    NotInstalled,
    /// It ran and failed with this message.
    Failed {
        /// `exit status: 9`.
        status: String,
        /// Its message, from either stream.
        message: String,
    },
    /// Another error.
    Other(String),
}

impl NoAnswer {
    /// The message, for a program of that name.
    pub(super) fn describe(&self, name: &str) -> String {
        match self {
            Self::NotInstalled => format!("{name} is not installed"),
            Self::Failed { status, message } => {
                let message = message.lines().next().unwrap_or_default();
                format!("{name} failed ({status}): {message}")
            }
            Self::Other(reason) => format!("{name}{reason}"),
        }
    }
}

/// The program's stdout, within [`TIMEOUT`].
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
    // Read while waiting, so that a long answer does not fill the pipe and stop the program.
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
    let message = if stdout.trim().is_empty() {
        stderr
    } else {
        stdout
    };
    Err(NoAnswer::Failed {
        status: status.to_string(),
        message,
    })
}

fn wait(child: &mut Child) -> Result<std::process::ExitStatus, NoAnswer> {
    let began = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if began.elapsed() < TIMEOUT => std::thread::sleep(POLL_INTERVAL),
            Ok(None) => {
                // A program blocked in the kernel by a hung driver survives this, so it is not awaited.
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
        // The data before an error is the result.
        let _end = pipe.take(LONGEST_ANSWER).read_to_end(&mut bytes);
        bytes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_an_error_and_a_missing_program_are_distinguished() {
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
