//! What vLLM and its surroundings print when they cannot start, and what it means.

mod causes;
mod traceback;

use causes::{CAUSES, Cause, ILLEGAL_INSTRUCTION, KILLED, MAIN_MEMORY, NO_PROGRAM, SHARED_MEMORY};
use traceback::{Exception, Line};

use super::error::{Exit, Fault};

/// Characters of a quoted reason.
const LONGEST_QUOTE: usize = 400;

/// Reasons of one error of pydantic that are quoted.
const MOST_REASONS: usize = 3;

/// How vLLM reports the signal that ended one of its processes: `Failed core proc(s): {'EngineCore': -9}`.
const FAILED_CORES: &str = "Failed core proc(s): {";

/// What was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    cause: Option<&'static Cause>,
    /// The line of the log with the reason.
    pub(super) quote: Option<String>,
}

impl Found {
    fn of(cause: &'static Cause) -> Self {
        Self {
            cause: Some(cause),
            quote: None,
        }
    }

    /// Who has to act; the server where the cause is not known.
    pub(super) fn fault(&self) -> Fault {
        self.cause.map_or(Fault::Target, |cause| cause.fault)
    }

    /// What to do, where the cause is known.
    pub(super) fn hint(&self) -> Option<&'static str> {
        self.cause.map(|cause| cause.hint)
    }
}

/// Why a server ended or does not get ready: the exception by which the process that failed first ended, else how it ended,
/// else a line with the text of a known cause.
pub(super) fn find(exit: Option<&Exit>, log: &[String]) -> Option<Found> {
    if exit.is_some_and(|exit| exit.out_of_memory) {
        return Some(Found::of(&MAIN_MEMORY));
    }
    let by_end = exit.and_then(of_end);
    // A signal that a program causes itself (SIGILL, SIGBUS) is not the consequence of an exception.
    if let Some(cause) = by_end.filter(|cause| cause.is_by_signal) {
        return Some(Found {
            cause: Some(cause),
            quote: of_lines(log, &[cause]).and_then(|found| found.quote),
        });
    }
    let exceptions = traceback::fatal(log);
    of_exceptions(&exceptions)
        .or_else(|| of_signal_of_core(log))
        .or_else(|| of_lines(log, &known()))
        .or_else(|| by_end.map(Found::of))
        .or_else(|| {
            // The cause is not known, but the reason is quoted.
            let quote = exceptions.first().map(quoted)?;
            Some(Found {
                cause: None,
                quote: Some(quote),
            })
        })
}

/// All causes; the first that is found wins, so a cause is listed before its consequences.
fn known() -> Vec<&'static Cause> {
    [&SHARED_MEMORY]
        .into_iter()
        .chain(&CAUSES)
        .chain([&MAIN_MEMORY, &ILLEGAL_INSTRUCTION, &NO_PROGRAM])
        .collect()
}

/// A known cause of one of the exceptions: the one by which the process ended goes first.
fn of_exceptions(exceptions: &[Exception<'_>]) -> Option<Found> {
    exceptions.iter().find_map(|exception| {
        let names = |cause: &&'static Cause| {
            let mut lines = exception.message.iter();
            lines.any(|line| cause.texts.iter().any(|text| line.contains(text)))
        };
        Some(Found {
            cause: Some(known().into_iter().find(names)?),
            quote: Some(quoted(exception)),
        })
    })
}

/// Lines that no process printed in passing. The last one that is known counts: what comes before it was survived.
fn of_lines(log: &[String], causes: &[&'static Cause]) -> Option<Found> {
    let handled = traceback::lines_of_tracebacks(log);
    let lines = log.iter().enumerate().rev();
    let mut telling = lines
        .filter(|(at, line)| !handled.contains(at) && !Line::is_harmless(line))
        .map(|(_, line)| line);
    telling.find_map(|line| {
        let names = |cause: &&&'static Cause| cause.texts.iter().any(|text| line.contains(text));
        let cause = causes.iter().find(names)?;
        Some(Found {
            cause: Some(*cause),
            quote: Some(shortened(Line::of(line).body)),
        })
    })
}

/// A process of the engine that a signal ended, as the API server reports it.
fn of_signal_of_core(log: &[String]) -> Option<Found> {
    let line = log.iter().rev().find(|line| line.contains(FAILED_CORES))?;
    let (_, codes) = line.split_once(FAILED_CORES)?;
    let signals = codes.split('-').skip(1).filter_map(|rest| {
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        rest[..end].parse().ok()
    });
    let cause = signals.into_iter().find_map(|signal| {
        of_end(&Exit {
            signal: Some(signal),
            ..Exit::default()
        })
    })?;
    Some(Found {
        quote: Some(shortened(Line::of(line).body)),
        ..Found::of(cause)
    })
}

/// The cause that the exit code or signal alone shows.
fn of_end(exit: &Exit) -> Option<&'static Cause> {
    // 128 and the signal, as shells and init processes pass it on; 4 is SIGILL, 7 SIGBUS, 9 SIGKILL.
    match (exit.code, exit.signal) {
        (Some(132), _) | (_, Some(4)) => Some(&ILLEGAL_INSTRUCTION),
        (Some(135), _) | (_, Some(7)) => Some(&SHARED_MEMORY),
        (Some(137), _) | (_, Some(9)) => Some(&KILLED),
        (Some(126 | 127), _) => Some(&NO_PROGRAM),
        (_, _) => None,
    }
}

/// The line of an exception that has the reason: of pydantic's the ones that follow it, with the field that they are about.
fn quoted(exception: &Exception<'_>) -> String {
    let Some((first, more)) = exception.message.split_first() else {
        return String::new();
    };
    let is_list = ["validation error for ", "validation errors for "]
        .iter()
        .any(|text| first.contains(text));
    if !is_list {
        return shortened(first);
    }
    let mut reasons = Vec::new();
    let mut field = None;
    for line in more {
        let text = line.split(" [type=").next().unwrap_or_default().trim();
        if !line.starts_with([' ', '\t']) {
            field = Some(text);
        } else if !text.is_empty() && !text.starts_with("For further information") {
            reasons.push(match field.take() {
                Some(field) => format!("{field}: {text}"),
                None => text.to_owned(),
            });
        }
    }
    reasons.truncate(MOST_REASONS);
    if reasons.is_empty() {
        return shortened(first);
    }
    shortened(&reasons.join("; "))
}

fn shortened(text: &str) -> String {
    let text = text.trim();
    if text.chars().count() <= LONGEST_QUOTE {
        return text.to_owned();
    }
    let kept: String = text.chars().take(LONGEST_QUOTE).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logs of real failed starts: vLLM 0.32 on the CPU, in a container.
    const SHARED: &str = include_str!("../../../tests/fixtures/start-failures/shared-memory.log");
    const ARGUMENT: &str =
        include_str!("../../../tests/fixtures/start-failures/unknown-argument.log");
    const OFFLINE: &str =
        include_str!("../../../tests/fixtures/start-failures/model-not-in-cache.log");
    const KILLED: &str = include_str!("../../../tests/fixtures/start-failures/out-of-memory.log");

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    fn exit(code: i64) -> Exit {
        Exit {
            code: Some(code),
            ..Exit::default()
        }
    }

    #[test]
    fn real_logs_name_their_cause() {
        let shared = lines(SHARED);
        let found = find(Some(&exit(1)), &shared).unwrap();
        assert!(found.hint().unwrap().contains("shm_size"));
        assert_eq!(found.fault(), Fault::Configuration);
        assert!(
            found
                .quote
                .unwrap()
                .contains("160 MiB required, 64 MiB free")
        );

        let argument = lines(ARGUMENT);
        let found = find(Some(&exit(2)), &argument).unwrap();
        assert_eq!(found.fault(), Fault::Configuration);
        assert!(found.quote.unwrap().contains("--no-such-flag"));

        let offline = lines(OFFLINE);
        let found = find(Some(&exit(1)), &offline).unwrap();
        assert_eq!(found.fault(), Fault::Surroundings);
        assert!(found.hint().unwrap().contains("hf_cache"));

        let killed = Exit {
            out_of_memory: true,
            ..exit(137)
        };
        let log = lines(KILLED);
        let found = find(Some(&killed), &log).unwrap();
        assert!(found.hint().unwrap().contains("server.docker.memory"));
        assert_eq!(found.fault(), Fault::Target);
    }

    #[test]
    fn the_cause_is_found_among_its_consequences() {
        let log = [
            "(EngineCore_DP0 pid=1) torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.".to_owned(),
            "RuntimeError: Engine core initialization failed. See root cause above.".to_owned(),
        ];
        let found = find(None, &log).unwrap();
        assert_eq!(found.fault(), Fault::Target);
    }

    #[test]
    fn what_is_printed_decides_who_must_act() {
        for (line, fault, hint) in [
            (
                "RuntimeError: unable to mmap 1024 bytes from file </torch_1>: insufficient shared memory (shm)",
                Fault::Configuration,
                "shm_size",
            ),
            (
                "OSError: [Errno 28] No space left on device: '/psm_ab12'",
                Fault::Configuration,
                "shm_size",
            ),
            (
                "OSError: [Errno 28] No space left on device",
                Fault::Surroundings,
                "disk space",
            ),
            (
                "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory",
                Fault::Surroundings,
                "no GPU in the container",
            ),
            (
                "RuntimeError: No CUDA GPUs are available",
                Fault::Surroundings,
                "no GPU in the container",
            ),
            (
                "RuntimeError: Failed to infer device type",
                Fault::Surroundings,
                "no GPU in the container",
            ),
            (
                "CUDA error: no kernel image is available for execution on the device",
                Fault::Configuration,
                "another image",
            ),
            (
                "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0.",
                Fault::Configuration,
                "--dtype half",
            ),
            (
                "RuntimeError: The NVIDIA driver on your system is too old (found version 11040).",
                Fault::Surroundings,
                "newer GPU driver",
            ),
            (
                "OSError: m/x is not a local folder and is not a valid model identifier listed on 'https://huggingface.co/models'",
                Fault::Configuration,
                "model's name",
            ),
            (
                "OSError: [Errno 98] Address already in use",
                Fault::Surroundings,
                "port",
            ),
        ] {
            let log = [line.to_owned()];
            let found = find(Some(&exit(1)), &log).unwrap();
            assert_eq!(found.fault(), fault, "{line}");
            assert!(
                found.hint().unwrap().contains(hint),
                "{line}: {}",
                found.hint().unwrap()
            );
        }
    }

    #[test]
    fn an_end_without_words_is_known_by_its_code_or_signal() {
        let hint = |exit: Exit| find(Some(&exit), &[]).and_then(|found| found.hint());
        assert!(hint(exit(135)).unwrap().contains("shm_size"));
        assert!(hint(exit(137)).unwrap().contains("memory"));
        assert!(hint(exit(127)).unwrap().contains("entrypoint"));
        assert!(hint(exit(3)).is_none());
        let bus = Exit {
            signal: Some(7),
            ..Exit::default()
        };
        assert!(hint(bus).unwrap().contains("shm_size"));
    }

    #[test]
    fn an_unknown_log_has_no_cause() {
        assert!(find(Some(&exit(1)), &["RuntimeError: something else".to_owned()]).is_none());
    }
}
