//! The documents: every link and anchor leads somewhere, every page is in the index, and the words are plain.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a folder of the repository, relative to its root.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in root().join(folder).read_dir().unwrap() {
        let path = entry.unwrap().path();
        let relative = path.strip_prefix(root()).unwrap().to_path_buf();
        if path.is_dir() {
            found.extend(files(relative.to_str().unwrap()));
        } else {
            found.push(relative);
        }
    }
    found
}

fn is_page(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "md")
}

/// Every document with its lines outside of code blocks.
fn pages() -> Vec<(PathBuf, Vec<String>)> {
    let top = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(PathBuf::from);
    let pages = files("docs").into_iter().filter(|path| is_page(path));
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        let mut is_code = false;
        let lines = text.lines().filter(|line| {
            let is_fence = line.trim_start().starts_with("```");
            is_code ^= is_fence;
            !is_code && !is_fence
        });
        (path, lines.map(str::to_owned).collect())
    };
    top.into_iter().chain(pages).map(read).collect()
}

/// A line without its spans of code.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// The anchor that GitHub gives to a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        _ if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

/// The anchors of each page.
fn anchors() -> HashMap<PathBuf, Vec<String>> {
    let of = |lines: &[String]| {
        let headings = lines.iter().filter(|line| line.starts_with('#'));
        let headings = headings.map(|line| anchor(line.trim_start_matches('#')));
        headings.collect()
    };
    let pages = pages().into_iter();
    pages.map(|(path, lines)| (path, of(&lines))).collect()
}

/// The targets of the links in a line.
fn links(line: &str) -> Vec<String> {
    let line = without_code(line);
    let links = line.split("](").skip(1);
    let links = links.filter_map(|rest| rest.split(')').next());
    links.map(str::to_owned).collect()
}

/// `path` without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => assert!(plain.pop(), "{} leads out", path.display()),
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                plain.push(component);
            }
        }
    }
    plain
}

/// What is wrong with a target, relative to the root; `None` where it is there.
fn missing(target: &str, anchors: &HashMap<PathBuf, Vec<String>>) -> Option<&'static str> {
    let (path, wanted) = target.split_once('#').unwrap_or((target, ""));
    let path = plain(Path::new(path));
    if !root().join(&path).exists() {
        return Some("no such file");
    }
    let has = |found: &Vec<String>| found.iter().any(|anchor| anchor == wanted);
    let is_known = wanted.is_empty() || anchors.get(&path).is_some_and(has);
    (!is_known).then_some("no such anchor")
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let anchors = anchors();
    let mut wrong = Vec::new();
    for (page, lines) in pages() {
        let folder = page.parent().unwrap();
        for link in lines.iter().flat_map(|line| links(line)) {
            if link.contains("://") {
                continue;
            }
            let target = match link.strip_prefix('#') {
                Some(_) => format!("{}{link}", page.display()),
                None => folder.join(&link).display().to_string(),
            };
            if let Some(reason) = missing(&target, &anchors) {
                wrong.push(format!("{}: {link}: {reason}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Hints, comments, templates and workflows name pages as `docs/…/page.md#anchor`.
#[test]
fn every_page_that_is_named_elsewhere_exists() {
    let anchors = anchors();
    let folders = [
        "src",
        "tests",
        "templates",
        "scripts",
        "examples",
        "action",
        "benches",
        ".github",
    ];
    let single = [
        "action.yml",
        "thresholds.yaml",
        "perfgate.yaml",
        ".config/nextest.toml",
    ];
    let all = folders.iter().flat_map(|folder| files(folder));
    let mut wrong = Vec::new();
    for path in all.chain(single.iter().map(PathBuf::from)) {
        // Snapshots and recordings hold what a program printed.
        let is_text = !path.starts_with("tests/fixtures") && !path.ends_with("documents.rs");
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else {
            continue;
        };
        for (at, _) in text.match_indices("docs/").filter(|_| is_text) {
            let is_part = text[..at].ends_with(|c: char| c.is_alphanumeric() || "/-_.".contains(c));
            let target: String = text[at..]
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || "/-_.#".contains(*c))
                .collect();
            let target = target.trim_end_matches(['.', '#']);
            let (page, _) = target.split_once('#').unwrap_or((target, ""));
            if is_part || !is_page(Path::new(page)) {
                continue;
            }
            if let Some(reason) = missing(target, &anchors) {
                wrong.push(format!("{}: {target}: {reason}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_index_has_every_page() {
    let index = std::fs::read_to_string(root().join("docs/README.md")).unwrap();
    let listed: Vec<PathBuf> = index.lines().flat_map(links).map(PathBuf::from).collect();
    for page in files("docs").into_iter().filter(|path| is_page(path)) {
        let page = page.strip_prefix("docs").unwrap().to_path_buf();
        assert!(
            page == Path::new("README.md") || listed.contains(&page),
            "docs/README.md does not list {}",
            page.display()
        );
    }
}

/// CONTRIBUTING.md has the rules, with examples; rows of tables quote what programs print.
#[test]
fn the_documents_use_plain_words() {
    let words = ["nobody", "whoever", "thereby", "stands", "mend", "mends"];
    let mut wrong = Vec::new();
    for (page, lines) in pages() {
        if page.ends_with("CONTRIBUTING.md") || page.ends_with("CHANGELOG.md") {
            continue;
        }
        for line in lines.iter().filter(|line| !line.starts_with('|')) {
            let text = without_code(line).to_lowercase();
            // "there is no baseline" is plain, "it is no baseline" is not.
            let mut found = text.split(|c: char| !c.is_alphabetic());
            if found.any(|word| words.contains(&word))
                || text.replace("there is no ", "").contains(" is no ")
            {
                wrong.push(format!("{}: {line}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
