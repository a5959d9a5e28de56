//! The routes, with vLLM's answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use futures_util::stream;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use super::engine::Sequence;
use super::metrics::Metrics;
use super::options::Options;
use super::request::{self, Accepted, Api};
use super::schedule::{Emission, Handle};
use super::stream::Answer;
use crate::clock;

/// Enough for the token ids, in JSON, of the longest prompt of any model.
const LARGEST_BODY: usize = 64 << 20;

/// State of every handler.
#[derive(Debug)]
pub(super) struct State {
    options: Arc<Options>,
    metrics: Arc<Metrics>,
    engine: Handle,
    died: CancellationToken,
    born: Instant,
    requests: AtomicU64,
}

/// The drawn outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Fine,
    Fail,
    FailMidStream,
    Truncate,
}

impl State {
    pub(super) fn new(
        options: Arc<Options>,
        metrics: Arc<Metrics>,
        engine: Handle,
        died: CancellationToken,
    ) -> Self {
        Self {
            options,
            metrics,
            engine,
            died,
            born: Instant::now(),
            requests: AtomicU64::new(0),
        }
    }

    fn is_ready(&self) -> bool {
        self.born.elapsed() >= self.options.startup
    }

    fn outcome(&self, number: u64) -> Outcome {
        let options = &self.options;
        let start = u64::from(options.start) << 40;
        let mut generator =
            Pcg64Mcg::seed_from_u64(options.seed ^ start ^ number.wrapping_mul(0x9E37_79B9));
        let drawn = generator.random::<f64>();
        let mut edge = 0.0;
        for (rate, outcome) in [
            (options.fail_rate, Outcome::Fail),
            (options.fail_mid_stream_rate, Outcome::FailMidStream),
            (options.truncate_rate, Outcome::Truncate),
        ] {
            edge += rate;
            if drawn < edge {
                return outcome;
            }
        }
        Outcome::Fine
    }
}

pub(super) fn router(state: State) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/ping", get(health))
        .route(
            "/version",
            get(|| async { json_answer(200, &json!({"version": env!("CARGO_PKG_VERSION")})) }),
        )
        .route("/v1/models", get(models))
        .route(
            "/load",
            get(|| async { json_answer(200, &json!({"server_load": 0})) }),
        )
        .route("/metrics", get(metrics))
        .route("/tokenize", post(tokenize))
        .route(
            "/v1/completions",
            post(|state, body| complete(state, Api::Completions, body)),
        )
        .route(
            "/v1/chat/completions",
            post(|state, body| complete(state, Api::Chat, body)),
        )
        .fallback(|| async { json_answer(404, &json!({"detail": "Not Found"})) })
        .method_not_allowed_fallback(|| async {
            json_answer(405, &json!({"detail": "Method Not Allowed"}))
        })
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(Arc::new(state))
}

fn json_answer(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
        .into_response()
}

async fn health(Shared(state): Shared<Arc<State>>) -> Response {
    if state.is_ready() {
        StatusCode::OK.into_response()
    } else {
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    }
}

async fn models(Shared(state): Shared<Arc<State>>) -> Response {
    let options = &state.options;
    let model = json!({
        "id": options.model, "object": "model", "created": clock::unix_time().as_secs(), "owned_by": "vllm",
        "root": options.model, "parent": null, "max_model_len": options.max_model_len
    });
    json_answer(200, &json!({"object": "list", "data": [model]}))
}

async fn metrics(Shared(state): Shared<Arc<State>>) -> Response {
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        state.metrics.text(),
    )
        .into_response()
}

async fn tokenize(Shared(state): Shared<Arc<State>>, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(prompt) = body.get("prompt").and_then(Value::as_str) else {
        let refused = request::refused(
            400,
            "Bad Request",
            "body.prompt",
            "1 validation error: Field required",
        );
        return json_answer(refused.status, &refused.body);
    };
    let count = request::count_tokens(prompt);
    let tokens: Vec<u32> = (0..count).collect();
    let limit = state.options.max_model_len;
    json_answer(
        200,
        &json!({"count": count, "max_model_len": limit, "tokens": tokens, "token_strs": null}),
    )
}

async fn complete(Shared(state): Shared<Arc<State>>, api: Api, body: Bytes) -> Response {
    let number = state.requests.fetch_add(1, Ordering::Relaxed) + 1;
    if state.options.die_after.is_some_and(|limit| number >= limit) {
        state.died.cancel();
    }
    let accepted = match request::read(api, &body, &state.options) {
        Ok(accepted) => accepted,
        Err(refused) => return json_answer(refused.status, &refused.body),
    };
    let outcome = state.outcome(number);
    if outcome == Outcome::Fail || !state.is_ready() {
        let refused = request::refused(
            500,
            "InternalServerError",
            "",
            "EngineCore encountered an issue (simulated)",
        );
        return json_answer(refused.status, &refused.body);
    }
    let sequence = Sequence {
        id: number,
        prompt: accepted.prompt_tokens,
        output: accepted.output_tokens,
    };
    let tokens = state.engine.submit(sequence);
    let Some(tokens) = tokens else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let guard = CancelOnDrop {
        engine: state.engine.clone(),
        id: number,
    };
    let answer = Answer {
        id: number,
        created: clock::unix_time().as_secs(),
        model: state.options.model.clone(),
        fingerprint: state.options.fingerprint(),
        accepted,
    };
    if answer.accepted.stream {
        stream_answer(answer, tokens, outcome, guard)
    } else {
        whole_answer(&answer, tokens, guard).await
    }
}

/// Frees the slot of a client that has disconnected.
#[derive(Debug)]
struct CancelOnDrop {
    engine: Handle,
    id: u64,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.engine.cancel(self.id);
    }
}

async fn whole_answer(
    answer: &Answer,
    mut tokens: Receiver<Emission>,
    _guard: CancelOnDrop,
) -> Response {
    while let Some(token) = tokens.recv().await {
        if token.last {
            return json_answer(200, &answer.body());
        }
    }
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}

/// Progress of a stream.
struct Streaming {
    answer: Answer,
    tokens: Receiver<Emission>,
    outcome: Outcome,
    /// The token at which a drawn failure happens.
    fails_at: u32,
    over: bool,
    _guard: CancelOnDrop,
}

fn stream_answer(
    answer: Answer,
    tokens: Receiver<Emission>,
    outcome: Outcome,
    guard: CancelOnDrop,
) -> Response {
    let Accepted { output_tokens, .. } = answer.accepted;
    let streaming = Streaming {
        answer,
        tokens,
        outcome,
        fails_at: output_tokens / 2,
        over: false,
        _guard: guard,
    };
    let body = stream::unfold(streaming, |mut streaming| async move {
        let piece = streaming.next().await?;
        Some((piece, streaming))
    });
    (
        [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")],
        Body::from_stream(body),
    )
        .into_response()
}

impl Streaming {
    /// The next write; an error resets the connection.
    async fn next(&mut self) -> Option<Result<String, std::io::Error>> {
        if self.over {
            return None;
        }
        let token = self.tokens.recv().await?;
        let fails = token.index >= self.fails_at;
        match self.outcome {
            Outcome::Truncate if fails => {
                self.over = true;
                return Some(Err(std::io::Error::other("aborted, as configured")));
            }
            Outcome::FailMidStream if fails => {
                self.over = true;
                return Some(Ok(Answer::error_events()));
            }
            Outcome::Fine | Outcome::Fail | Outcome::FailMidStream | Outcome::Truncate => {}
        }
        let mut text = self.answer.events(token.index, token.last);
        self.over = token.last;
        // After a delay on this side the queued tokens go out in one write, as vLLM merges them.
        while let Ok(token) = self.tokens.try_recv() {
            text.push_str(&self.answer.events(token.index, token.last));
            self.over = token.last;
        }
        Some(Ok(text))
    }
}
