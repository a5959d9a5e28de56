//! Comment, status and check run: each is published independent of the others.

use std::path::Path;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::super::Context;
use super::step::warn_not_written;
use super::{Place, Publisher, annotations};
use crate::cli::publish::{CommentWhen, PublishArgs};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::publish::actions;
use crate::publish::check_run::CheckRun;
use crate::publish::client::ClientError;
use crate::publish::comment::{DEFAULT_AUTHOR, Marker, Put, Thread, Wanted};
use crate::publish::sha::Sha;
use crate::publish::status::{CommitState, Statement};
use crate::render::view::View;
use crate::report::comparison::{Comparison, Verdict};
use crate::terminal::Level;
use crate::terminal::progress::note;
use crate::text::sanitize;
use crate::{config, render};

/// The result.
#[derive(Default)]
pub(in crate::app) struct PublishResult {
    /// The comment's page.
    comment: Option<String>,
    /// Failures.
    problems: Vec<String>,
    /// Whether this is a fork's run, which explains refusals.
    from_fork: bool,
}

/// Trust in the source of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Trust {
    /// From this run or an earlier one of this repository.
    Ours,
    /// From a fork's run.
    Stranger,
}

/// The content for all channels.
struct Content<'a> {
    comparison: &'a Comparison,
    view: View,
    markdown: String,
}

impl Publisher<'_> {
    /// Publishes comment, status and check run, each independent of the others.
    pub(in crate::app) fn publish(
        &self,
        comparison: &Comparison,
        notes: Vec<String>,
        place: &Place,
        trust: Trust,
    ) -> PublishResult {
        // Labels do not apply to untrusted comparisons.
        let label = match trust {
            Trust::Ours => self.accept_label(place),
            Trust::Stranger => None,
        };
        let content = Content {
            comparison,
            view: View::of(comparison),
            markdown: render::markdown::comparison(comparison, label),
        };
        let view = &content.view;
        let mut result = self.nothing_published();
        if let Some(error) = &place.problem {
            let what = "the pull request was not found";
            result.problem(what, error, "pull-requests: read");
        }
        // Every run of a fork belongs to a pull request.
        if let (Some(why), true) = (&place.nowhere, self.occasion.from_fork)
            && self.args.comment != CommentWhen::Never
        {
            result
                .problems
                .push(format!("the pull request has no comment: {why}"));
        }
        let done = self.until_interrupted(async {
            if let (Some(head), Trust::Ours) = (&place.head, trust) {
                let statement = Statement {
                    of: &of_gate(&view.name, place),
                    formerly: Some(&of_configuration(&self.configuration, place)),
                    state: CommitState::of(comparison.exit_code),
                    description: &format!("{}: {}", view.verdict.word, view.headline),
                    ..self.statement(head)
                };
                set(&statement, &mut result).await;
            }
            if let (Some(head), Trust::Ours, true) = (&place.head, trust, self.args.check_run) {
                self.check_run(&content, head, &mut result).await;
            }
            if let (Some(head), Some(number)) = (&place.head, place.number)
                && self.args.comment != CommentWhen::Never
            {
                self.comment(&content, notes, (head, number), trust, &mut result)
                    .await;
            }
        });
        if done.is_none() {
            let left = "publishing was interrupted and is incomplete";
            result.problems.push(left.to_owned());
        }
        result
    }

    /// Only the status, for a gate without a verdict.
    pub(crate) fn without_verdict(&self, failure: &Failure, place: &Place, name: Option<&str>) {
        let Some(head) = &place.head else { return };
        self.client.begin();
        let mut result = self.nothing_published();
        let description = format!(
            "NO VERDICT: {} (exit code {})",
            failure.error,
            failure.status.code()
        );
        let statement = Statement {
            of: &match name {
                Some(name) => of_gate(name, place),
                None => of_configuration(&self.configuration, place),
            },
            description: &description,
            ..self.statement(head)
        };
        self.until_interrupted(set(&statement, &mut result));
        for problem in &result.problems {
            note(&format!("warning: {problem}"));
        }
    }

    fn nothing_published(&self) -> PublishResult {
        PublishResult {
            from_fork: self.occasion.from_fork,
            ..PublishResult::default()
        }
    }

    /// A status without a verdict.
    fn statement<'s>(&'s self, head: &'s Sha) -> Statement<'s> {
        Statement {
            client: &self.client,
            repository: &self.repository,
            head,
            context: self.args.status_context.trim(),
            of: "",
            formerly: None,
            state: CommitState::Error,
            description: "",
            address: self.address(),
        }
    }

    fn address(&self) -> Option<&str> {
        self.args.report_url.as_deref().or(self.run_page.as_deref())
    }

    async fn check_run(&self, content: &Content<'_>, head: &Sha, result: &mut PublishResult) {
        let view = &content.view;
        let name = format!("perfgate report: {}", sanitize::line(&view.name));
        let check_run = CheckRun {
            name: &name,
            head,
            state: CommitState::of(content.comparison.exit_code),
            title: sanitize::line(&format!("{}: {}", view.verdict.word, view.instruction)),
            summary: &content.markdown,
            external_id: format!("{}.{}", self.run.run, self.run.attempt),
            address: self.address(),
            annotations: annotations::marks(content.comparison),
        };
        if let Err(error) = check_run.put(&self.client, &self.repository).await {
            result.problem("the check run was not written", &error, "checks: write");
        }
    }

    async fn comment(
        &self,
        content: &Content<'_>,
        notes: Vec<String>,
        (head, number): (&Sha, u64),
        trust: Trust,
        result: &mut PublishResult,
    ) {
        let view = &content.view;
        let author = self.author().await;
        let wanted = Wanted {
            marker: Marker {
                key: key(view, trust),
                head: head.clone(),
                run: self.run,
            },
            markdown: &content.markdown,
            banner: (trust == Trust::Stranger).then(|| self.banner()),
            notes: notes
                .iter()
                .map(|note| render::markdown::sentence_of(note))
                .collect(),
            footer: self.footer(head),
            push: (view.verdict.icon, view.verdict.word, &view.headline),
            create: self.args.comment != CommentWhen::OnChange
                || content.comparison.verdict != Verdict::Pass,
        };
        let thread = Thread {
            client: &self.client,
            repository: &self.repository,
            number,
            author: &author,
        };
        let permission = "pull-requests: write";
        match thread.put(&wanted).await {
            Ok((put, untidied)) => {
                result.commented(put, &author);
                for error in untidied {
                    let what = "a duplicate comment of perfgate was not collapsed";
                    result.problem(what, &error, permission);
                }
            }
            Err(error) => result.problem("the comment was not written", &error, permission),
        }
    }

    /// The author of our comments: the token's account, which GraphQL reports for every kind of token.
    async fn author(&self) -> String {
        if let Some(author) = &self.args.comment_author {
            return author.clone();
        }
        let login = |account: &Value| account["login"].as_str().map(str::to_owned);
        let query = "query { viewer { login } }";
        let asked = self.client.ask::<Value>(&self.graphql, query).await;
        let viewer = asked.ok().and_then(|asked| login(&asked["data"]["viewer"]));
        if let Some(author) = viewer.filter(|author| !author.is_empty()) {
            return author;
        }
        // A workflow's token may lack this permission.
        if self.of_a_person
            && let Ok(user) = self.client.get::<Value>("user", &[]).await
            && let Some(author) = login(&user)
        {
            return author;
        }
        DEFAULT_AUTHOR.to_owned()
    }

    /// The note above a report of an untrusted run.
    pub(in crate::app) fn banner(&self) -> String {
        let run = match &self.run_page {
            Some(page) => format!("[run]({page})"),
            None => "run".to_owned(),
        };
        let who = if self.occasion.from_fork {
            "a fork's"
        } else {
            "an untrusted"
        };
        format!(
            "**Reported by {who} {run}: not verified.** The pull request's own code produced these numbers and could forge them; they set no status."
        )
    }

    fn footer(&self, head: &Sha) -> String {
        let mut parts = vec![format!("`{}`", head.short())];
        if let Some(page) = &self.run_page {
            parts.push(format!("[run {}]({page})", self.run.run));
        }
        if let Some(page) = &self.args.report_url {
            parts.push(format!(
                "[report](<{}>)",
                sanitize::line(page).replace(['<', '>', '\\', ' '], "")
            ));
        }
        parts.push(format!("perfgate {}", env!("CARGO_PKG_VERSION")));
        parts.join(" · ")
    }
}

async fn set(statement: &Statement<'_>, result: &mut PublishResult) {
    if statement.context.is_empty() {
        return;
    }
    match statement.set().await {
        Ok(problems) => result.problems.extend(problems),
        Err(error) => result.problem("the status was not set", &error, "statuses: write"),
    }
}

/// An untrusted report never replaces our own comment.
fn key(view: &View, trust: Trust) -> String {
    let safe = config::safe_name(&view.name);
    // Different names with the same safe name are still two gates.
    let name = if safe == view.name {
        safe
    } else {
        let digest = format!("{:x}", Sha256::digest(view.name.as_bytes()));
        format!("{safe}~{}", digest.get(..8).unwrap_or_default())
    };
    match trust {
        Trust::Ours => name,
        Trust::Stranger => format!("{name}/fork"),
    }
}

/// The subject of a status: one gate against one base.
fn of_gate(name: &str, place: &Place) -> String {
    match &place.base {
        Some(base) => format!("{name} → {base}"),
        None => name.to_owned(),
    }
}

/// The subject for a gate with an unknown name.
fn of_configuration(file: &str, place: &Place) -> String {
    of_gate(&format!("file {file}"), place)
}

impl PublishResult {
    /// Records the result of the comment.
    fn commented(&mut self, put: Put, author: &str) {
        match put {
            Put::Written(page, by) => {
                if !by.eq_ignore_ascii_case(author) {
                    self.problems.push(format!(
                        "the comment is by {}, while perfgate searches comments of {}: set `--comment-author '{}'`, else every run adds a comment",
                        sanitize::line(&by), sanitize::line(author), sanitize::line(&by)
                    ));
                }
                self.comment = Some(page);
            }
            Put::NotWanted => {}
            Put::Newer(run) => note(&format!(
                "the comment keeps the result of the newer run {run}"
            )),
        }
    }

    fn problem(&mut self, what: &str, error: &ClientError, permission: &str) {
        let advice = error.refusal().map_or_else(String::new, |refusal| {
            refusal.advice(permission, self.from_fork)
        });
        let error = sanitize::line(&error.to_string());
        self.problems.push(format!("{what}: {error}{advice}"));
    }

    /// Reports failures as warnings, or as a failure if publishing is required.
    pub(in crate::app) fn finish(
        &self,
        args: &PublishArgs,
        status: ExitStatus,
        context: &Context,
    ) -> Result<ExitStatus, Failure> {
        if let (Some(page), Some(outputs)) = (&self.comment, (context.environment)("GITHUB_OUTPUT"))
        {
            let written =
                actions::write_outputs(Path::new(&outputs), &[("comment-url", page.clone())]);
            if let Err(error) = written {
                warn_not_written("the step has no output `comment-url`", &error);
            }
        }
        let on_actions = annotations::is_on_actions(context.environment);
        for problem in &self.problems {
            note(&format!("warning: the verdict is unchanged, but {problem}"));
            if on_actions {
                annotations::remark(Level::Warning, "perfgate", problem);
            }
        }
        let comment_failed = args.comment == CommentWhen::Always && self.comment.is_none();
        match self.problems.first() {
            Some(problem) if args.require_publish || comment_failed => {
                Err(Failure::environment(format!(
                    "the verdict is unchanged (exit code {}), but was not published: {problem}",
                    status.code()
                )))
            }
            Some(_) | None => Ok(status),
        }
    }
}
