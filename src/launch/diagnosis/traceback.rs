//! The exception that ended a server, among those that its processes print. Pure.
//!
//! vLLM has several processes: workers, an engine core, an API server. If one fails, those above it fail too, and each
//! prints a traceback. Some exceptions are only logged, and the process continues.

use std::collections::{BTreeMap, BTreeSet};

/// First line of a traceback.
const TRACEBACK: &str = "Traceback (most recent call last):";

/// Separates an exception from the one that was raised because of it or while it was handled.
const CHAINS: [&str; 2] = [
    "The above exception was the direct cause",
    "During handling of the above exception",
];

/// Texts of a process that failed because another one failed.
const CONSEQUENCES: [&str; 10] = [
    "Engine core initialization failed",
    "Engine process failed to start",
    "WorkerProc initialization failed",
    "See root cause above",
    "See stack trace",
    "check the stack trace above",
    "EngineDeadError",
    "EngineCore encountered an issue",
    "died unexpectedly",
    "SystemExit: ",
];

/// Lines of one message that are read.
const LONGEST_MESSAGE: usize = 12;

/// The process that prints, in the order in which processes fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Worker,
    Core,
    Server,
}

/// An exception: the lines of its message, without the log's prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exception<'a> {
    /// `ValueError: …` and what follows it.
    pub(super) message: Vec<&'a str>,
}

impl Exception<'_> {
    fn is_consequence(&self) -> bool {
        self.message
            .iter()
            .any(|line| CONSEQUENCES.iter().any(|text| line.contains(text)))
    }
}

/// Exceptions, each raised because of the one before it.
#[derive(Clone, Debug)]
struct Chain<'a> {
    role: Role,
    tag: &'a str,
    /// Whether its process, the API server, printed an ordinary line later, so it continued.
    is_survived: bool,
    exceptions: Vec<Exception<'a>>,
}

/// What is read from one process at the moment.
#[derive(Debug, Default)]
enum State<'a> {
    #[default]
    Outside,
    Frames,
    Message(Vec<&'a str>),
}

/// What one process has printed so far.
#[derive(Debug, Default)]
struct Source<'a> {
    state: State<'a>,
    /// Whether the next traceback belongs to the chain before it.
    goes_on: bool,
    /// Index of its last chain.
    chain: Option<usize>,
}

/// The exceptions that ended the process that failed first: the last one first, then those that it was raised from.
/// Empty if no process printed one.
pub(super) fn fatal<'a>(log: &'a [String]) -> Vec<Exception<'a>> {
    let chains = chains(log);
    let last_of = |role: Role| chains.iter().rev().find(|chain| chain.role == role);
    let is_root = |chain: &&Chain<'a>| {
        let last = chain.exceptions.last();
        !chain.is_survived && last.is_some_and(|exception| !exception.is_consequence())
    };
    let (server, core) = (last_of(Role::Server), last_of(Role::Core));
    let found = match core {
        // Independent of later output of the API server.
        Some(core) if is_root(&core) => Some(core),
        None if server.as_ref().is_some_and(is_root) => server,
        // Forwarded to a worker: take the first that failed, because the others fail once it has ended.
        Some(_) | None => {
            let mut workers = chains.iter().filter(|chain| chain.role == Role::Worker);
            workers.find(is_root).or(server.filter(is_root))
        }
    };
    let mut exceptions = found
        .map(|chain| chain.exceptions.clone())
        .unwrap_or_default();
    exceptions.reverse();
    exceptions
}

/// Line numbers of tracebacks, including their messages.
pub(super) fn lines_of_tracebacks(log: &[String]) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut inside: BTreeMap<&str, bool> = BTreeMap::new();
    for (at, line) in log.iter().enumerate() {
        let Line { key, body, .. } = Line::of(line);
        let is_inside = inside.entry(key).or_default();
        if body == TRACEBACK {
            *is_inside = true;
        }
        if *is_inside {
            found.insert(at);
            // The message ends it.
            *is_inside = body == TRACEBACK || body.starts_with([' ', '\t']) || body.is_empty();
        }
    }
    found
}

/// All tracebacks, in the order in which their processes printed the last line of each.
fn chains<'a>(log: &'a [String]) -> Vec<Chain<'a>> {
    let mut chains: Vec<Chain<'a>> = Vec::new();
    let mut sources: BTreeMap<&'a str, Source<'a>> = BTreeMap::new();
    let mut announced = None;
    for line in log {
        let Line { key, tag, body } = Line::of(line);
        if let Some(process) = body.strip_prefix("Process ").filter(|_| tag.is_empty()) {
            announced = process.ends_with(':').then(|| role_of(process));
        }
        if !tag.is_empty() && Line::is_harmless(line) {
            for chain in &mut chains {
                chain.is_survived |= chain.role == Role::Server && chain.tag == tag;
            }
        }
        let source = sources.entry(key).or_default();
        source.take(body, &mut chains, || {
            let role = if tag.is_empty() {
                announced.take().unwrap_or(Role::Server)
            } else {
                role_of(tag)
            };
            (role, tag)
        });
    }
    for source in sources.values_mut() {
        source.finish(&mut chains);
    }
    chains
}

impl<'a> Source<'a> {
    fn take(
        &mut self,
        body: &'a str,
        chains: &mut Vec<Chain<'a>>,
        whose: impl FnOnce() -> (Role, &'a str),
    ) {
        if body == TRACEBACK {
            self.finish(chains);
            self.state = State::Frames;
            if !std::mem::take(&mut self.goes_on) || self.chain.is_none() {
                self.chain = Some(chains.len());
                let (role, tag) = whose();
                chains.push(Chain {
                    role,
                    tag,
                    is_survived: false,
                    exceptions: Vec::new(),
                });
            }
            return;
        }
        if CHAINS.iter().any(|text| body.contains(text)) {
            self.finish(chains);
            self.goes_on = true;
            return;
        }
        match &mut self.state {
            State::Outside => self.goes_on &= body.trim().is_empty(),
            State::Frames => {
                if !body.starts_with([' ', '\t']) && !body.trim().is_empty() {
                    self.state = State::Message(vec![body]);
                }
            }
            State::Message(message) => {
                // A message continues over indented lines and short field names, and for NCCL over its last error. An empty line
                // ends it.
                let is_nccl = || {
                    let of_nccl = message.iter().any(|line| line.contains("NCCL error"));
                    of_nccl && !body.is_empty()
                };
                let goes_on = body.starts_with([' ', '\t']) || is_field(body) || is_nccl();
                if goes_on && message.len() < LONGEST_MESSAGE {
                    message.push(body);
                } else {
                    self.finish(chains);
                }
            }
        }
    }

    fn finish(&mut self, chains: &mut [Chain<'a>]) {
        if let State::Message(message) = std::mem::take(&mut self.state)
            && let Some(chain) = self.chain.and_then(|at| chains.get_mut(at))
        {
            chain.exceptions.push(Exception { message });
        }
    }
}

/// A pydantic line that names a field, `dtype` or `config.seed`.
fn is_field(body: &str) -> bool {
    !body.is_empty()
        && body
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '[' | ']'))
}

/// A line of the log without its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Identifies lines that belong together: everything before the time, and whether there is a time.
    key: &'a str,
    /// `EngineCore pid=34`; empty if absent.
    tag: &'a str,
    /// The text of the line.
    pub(super) body: &'a str,
}

/// Levels of lines that do not explain an end.
const HARMLESS: [&str; 4] = ["INFO", "DEBUG", "WARNING", "WARN"];

impl<'a> Line<'a> {
    /// `(EngineCore pid=34) ERROR 11-24 03:47:31 [core.py:1510] text`.
    pub(super) fn of(line: &'a str) -> Self {
        let (tag, rest) = match line
            .strip_prefix('(')
            .and_then(|rest| rest.split_once(") "))
        {
            Some((tag, rest)) if tag.contains("pid=") || tag.contains("rank=") => (tag, rest),
            Some(_) | None => ("", line),
        };
        let level = rest.split(' ').next().unwrap_or_default();
        let is_level = ["ERROR", "CRITICAL"].contains(&level) || HARMLESS.contains(&level);
        let body = is_level
            .then(|| rest.split_once(']').map(|(_, body)| body))
            .flatten();
        // Lines with a level and lines without one arrive by two ways, so their relative order is unknown.
        let key = &line[..line.len() - rest.len() + if body.is_some() { level.len() } else { 0 }];
        let body = body.map_or(rest, |body| body.strip_prefix(' ').unwrap_or(body));
        Self { key, tag, body }
    }

    /// Whether the line is only a remark: by its level, or by the prefix of `PyTorch`'s warnings.
    pub(super) fn is_harmless(line: &'a str) -> bool {
        let of = Self::of(line);
        let level = of.key.rsplit(' ').next().unwrap_or_default();
        let is_torch = line.starts_with("[W") || line.starts_with("[I");
        HARMLESS.contains(&level) || is_torch
    }
}

fn role_of(tag: &str) -> Role {
    if tag.contains("Worker") {
        Role::Worker
    } else if tag.contains("EngineCore") || tag.contains("SpawnProcess") {
        Role::Core
    } else {
        Role::Server
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    fn last(text: &str) -> String {
        let log = lines(text);
        let found = fatal(&log);
        let first = found.first().map(|found| found.message.join("\n"));
        first.unwrap_or_default()
    }

    const HANDLED: &str = "(APIServer pid=1) ERROR 11-24 03:47:05 [registry.py:640] Error saving model info cache.\n\
        (APIServer pid=1) ERROR 11-24 03:47:05 [registry.py:640] Traceback (most recent call last):\n\
        (APIServer pid=1) ERROR 11-24 03:47:05 [registry.py:640]   File \"registry.py\", line 636, in _save\n\
        (APIServer pid=1) ERROR 11-24 03:47:05 [registry.py:640] PermissionError: [Errno 13] Permission denied: '/.cache'\n";

    const CORE: &str = "(EngineCore pid=34) ERROR 11-24 03:47:31 [core.py:1510] EngineCore failed to start.\n\
        (EngineCore pid=34) ERROR 11-24 03:47:31 [core.py:1510] Traceback (most recent call last):\n\
        (EngineCore pid=34) ERROR 11-24 03:47:31 [core.py:1510]   File \"core.py\", line 1482, in run\n\
        (EngineCore pid=34) ERROR 11-24 03:47:31 [core.py:1510] ValueError: awq is not supported\n\
        Process EngineCore:\n\
        Traceback (most recent call last):\n  File \"core.py\", line 1482, in run\nValueError: awq is not supported\n\
        Traceback (most recent call last):\n  File \"main.py\", line 120, in main\n\
        RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}\n";

    const WORKERS: &str = "(Worker_TP1 pid=47) ERROR 11-24 03:47:30 [x.py:812] Traceback (most recent call last):\n\
        (Worker_TP0 pid=46) ERROR 11-24 03:47:30 [x.py:812] Traceback (most recent call last):\n\
        (Worker_TP1 pid=47) ERROR 11-24 03:47:30 [x.py:812]   File \"a.py\", line 1, in f\n\
        (Worker_TP1 pid=47) ERROR 11-24 03:47:30 [x.py:812] torch.OutOfMemoryError: CUDA out of memory.\n\
        (Worker_TP0 pid=46) ERROR 11-24 03:47:30 [x.py:812] RuntimeError: NCCL error: peer is gone\n";

    #[test]
    fn a_handled_error_and_a_consequence_are_not_the_cause() {
        assert_eq!(
            last(&format!("{HANDLED}{CORE}")),
            "ValueError: awq is not supported"
        );
        let core = CORE.replace(
            "ValueError: awq is not supported",
            "Exception: WorkerProc initialization failed due to an exception in a background process.",
        );
        assert_eq!(
            last(&format!("{HANDLED}{WORKERS}{core}")),
            "torch.OutOfMemoryError: CUDA out of memory."
        );
    }

    #[test]
    fn the_api_server_can_fail_alone() {
        let api = "Traceback (most recent call last):\n  File \"main.py\", line 120, in main\nImportError: Please install vllm[tensorizer]\n";
        assert_eq!(
            last(&format!("{HANDLED}{api}")),
            "ImportError: Please install vllm[tensorizer]"
        );
    }

    #[test]
    fn a_message_over_several_lines_is_whole_and_its_causes_follow() {
        let log = lines(
            "Traceback (most recent call last):\n  File \"hub.py\", line 1, in get\nHTTPError: 404 Client Error\n\n\
             The above exception was the direct cause of the following exception:\n\n\
             Traceback (most recent call last):\n  File \"a.py\", line 2, in load\n\
             pydantic_core._pydantic_core.ValidationError: 2 validation errors for ModelConfig\n\
             dtype\n  Input should be 'auto' [type=literal_error]\nseed\n  Input should be a valid integer\n",
        );
        let found = fatal(&log);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].message.len(), 5);
        assert_eq!(found[1].message, ["HTTPError: 404 Client Error"]);
    }

    #[test]
    fn warnings_are_harmless_and_errors_and_lines_without_a_level_are_not() {
        for (line, harmless) in [
            (
                "(Worker pid=46) WARNING 11-24 03:47:30 [a.py:1] 401 Client Error",
                true,
            ),
            ("[W1124 03:53:07.116 utils.cpp:41] Warning: numa", true),
            (
                "(EngineCore pid=34) ERROR 11-24 03:47:31 [core.py:1] no",
                false,
            ),
            ("vllm: error: unrecognized arguments: --x", false),
        ] {
            assert_eq!(Line::is_harmless(line), harmless, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_log_panics(lines in proptest::collection::vec("(\\([A-Za-z =0-9]{0,12}\\) )?(ERROR |INFO )?(\\[a\\] )?(Traceback \\(most recent call last\\):|  File|\\PC{0,12})", 0..24)) {
            let _found = fatal(&lines);
        }
    }
}
