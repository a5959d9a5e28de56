//! Directions of dependency: which module may use which, and that no two files of a module use each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Every top-level module, by level. Data flows one way: a module uses those of lower levels, see [`may_use`].
const LEVELS: [&[&str]; 9] = [
    // Pure words.
    &[
        "code", "exit", "json", "limits", "metric", "secret", "stats", "text", "workload",
    ],
    // Pure facts.
    &["bisect", "event", "measure", "record", "report"],
    // Pure judgement.
    &[
        "compare", "forecast", "history", "mlperf", "policy", "selftest", "starter", "sweep",
        "trial",
    ],
    // Input, and what reaches the machine without knowing what for.
    &[
        "clock",
        "config",
        "environment",
        "files",
        "http",
        "priority",
        "process_table",
    ],
    // Adapters.
    &[
        "baseline",
        "git",
        "launch",
        "load",
        "publish",
        "simulate",
        "telemetry",
    ],
    // Output.
    &["render", "terminal"],
    // Procedure.
    &["doctor", "failure", "inputs", "interrupt", "runner"],
    // Commands.
    &["app"],
    // Shell.
    &["cli", "lib", "main"],
];

/// What a module may use of its own level or of a higher one.
const PERMITTED: &[(&str, &[&str])] = &[
    // What a search emits is what its report contains.
    ("event", &["bisect"]),
    ("bisect", &["report"]),
    ("measure", &["record"]),
    // A result contains its price, which reports show.
    ("record", &["report"]),
    ("policy", &["compare", "sweep"]),
    ("history", &["compare"]),
    ("trial", &["compare", "policy"]),
    ("selftest", &["compare", "policy"]),
    ("forecast", &["compare", "policy", "trial"]),
    // Arguments are plain data.
    ("inputs", &["cli", "failure", "interrupt"]),
    ("doctor", &["cli", "failure", "inputs", "runner"]),
    ("runner", &["failure", "inputs", "interrupt"]),
    ("interrupt", &["failure"]),
    ("app", &["cli"]),
    // The only part of `record` that touches files, and the error that it may come to.
    ("record/store.rs", &["files"]),
    ("record/read.rs", &["files"]),
];

/// What goes the wrong way and is about to be put right; empty when that is done.
const PENDING: &[(&str, &str)] = &[];

/// Modules that reach no clock, file, socket or process.
const PURE: &[&str] = &[
    "bisect", "code", "compare", "event", "forecast", "history", "measure", "metric", "mlperf",
    "policy", "record", "report", "starter", "stats", "sweep", "text", "trial", "workload",
];

/// Files of pure modules that are not.
const IMPURE: &[&str] = &["record/store.rs"];

/// What reaches the world.
const WORLD: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "SystemTime::now",
    "Instant::now",
    "tokio::",
    "reqwest::",
    "tracing::",
    "crate::clock",
    "crate::http",
];

/// Whether a module may use another one.
fn may_use(user: &str, used: &str) -> bool {
    let level = |name: &str| LEVELS.iter().position(|level| level.contains(&name));
    let (Some(from), Some(to)) = (level(user), level(used)) else {
        return false;
    };
    match from {
        0 => to == 0,
        // Output shows what is pure; procedure tells by events and shows nothing.
        5 => to <= 2,
        6 => to <= 4,
        _ => to < from,
    }
}

/// A file of `src` without its tests and comments.
struct Source {
    /// From `src`.
    place: String,
    /// The names of its modules, the outermost first.
    module: Vec<String>,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let found = crate::repository::sources(&root).into_iter();
    found
        .filter_map(|(path, text)| source(path.strip_prefix(&root).ok()?, &text))
        .collect()
}

fn source(path: &Path, text: &str) -> Option<Source> {
    let place = path.display().to_string();
    if place.ends_with("_tests.rs") {
        return None;
    }
    let module = place.trim_end_matches(".rs").trim_end_matches("/mod");
    let code = text.split("#[cfg(test)]\nmod tests").next()?;
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    Some(Source {
        module: module.split('/').map(str::to_owned).collect(),
        code: lines.collect::<Vec<_>>().join("\n"),
        place,
    })
}

impl Source {
    fn room(&self) -> &str {
        &self.module[0]
    }

    /// Every path that begins with `crate`, `self` or `super`, as from the crate.
    fn paths(&self) -> Vec<Vec<String>> {
        let tokens = tokens(&self.code);
        let mut paths = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            let is_begin = matches!(tokens[at], "crate" | "self" | "super")
                && tokens.get(at + 1) == Some(&"::")
                && (at == 0 || !matches!(tokens[at - 1], "::" | "$"));
            if is_begin {
                let begin = match tokens[at] {
                    "crate" => Vec::new(),
                    "super" => self.module[..self.module.len() - 1].to_vec(),
                    _ => self.module.clone(),
                };
                at = follow(&tokens, at + 2, begin, &mut paths);
            } else {
                at += 1;
            }
        }
        paths
    }
}

/// Words, `::`, and single signs.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let length = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

/// Reads the path, or the tree of paths in braces, that goes on at `at` after `::`; where it ends.
fn follow(
    tokens: &[&str],
    mut at: usize,
    mut path: Vec<String>,
    paths: &mut Vec<Vec<String>>,
) -> usize {
    loop {
        match tokens.get(at) {
            Some(&"{") => {
                at += 1;
                while at < tokens.len() && tokens[at] != "}" {
                    let is_name = tokens[at].starts_with(|c: char| c.is_alphabetic() || c == '_');
                    at = if is_name {
                        follow(tokens, at, path.clone(), paths)
                    } else {
                        at + 1
                    };
                }
                return at + 1;
            }
            Some(&"super") => {
                path.pop();
            }
            Some(&"self") => {}
            Some(word) if word.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                path.push((*word).to_owned());
            }
            _ => {
                paths.push(path);
                return at;
            }
        }
        at += 1;
        if tokens.get(at) != Some(&"::") {
            paths.push(path);
            return at;
        }
        at += 1;
    }
}

#[test]
fn modules_use_only_what_lies_below_them() {
    let known: BTreeSet<&str> = LEVELS.iter().copied().flatten().copied().collect();
    let mut wrong = BTreeSet::new();
    let mut pending: BTreeSet<_> = PENDING.iter().copied().collect();
    for source in sources() {
        let room = source.room();
        if !known.contains(room) {
            wrong.insert(format!("`{room}` is new: give it a level"));
        }
        for path in source.paths() {
            let Some(used) = path.first().filter(|used| *used != room) else {
                continue;
            };
            // What `main` and macros name of the crate's root is no module.
            if !known.contains(used.as_str()) {
                continue;
            }
            let is_permitted = PERMITTED.iter().any(|(user, permitted)| {
                (*user == room || *user == source.place) && permitted.contains(&used.as_str())
            });
            let is_pending = PENDING.contains(&(room, used.as_str()));
            if is_pending {
                pending.retain(|(user, other)| (*user, *other) != (room, used.as_str()));
            } else if !is_permitted && !may_use(room, used) {
                wrong.insert(format!("{} uses {used}", source.place));
            }
        }
    }
    for (user, used) in pending {
        wrong.insert(format!(
            "{user} no longer uses {used}: delete it from PENDING"
        ));
    }
    let wrong: Vec<String> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_modules_reach_no_clock_no_files_and_no_network() {
    for source in sources() {
        let is_pure = PURE.contains(&source.room()) && !IMPURE.contains(&source.place.as_str());
        let found = WORLD.iter().find(|world| source.code.contains(**world));
        assert!(
            !is_pure || found.is_none(),
            "{} uses {}",
            source.place,
            found.unwrap_or(&"")
        );
    }
}

#[test]
fn no_two_files_of_a_module_use_each_other_but_parent_and_child() {
    let sources = sources();
    let modules: BTreeSet<&[String]> = sources.iter().map(|source| &source.module[..]).collect();
    let mut uses: BTreeMap<&[String], BTreeSet<&[String]>> = BTreeMap::new();
    for source in &sources {
        let own = &source.module[..];
        for path in source.paths() {
            // The longest beginning that is a file.
            let file = (1..=path.len()).rev().map(|length| &path[..length]);
            let Some(used) = file.into_iter().find_map(|file| modules.get(file)) else {
                continue;
            };
            let is_sibling = used[0] == own[0] && !used.starts_with(own) && !own.starts_with(used);
            if is_sibling {
                uses.entry(own).or_default().insert(used);
            }
        }
    }
    let reached = |from: &[String]| {
        let mut seen: BTreeSet<&[String]> = BTreeSet::new();
        let mut next: Vec<&[String]> = uses.get(from).into_iter().flatten().copied().collect();
        while let Some(file) = next.pop() {
            if seen.insert(file) {
                next.extend(uses.get(file).into_iter().flatten());
            }
        }
        seen
    };
    let wrong: Vec<String> = uses
        .keys()
        .filter(|file| reached(file).contains(*file))
        .map(|file| format!("{} uses files that use it", file.join("/")))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn paths_are_read_out_of_code() {
    let source = Source {
        place: "a/b.rs".to_owned(),
        module: vec!["a".to_owned(), "b".to_owned()],
        code: "use crate::{c::{D, e::F}, g};\nuse super::h::I;\nfn f() { super::super::j(self::k::<L>()) }"
            .to_owned(),
    };
    let paths: Vec<String> = source
        .paths()
        .into_iter()
        .map(|path| path.join("::"))
        .collect();
    assert_eq!(paths, ["c::D", "c::e::F", "g", "a::h::I", "j", "a::b::k"]);
}
