//! A server that answers as GitHub's API does, as far as perfgate asks it, with faults on demand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use serde_json::{Value, json};

pub(crate) const TOKEN: &str = "ghs_dontTellAnybodyThisToken0123456789";
pub(crate) const HEAD: &str = "77b02d4f0a1b2c3d4e5f60718293a4b5c6d7e8f9";
pub(crate) const BOT: &str = "github-actions[bot]";

/// What the server does instead of answering well.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Another answer; nothing is done.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// It is done, and the connection ends before the answer does.
    DoneAndLost,
    /// Nothing is done, and the connection ends.
    Lost,
    /// No answer for ever.
    Hang,
}

impl Fault {
    pub(crate) fn says(status: u16, message: &str) -> Self {
        Self::Answer(status, Vec::new(), json!({"message": message}).to_string())
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Without the prefix, as the description of the API has it.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Option<Value>,
}

/// Everything that the server has.
pub(crate) struct World {
    pub(crate) comments: Vec<Value>,
    pub(crate) statuses: Vec<Value>,
    pub(crate) check_runs: Vec<Value>,
    pub(crate) pull: Value,
    /// What is proposed, from here and from forks.
    pub(crate) pulls: Vec<Value>,
    pub(crate) events: Vec<Value>,
    pub(crate) permissions: BTreeMap<String, Value>,
    pub(crate) activity: Vec<Value>,
    /// Whose token it is.
    pub(crate) writer: (String, String),
    /// Which requests (`POST comments`), how often, what.
    pub(crate) faults: Vec<(String, u32, Fault)>,
    pub(crate) seen: Vec<Seen>,
    next: u64,
    prefix: String,
}

pub(crate) fn comment(id: u64, login: &str, kind: &str, body: &str) -> Value {
    json!({
        "id": id, "body": body, "user": {"login": login, "type": kind, "id": 1},
        "html_url": format!("https://github.test/acme/llm/pull/7#issuecomment-{id}"),
        "created_at": "2026-11-28T03:00:00Z", "updated_at": "2026-11-28T03:00:00Z"
    })
}

/// The server; it ends with the test.
pub(crate) struct GitHub {
    world: Arc<Mutex<World>>,
    address: String,
    _runtime: tokio::runtime::Runtime,
}

impl GitHub {
    /// At `http://127.0.0.1:PORT{prefix}`; an Enterprise server has `/api/v3`.
    pub(crate) fn start(prefix: &str) -> Self {
        let world = World {
            comments: Vec::new(),
            statuses: Vec::new(),
            check_runs: Vec::new(),
            pull: json!({
                "number": 7, "state": "open", "body": "Speeds up decoding.", "labels": [],
                "head": {"sha": HEAD, "ref": "faster", "repo": {"full_name": "acme/llm"}},
                "base": {"sha": "0".repeat(40), "ref": "main", "repo": {"full_name": "acme/llm"}}
            }),
            pulls: Vec::new(),
            events: Vec::new(),
            permissions: BTreeMap::new(),
            activity: vec![
                json!({"after": HEAD, "timestamp": "2026-11-28T03:00:00Z", "ref": "refs/heads/faster"}),
            ],
            writer: (BOT.to_owned(), "Bot".to_owned()),
            faults: Vec::new(),
            seen: Vec::new(),
            next: 1000,
            prefix: prefix.to_owned(),
        };
        let world = Arc::new(Mutex::new(world));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = format!("http://{}{prefix}", listener.local_addr().unwrap());
        let app = axum::Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&world));
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self {
            world,
            address,
            _runtime: runtime,
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// These requests fail so, so often.
    pub(crate) fn fail(&self, requests: &str, times: u32, fault: Fault) {
        self.world()
            .faults
            .push((requests.to_owned(), times, fault));
    }

    /// Texts of the comments that begin with our marker and are by our author.
    pub(crate) fn own(&self) -> Vec<String> {
        let world = self.world();
        let own = world.comments.iter().filter(|comment| {
            comment["user"]["login"] == world.writer.0.as_str()
                && text(comment).starts_with("<!-- perfgate:v1 key=demo")
        });
        own.map(text).collect()
    }

    /// The required status, newest last.
    pub(crate) fn required(&self) -> Vec<Value> {
        self.statuses_of("perfgate")
    }

    /// The statuses of one context, newest last.
    pub(crate) fn statuses_of(&self, context: &str) -> Vec<Value> {
        let world = self.world();
        let statuses = world.statuses.iter();
        statuses
            .filter(|status| status["context"] == context)
            .cloned()
            .collect()
    }

    pub(crate) fn count(&self, method: &str, part: &str) -> usize {
        let world = self.world();
        let same = world
            .seen
            .iter()
            .filter(|seen| seen.method == method && seen.path.contains(part));
        same.count()
    }
}

fn text(comment: &Value) -> String {
    comment["body"].as_str().unwrap().to_owned()
}

async fn answer(
    State(world): State<Arc<Mutex<World>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (fault, done) = {
        let mut world = world.lock().unwrap();
        let host = headers["host"].to_str().unwrap().to_owned();
        world.take(&method, &uri, &headers, &body, &host)
    };
    match fault {
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Answer(status, more, body)) => respond(status, &more, body),
        Some(Fault::DoneAndLost | Fault::Lost) => {
            let parts = [Ok("{\"id\": "), Err(std::io::Error::other("lost"))];
            Response::new(Body::from_stream(futures_util::stream::iter(parts)))
        }
        None => {
            let (status, link, body) = done.unwrap();
            let link = link.map(|link| vec![("link", link)]).unwrap_or_default();
            respond(status, &link, body.to_string())
        }
    }
}

fn respond(status: u16, headers: &[(&'static str, String)], body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().insert(*name, value.parse().unwrap());
    }
    response
}

type Done = (u16, Option<String>, Value);

impl World {
    fn take(
        &mut self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &Bytes,
        host: &str,
    ) -> (Option<Fault>, Option<Done>) {
        // An Enterprise server has `/api/v3` and `/api/graphql`.
        let beside = self.prefix.strip_suffix("/v3").unwrap_or(&self.prefix);
        let path = if uri.path() == format!("{beside}/graphql") {
            "/graphql"
        } else {
            uri.path()
                .strip_prefix(&self.prefix)
                .expect("the API's path is kept")
        };
        // As GitHub writes the addresses of further pages.
        let path = path.replacen("/repositories/1/", "/repos/acme/llm/", 1);
        let query = uri.query().unwrap_or_default().to_owned();
        let body: Option<Value> = (!body.is_empty()).then(|| serde_json::from_slice(body).unwrap());
        let headers = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        self.seen.push(Seen {
            method: method.to_string(),
            path: path.clone(),
            query: query.clone(),
            headers,
            body: body.clone(),
        });
        let name = format!("{method} {path}");
        let due = self.faults.iter_mut().find(|(requests, times, _)| {
            let (verb, part) = requests.split_once(' ').unwrap();
            *times > 0 && name.starts_with(verb) && path.contains(part)
        });
        let fault = due.map(|(_, times, fault)| {
            *times -= 1;
            fault.clone()
        });
        if matches!(fault, None | Some(Fault::DoneAndLost)) {
            (
                fault,
                Some(self.act(method.as_str(), &path, &query, body, host)),
            )
        } else {
            (fault, None)
        }
    }

    #[expect(clippy::too_many_lines, reason = "the routes of the API, one arm each")]
    fn act(
        &mut self,
        method: &str,
        path: &str,
        query: &str,
        body: Option<Value>,
        host: &str,
    ) -> Done {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let body = body.unwrap_or_default();
        match (method, parts.as_slice()) {
            ("GET", ["user"]) if self.writer.1 == "Bot" => (
                403,
                None,
                json!({"message": "Resource not accessible by integration"}),
            ),
            ("GET", ["user"]) => (200, None, json!({"login": self.writer.0})),
            // `viewer` is whoever's token it is, that of an app too.
            ("POST", ["graphql"]) => (
                200,
                None,
                json!({"data": {"viewer": {"login": self.writer.0}}}),
            ),
            ("GET", ["repos", _, _, "issues", "7", "comments"]) => page(
                &self.comments.clone(),
                query,
                host,
                &self.prefix,
                "issues/7/comments",
            ),
            ("GET", ["repos", _, _, "issues", "7", "events"]) => page(
                &self.events.clone(),
                query,
                host,
                &self.prefix,
                "issues/7/events",
            ),
            ("POST", ["repos", _, _, "issues", "7", "comments"]) => {
                let text = body["body"].as_str().unwrap();
                if text.chars().count() > 65_536 {
                    return too_long();
                }
                self.next += 1;
                let (login, kind) = self.writer.clone();
                let comment = comment(self.next, &login, &kind, text);
                self.comments.push(comment.clone());
                (201, None, comment)
            }
            ("PATCH", ["repos", _, _, "issues", "comments", id]) => {
                let id: u64 = id.parse().unwrap();
                if body["body"].as_str().unwrap().chars().count() > 65_536 {
                    return too_long();
                }
                let found = self.comments.iter_mut().find(|comment| comment["id"] == id);
                let Some(comment) = found else {
                    return (404, None, json!({"message": "Not Found"}));
                };
                comment["body"] = body["body"].clone();
                (200, None, comment.clone())
            }
            ("POST", ["repos", _, _, "statuses", sha]) => {
                if let Some(wrong) = wrong_status(&body) {
                    return (
                        422,
                        None,
                        json!({"message": "Validation Failed", "errors": [wrong]}),
                    );
                }
                let mut status = body;
                status["sha"] = json!(sha);
                self.statuses.push(status.clone());
                (201, None, status)
            }
            ("GET", ["repos", _, _, "commits", sha, "statuses"]) => {
                let of_commit = self.statuses.iter().filter(|status| status["sha"] == *sha);
                let newest_first: Vec<Value> = of_commit.rev().cloned().collect();
                let path = format!("commits/{sha}/statuses");
                page(&newest_first, query, host, &self.prefix, &path)
            }
            ("POST", ["repos", _, _, "check-runs"]) => {
                self.next += 1;
                let mut run = body;
                run["id"] = json!(self.next);
                self.check_runs.push(run.clone());
                (201, None, run)
            }
            ("GET", ["repos", _, _, "commits", _, "check-runs"]) => (
                200,
                None,
                json!({"total_count": self.check_runs.len(), "check_runs": self.check_runs}),
            ),
            ("GET", ["repos", _, _, "commits", _, "pulls"]) => {
                (200, None, json!(with_commit_here(&self.pulls)))
            }
            ("GET", ["repos", _, _, "pulls"]) => {
                let found = listed(&self.pulls, query);
                page(&found, query, host, &self.prefix, "pulls")
            }
            ("GET", ["repos", _, _, "pulls", "7"]) => (200, None, self.pull.clone()),
            ("GET", ["repos", _, _, "activity"]) => (200, None, json!(self.activity)),
            ("GET", ["repos", _, _, "collaborators", login, "permission"]) => {
                let known = self.permissions.get(*login);
                (
                    200,
                    None,
                    known
                        .cloned()
                        .unwrap_or(json!({"permission": "read", "role_name": "read"})),
                )
            }
            _ => (404, None, json!({"message": "Not Found"})),
        }
    }
}

/// What GitHub finds wrong with a status.
fn wrong_status(status: &Value) -> Option<Value> {
    let wrong = |field: &str, message: &str| {
        Some(json!({"resource": "Status", "code": "custom", "field": field, "message": message}))
    };
    let text = |name: &str| status[name].as_str().unwrap_or_default();
    for field in ["description", "context"] {
        if text(field).chars().any(|c| c > '\u{ffff}') {
            let message = format!("{field} contains unicode characters above 0xffff");
            return wrong(field, &message);
        }
    }
    if text("description").chars().count() > 140 {
        return wrong(
            "description",
            "description is too long (maximum is 140 characters)",
        );
    }
    if text("context").chars().count() > 255 {
        return wrong("context", "context is too long (maximum is 255 characters)");
    }
    let link = text("target_url");
    let is_absolute = reqwest::Url::parse(link)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if status.get("target_url").is_some() && !is_absolute {
        return wrong("target_url", "target_url must use http(s) scheme");
    }
    None
}

fn too_long() -> Done {
    let error = json!({"resource": "IssueComment", "code": "unprocessable", "field": "data",
        "message": "Body is too long (maximum is 65536 characters)"});
    (
        422,
        None,
        json!({"message": "Validation Failed", "errors": [error]}),
    )
}

/// Those with a commit of this repository: one that only a fork has is found nowhere.
fn with_commit_here(pulls: &[Value]) -> Vec<&Value> {
    let of_ours = |pull: &&Value| pull["head"]["repo"]["full_name"] == "acme/llm";
    pulls.iter().filter(of_ours).collect()
}

/// As the list of pull requests is asked for: open ones where nothing else is said, from one branch where one is named.
fn listed(pulls: &[Value], query: &str) -> Vec<Value> {
    let query = reqwest::Url::parse(&format!("http://x/?{query}")).unwrap();
    let asked = |name: &str| {
        let found = query.query_pairs().find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned())
    };
    let state = asked("state").unwrap_or_else(|| "open".to_owned());
    let head = asked("head");
    let fits = |pull: &&Value| {
        (state == "all" || pull["state"] == state.as_str())
            && head
                .as_ref()
                .is_none_or(|head| pull["head"]["label"] == head.as_str())
    };
    pulls.iter().filter(fits).cloned().collect()
}

fn page(all: &[Value], query: &str, host: &str, prefix: &str, path: &str) -> Done {
    let value = |name: &str, otherwise: usize| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let found = pairs.into_iter().find(|(key, _)| *key == name);
        found.map_or(otherwise, |(_, value)| value.parse().unwrap())
    };
    let (size, page) = (value("per_page", 30).min(100), value("page", 1));
    let begin = (page - 1) * size;
    let end = (begin + size).min(all.len());
    let others = query.split('&').filter(|pair| !pair.contains("page="));
    let kept: String = others.map(|pair| format!("{pair}&")).collect();
    let link = (end < all.len()).then(|| {
        let of = |page: usize, rel: &str| {
            format!("<http://{host}{prefix}/repositories/1/{path}?{kept}per_page={size}&page={page}>; rel=\"{rel}\"")
        };
        format!("{}, {}", of(page + 1, "next"), of(all.len().div_ceil(size), "last"))
    });
    (200, link, json!(all.get(begin..end).unwrap_or_default()))
}
