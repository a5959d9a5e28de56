//! Output of a running container, and its end.

use std::time::Duration;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::query_parameters::{LogsOptionsBuilder, WaitContainerOptionsBuilder};
use futures_util::StreamExt as _;

use super::super::fault::Exit;
use super::super::life::Life;
use super::super::log::{LineSplitter, ServerLog};
use super::engine::{self, QUICK};

/// Wait after a failed request to the engine.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// After this many failed requests in a row, the engine, and the server with it, counts as gone.
const MOST_FAILURES: u32 = 10;

/// Copies the container's output into the log until it ends.
pub(super) async fn read(docker: Docker, name: String, log: ServerLog, life: Life) {
    let options = LogsOptionsBuilder::default()
        .follow(true)
        .stdout(true)
        .stderr(true)
        .tail("all")
        .build();
    // One splitter per stream, so that halves of two lines do not merge.
    let mut out = LineSplitter::default();
    let mut err = LineSplitter::default();
    let mut has_begun = false;
    loop {
        let mut stream = docker.logs(&name, Some(options.clone()));
        while let Some(Ok(piece)) = stream.next().await {
            has_begun = true;
            let splitter = if matches!(piece, LogOutput::StdErr { .. }) {
                &mut err
            } else {
                &mut out
            };
            splitter.feed(piece.as_ref(), |line| log.push(line));
        }
        // A server that prints nothing for two minutes hits the client's timeout, and an engine may report the end of a
        // log that has not begun.
        if has_begun || life.exit().is_some() {
            break;
        }
        tokio::time::sleep(RETRY_DELAY).await;
    }
    for splitter in [out, err] {
        splitter.finish(|line| log.push(line));
    }
}

/// Waits until the container has stopped.
pub(super) async fn watch(docker: Docker, name: String, life: Life) {
    let options = WaitContainerOptionsBuilder::default()
        .condition("not-running")
        .build();
    let mut unanswered = 0;
    loop {
        // An exit code other than 0 arrives as an error; the state is requested in any case.
        drop(
            docker
                .wait_container(&name, Some(options.clone()))
                .next()
                .await,
        );
        match engine::ask(QUICK, engine::inspect(&docker, &name)).await {
            Ok(container) => {
                unanswered = 0;
                let state = container.state.unwrap_or_default();
                if state.running != Some(true) {
                    life.end(Exit {
                        code: state.exit_code,
                        signal: None,
                        out_of_memory: state.oom_killed.unwrap_or(false),
                    });
                    return;
                }
            }
            Err(error) => {
                unanswered += 1;
                if error.is_missing() || unanswered == MOST_FAILURES {
                    life.end(Exit::default());
                    return;
                }
            }
        }
        tokio::time::sleep(RETRY_DELAY).await;
    }
}
