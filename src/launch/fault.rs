//! Who has to act when a launch fails, and how a server ended.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

/// Who has to act when a launch fails; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server under test (exit code 5).
    Target,
    /// The machine, the container engine, the network (exit code 6).
    Environment,
    /// The configuration (exit code 2).
    Configuration,
    /// perfgate was interrupted (exit code 130).
    Interrupted,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// Exit code, unless a signal ended it.
    pub code: Option<i64>,
    /// Signal that ended it.
    pub signal: Option<i32>,
    /// Whether the kernel killed it because memory ran out.
    pub out_of_memory: bool,
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        Self {
            code: status.code().map(i64::from),
            signal: status.signal(),
            out_of_memory: false,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (_, Some(signal)) => write!(f, "by signal {signal}")?,
            (Some(code), None) => write!(f, "with exit code {code}")?,
            (None, None) => f.write_str("in an unknown way")?,
        }
        if self.out_of_memory {
            f.write_str(" because memory ran out")?;
        }
        Ok(())
    }
}
