//! Comment, status and check run: each is published independent of the others.

use std::path::Path;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::super::Context;
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
use crate::terminal::progress::note;
use crate::terminal::{self, Level, WorkflowCommand};
use crate::text::sanitize;
use crate::{config, render};

/// The result.
#[derive(Default)]
pub(in crate::app) struct PublishResult {
    /// The comment's page.
    comment: Option<String>,
    /// Failures.
    problems: Vec<String>,
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
        let mut result = PublishResult::default();
        if let Some(error) = &place.problem {
            result.problem(
                "the pull request was not found",
                error,
                "pull-requests: read",
                self.occasion.from_fork,
            );
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
                let words = Words {
                    of: &of_gate(&view.name, place),
                    formerly: Some(&of_configuration(&self.configuration, place)),
                    state: CommitState::of(comparison.exit_code),
                    description: &format!("{}: {}", view.verdict.word, view.headline),
                };
                self.status(head, words, &mut result).await;
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
        let mut result = PublishResult::default();
        let description = format!(
            "NO VERDICT: {} (exit code {})",
            failure.error,
            failure.status.code()
        );
        let words = Words {
            of: &match name {
                Some(name) => of_gate(name, place),
                None => of_configuration(&self.configuration, place),
            },
            formerly: None,
            state: CommitState::Error,
            description: &description,
        };
        self.until_interrupted(self.status(head, words, &mut result));
        for problem in &result.problems {
            note(&format!("warning: {problem}"));
        }
    }

    async fn status(&self, head: &Sha, words: Words<'_>, result: &mut PublishResult) {
        let context = self.args.status_context.trim();
        if context.is_empty() {
            return;
        }
        let Words {
            of,
            formerly,
            state,
            description,
        } = words;
        let statement = Statement {
            client: &self.client,
            repository: &self.repository,
            head,
            context,
            of,
            formerly,
            state,
            description,
            address: self.address(),
        };
        match statement.set().await {
            Ok(problems) => result.problems.extend(problems),
            Err(error) => result.problem(
                "the status was not set",
                &error,
                "statuses: write",
                self.occasion.from_fork,
            ),
        }
    }

    fn address(&self) -> Option<&str> {
        self.args.report_url.as_deref().or(self.run_page.as_deref())
    }

    async fn check_run(&self, content: &Content<'_>, head: &Sha, result: &mut PublishResult) {
        let Content {
            comparison,
            view,
            markdown,
        } = content;
        let name = format!("perfgate report: {}", sanitize::line(&view.name));
        let check_run = CheckRun {
            name: &name,
            head,
            state: CommitState::of(comparison.exit_code),
            title: sanitize::line(&format!("{}: {}", view.verdict.word, view.instruction)),
            summary: markdown,
            external_id: format!("{}.{}", self.run.run, self.run.attempt),
            address: self.address(),
            annotations: annotations::marks(comparison),
        };
        if let Err(error) = check_run.put(&self.client, &self.repository).await {
            result.problem(
                "the check run was not written",
                &error,
                "checks: write",
                self.occasion.from_fork,
            );
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
        let Content {
            comparison,
            view,
            markdown,
        } = content;
        let author = self.author().await;
        let wanted = Wanted {
            marker: Marker {
                key: key(view, trust),
                head: head.clone(),
                run: self.run,
            },
            markdown,
            banner: (trust == Trust::Stranger).then(|| self.banner()),
            notes: notes
                .iter()
                .map(|note| render::markdown::sentence_of(note))
                .collect(),
            footer: self.footer(head),
            push: (view.verdict.icon, view.verdict.word, &view.headline),
            create: self.args.comment != CommentWhen::OnChange
                || comparison.verdict != Verdict::Pass,
        };
        let thread = Thread {
            client: &self.client,
            repository: &self.repository,
            number,
            author: &author,
        };
        match thread.put(&wanted).await {
            Ok((put, untidied)) => {
                result.commented(put, &author);
                for error in untidied {
                    let what = "a duplicate comment of perfgate was not collapsed";
                    result.problem(
                        what,
                        &error,
                        "pull-requests: write",
                        self.occasion.from_fork,
                    );
                }
            }
            Err(error) => {
                result.problem(
                    "the comment was not written",
                    &error,
                    "pull-requests: write",
                    self.occasion.from_fork,
                );
            }
        }
    }

    /// The author of our comments: the token's account, which GraphQL reports for every kind of token.
    async fn author(&self) -> String {
        #[derive(Deserialize)]
        struct Account {
            login: String,
        }
        #[derive(Deserialize)]
        struct Data {
            viewer: Account,
        }
        #[derive(Deserialize)]
        struct Asked {
            data: Data,
        }
        if let Some(author) = &self.args.comment_author {
            return author.clone();
        }
        let asked = self
            .client
            .ask::<Asked>(&self.graphql, "query { viewer { login } }");
        if let Ok(asked) = asked.await
            && !asked.data.viewer.login.is_empty()
        {
            return asked.data.viewer.login;
        }
        // A workflow's token may lack this permission.
        if self.of_a_person
            && let Ok(user) = self.client.get::<Account>("user", &[]).await
        {
            return user.login;
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

/// The content of a status.
struct Words<'a> {
    of: &'a str,
    formerly: Option<&'a str>,
    state: CommitState,
    description: &'a str,
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

    fn problem(&mut self, what: &str, error: &ClientError, permission: &str, from_fork: bool) {
        let refusal = error.refusal();
        let advice =
            refusal.map_or_else(String::new, |refusal| refusal.advice(permission, from_fork));
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
                note(&format!(
                    "warning: the verdict is unchanged, but the step has no output `comment-url`: {error}"
                ));
            }
        }
        let on_actions =
            (context.environment)("GITHUB_ACTIONS").is_some_and(|value| value == "true");
        for problem in &self.problems {
            note(&format!("warning: the verdict is unchanged, but {problem}"));
            if on_actions {
                terminal::command(&WorkflowCommand::remark(
                    Level::Warning,
                    "perfgate",
                    problem,
                ));
            }
        }
        let comment_failed = args.comment == CommentWhen::Always && self.comment.is_none();
        match self.problems.first() {
            Some(problem) if args.require_publish || comment_failed => Err(Failure::message(
                ExitStatus::EnvironmentFailed,
                format!(
                    "the verdict is unchanged (exit code {}), but was not published: {problem}",
                    status.code()
                ),
            )),
            Some(_) | None => Ok(status),
        }
    }
}
