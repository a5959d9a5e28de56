//! perfgate's one comment on a pull request: identified by its marker and its author, edited, never duplicated.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::answer::Refusal;
use super::client::{Client, ClientError};
use super::cut;
use super::event::{Repository, RunId};
use super::history::{self, Push};
use super::sha::Sha;

/// Maximum length in characters; GitHub's limit is 65,536.
const MAX_LENGTH: usize = 65_000;

/// Length of the second attempt if GitHub still finds the comment too long.
const SHORT: usize = 20_000;

/// Default author of perfgate's comments: the owner of a workflow's own token.
pub const DEFAULT_AUTHOR: &str = "github-actions[bot]";

/// A comment from the API.
#[derive(Clone, Debug, Deserialize)]
pub struct Comment {
    /// Its number; later comments have larger numbers.
    pub id: u64,
    /// Its text.
    pub body: Option<String>,
    /// Its author; `None` if the account was deleted.
    pub user: Option<Account>,
    /// Its page.
    #[serde(default)]
    pub html_url: String,
}

/// An account from the API.
#[derive(Clone, Debug, Deserialize)]
pub struct Account {
    /// Its name.
    pub login: String,
    /// `User`, `Bot`, `Organization`.
    #[serde(rename = "type", default)]
    pub kind: String,
}

/// The hidden first line, which identifies a comment and its run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Name of the gate as a safe name.
    pub key: String,
    /// The commit of the verdict.
    pub head: Sha,
    /// The run of the measurement.
    pub run: RunId,
}

impl Marker {
    fn line(&self) -> String {
        let RunId { run, attempt } = self.run;
        format!(
            "<!-- perfgate:v1 key={} head={} run={run}.{attempt} -->",
            self.key, self.head
        )
    }

    /// Whether a text begins with a marker of this gate.
    fn is_on(&self, body: &str) -> bool {
        marked(body).is_some_and(|fields| field(fields, "key") == Some(&self.key))
    }
}

/// The fields of the marker at the beginning of a text.
fn marked(body: &str) -> Option<&str> {
    let line = body.lines().next()?.trim_end();
    line.strip_prefix("<!-- perfgate:v1 ")?.strip_suffix(" -->")
}

fn field<'a>(fields: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = fields.split(' ').filter_map(|field| field.split_once('='));
    pairs.find_map(|(key, value)| (key == name).then_some(value))
}

/// Head and run of an earlier comment.
fn written_for(body: &str) -> Option<(&str, RunId)> {
    let fields = marked(body)?;
    let (run, attempt) = field(fields, "run")?.split_once('.')?;
    let run = RunId {
        run: run.parse().ok()?,
        attempt: attempt.parse().ok()?,
    };
    Some((field(fields, "head")?, run))
}

/// The wanted content of the comment.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// Its first line.
    pub marker: Marker,
    /// The comparison as Markdown; the first line is replaced.
    pub markdown: &'a str,
    /// Text above the comparison, as Markdown.
    pub banner: Option<String>,
    /// Text below the comparison, as Markdown.
    pub notes: Vec<String>,
    /// The last line, as Markdown.
    pub footer: String,
    /// Icon, word and headline for the history of pushes.
    pub push: (&'a str, &'a str, &'a str),
    /// Whether to create a comment if there is none.
    pub create: bool,
}

impl Wanted<'_> {
    /// The whole text with the pushes of the previous text.
    fn body(&self, before: &str, longest: usize) -> String {
        let (icon, word, headline) = self.push;
        let push = Push::new(&self.marker.head, icon, word, headline);
        let pushes = history::with(history::read(before), push);
        let mut head = format!("{}\n", self.marker.line());
        if let Some(banner) = &self.banner {
            head.push_str(&format!("> {banner}\n\n"));
        }
        let mut tail = String::new();
        for note in &self.notes {
            tail.push_str(&format!("\n{note}\n"));
        }
        tail.push_str(&history::folded(&pushes, 8_000));
        tail.push_str(&format!("\n<sub>{}</sub>\n", self.footer));
        let rest = match self.markdown.split_once('\n') {
            Some((first, rest)) if first.starts_with("<!-- perfgate:") => rest,
            Some(_) | None => self.markdown,
        };
        let room = longest.saturating_sub(head.chars().count() + tail.chars().count());
        format!("{head}{}{tail}", cut::to(rest, room, cut::characters))
    }
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// Created or edited; its page and its author.
    Written(String, String),
    /// There is none, and none was wanted.
    NotWanted,
    /// A newer run has written it; the number of that run.
    Newer(u64),
}

/// The comments of perfgate on one pull request.
#[derive(Clone, Copy, Debug)]
pub struct Thread<'a> {
    /// The API.
    pub client: &'a Client,
    /// The repository of the pull request.
    pub repository: &'a Repository,
    /// The pull request.
    pub number: u64,
    /// The author of perfgate's comments.
    pub author: &'a str,
}

impl Thread<'_> {
    /// Creates or edits the comment. Also returns errors of the cleanup of duplicates.
    pub async fn put(&self, wanted: &Wanted<'_>) -> Result<(Put, Vec<ClientError>), ClientError> {
        let comments = all(self.client, self.repository, self.number).await?;
        let own = own(&comments, &wanted.marker, self.author);
        let newest = comments.iter().map(|comment| comment.id).max().unwrap_or(0);
        let Some((oldest, surplus)) = own.split_first() else {
            if !wanted.create {
                return Ok((Put::NotWanted, Vec::new()));
            }
            return Ok((self.create(wanted, newest).await?, Vec::new()));
        };
        let before = oldest.body.as_deref().unwrap_or_default();
        let is_newer = written_for(before).filter(|(head, run)| {
            *head != wanted.marker.head.text()
                && *run > wanted.marker.run
                && wanted.marker.run.run > 0
        });
        let put = if let Some((_, run)) = is_newer {
            Put::Newer(run.run)
        } else {
            let edit = async |longest| self.edit(oldest, &wanted.body(before, longest)).await;
            match within_limit(edit).await {
                // It was deleted after the list was read.
                Err(error) if error.refusal() == Some(Refusal::Absent) => {
                    self.create(wanted, newest).await?
                }
                edited => written(edited?),
            }
        };
        // Last, so that a failure here does not affect the verdict.
        let mut untidied = Vec::new();
        for other in surplus {
            match self.fold_away(wanted, oldest, other).await {
                Err(error) if error.refusal() == Some(Refusal::Absent) => {}
                folded => untidied.extend(folded.err()),
            }
        }
        Ok((put, untidied))
    }

    /// Creates it once: after an unclear answer, the list shows whether it exists. `newest` is the largest earlier comment
    /// number.
    async fn create(&self, wanted: &Wanted<'_>, newest: u64) -> Result<Put, ClientError> {
        let line = wanted.marker.line();
        let is_new = |comment: &&Comment| {
            let body = comment.body.as_deref();
            comment.id > newest && body.is_some_and(|body| body.starts_with(&line))
        };
        let find = async || {
            let comments = all(self.client, self.repository, self.number).await?;
            let mut own = own(&comments, &wanted.marker, self.author).into_iter();
            // The author may have an unexpected name; the marker line is unique to this run.
            let found = own.find(is_new).or_else(|| comments.iter().find(is_new));
            Ok(found.cloned())
        };
        let path = path(self.repository, self.number);
        let create = async |longest| {
            let body = json!({"body": wanted.body("", longest)});
            self.client.create(&path, body, find).await
        };
        within_limit(create).await.map(written)
    }

    async fn edit(&self, comment: &Comment, body: &str) -> Result<Comment, ClientError> {
        let path = format!("repos/{}/issues/comments/{}", self.repository, comment.id);
        let body = json!({"body": body});
        self.client.change(Method::PATCH, &path, body).await
    }

    /// Replaces a duplicate comment by one line; deleting it would hide it.
    async fn fold_away(
        &self,
        wanted: &Wanted<'_>,
        kept: &Comment,
        surplus: &Comment,
    ) -> Result<(), ClientError> {
        let line = format!(
            "<!-- perfgate:v1 key={} -->\nperfgate's result is in [its first comment]({}).\n",
            wanted.marker.key, kept.html_url
        );
        if surplus.body.as_deref().map(str::trim) == Some(line.trim()) {
            return Ok(());
        }
        self.edit(surplus, &line).await.map(drop)
    }
}

/// The comments on a pull request, all pages.
pub async fn all(
    client: &Client,
    repository: &Repository,
    number: u64,
) -> Result<Vec<Comment>, ClientError> {
    client.list(&path(repository, number), &[]).await
}

fn path(repository: &Repository, number: u64) -> String {
    format!("repos/{repository}/issues/{number}/comments")
}

/// Sends a shorter text if GitHub finds the longest one too long.
async fn within_limit(
    send: impl AsyncFn(usize) -> Result<Comment, ClientError>,
) -> Result<Comment, ClientError> {
    match send(MAX_LENGTH).await {
        Err(error) if error.refusal() == Some(Refusal::TooLong) => send(SHORT).await,
        sent => sent,
    }
}

/// Our comments with the marker at their beginning, oldest first.
fn own<'a>(comments: &'a [Comment], marker: &Marker, author: &str) -> Vec<&'a Comment> {
    let is_own = |comment: &&Comment| {
        let by_us = comment.user.as_ref().is_some_and(|user| {
            // Names with brackets cannot be registered; the kind confirms it.
            user.login.eq_ignore_ascii_case(author)
                && (!author.ends_with("[bot]") || user.kind == "Bot")
        });
        let body = comment.body.as_deref();
        by_us && body.is_some_and(|body| marker.is_on(body))
    };
    let mut own: Vec<&Comment> = comments.iter().filter(is_own).collect();
    own.sort_by_key(|comment| comment.id);
    own
}

fn written(comment: Comment) -> Put {
    let author = comment.user.map(|user| user.login).unwrap_or_default();
    Put::Written(comment.html_url, author)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker(digit: &str, run: u64) -> Marker {
        Marker {
            key: "demo".to_owned(),
            head: Sha::parse(&digit.repeat(40)).unwrap(),
            run: RunId { run, attempt: 2 },
        }
    }

    fn comment(id: u64, login: &str, kind: &str, body: &str) -> Comment {
        Comment {
            id,
            body: Some(body.to_owned()),
            user: Some(Account {
                login: login.to_owned(),
                kind: kind.to_owned(),
            }),
            html_url: String::new(),
        }
    }

    #[test]
    fn a_marker_is_read_back_only_at_the_beginning() {
        let marker = marker("a", 9);
        let body = format!("{}\n### PASS", marker.line());
        assert!(marker.is_on(&body));
        assert_eq!(written_for(&body), Some((marker.head.text(), marker.run)));
        assert!(!marker.is_on(&format!("> {body}")));
        assert!(!marker.is_on(&body.replace("demo", "demo2")));
        assert!(!marker.is_on("<!-- perfgate:v1 key=demo"));
    }

    #[test]
    fn our_comments_have_the_marker_and_the_author() {
        let marker = marker("a", 9);
        let body = marker.line();
        let comments = [
            comment(3, DEFAULT_AUTHOR, "Bot", &body),
            comment(1, "mallory", "User", &body),
            comment(2, DEFAULT_AUTHOR, "Bot", &body),
            comment(4, DEFAULT_AUTHOR, "Bot", "something else"),
            comment(5, DEFAULT_AUTHOR, "User", &body),
        ];
        let ids: Vec<u64> = own(&comments, &marker, DEFAULT_AUTHOR)
            .iter()
            .map(|own| own.id)
            .collect();
        assert_eq!(ids, [2, 3]);
    }

    #[test]
    fn a_text_is_cut_between_lines_and_never_inside_a_folded_part() {
        let wanted = Wanted {
            marker: marker("a", 9),
            markdown: &format!(
                "<!-- perfgate:v1 key=demo -->\n### head\n{}\n<details><summary>x</summary>\n\n{}\n</details>\n",
                "| row |\n".repeat(50),
                "y\n".repeat(40_000)
            ),
            banner: None,
            notes: vec!["note".to_owned()],
            footer: "foot".to_owned(),
            push: ("✅", "PASS", "fine"),
            create: true,
        };
        let body = wanted.body("", MAX_LENGTH);
        assert!(
            body.chars().count() < MAX_LENGTH,
            "{}",
            body.chars().count()
        );
        assert_eq!(
            body.matches("<details>").count(),
            body.matches("</details>").count()
        );
        assert!(
            body.contains("| row |\n\nThe rest is in the report.\n"),
            "{body}"
        );
        let short = wanted.body("", 500);
        assert!(short.chars().count() <= 500, "{short}");
        assert!(short.contains("note") && short.ends_with("<sub>foot</sub>\n"));
    }
}
