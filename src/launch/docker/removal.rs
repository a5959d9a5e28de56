//! Removes a container that the normal stop did not remove: after an error, a panic, a dropped future.

use std::time::{Duration, Instant};

use bollard::Docker;

use super::address::Address;
use super::engine::{self, QUICK};
use super::remove;

/// The engine needs up to seconds to create a container, so an unanswered request may still create one in this time.
const MAY_STILL_APPEAR: Duration = Duration::from_secs(5);

/// An engine that hangs must not keep perfgate from ending.
const REMOVAL_TIMEOUT: Duration = Duration::from_mins(1);

/// Between two attempts.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// Removes the container of that name on drop, unless disarmed.
#[derive(Debug)]
pub(super) struct Removal {
    name: String,
    address: Address,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The request to create it was sent and not answered yet.
    Asked,
    Created,
    Disarmed,
}

impl Removal {
    pub(super) fn new(name: String, address: Address) -> Self {
        Self {
            name,
            address,
            state: State::Asked,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The engine reported that the container exists.
    pub(super) fn created(&mut self) {
        self.state = State::Created;
    }

    /// There is nothing to remove.
    pub(super) fn disarm(&mut self) {
        self.state = State::Disarmed;
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        if self.state == State::Disarmed {
            return;
        }
        let (name, address, state) = (self.name.clone(), self.address.clone(), self.state);
        // A separate thread: the runtime of the caller may be shutting down, and blocking inside a runtime is not allowed.
        let removed =
            std::thread::spawn(move || remove_on_new_runtime(&name, &address, state)).join();
        match removed {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => {
                tracing::error!("cannot remove the container `{}`: {reason}", self.name);
            }
            Err(_panic) => tracing::error!("cannot remove the container `{}`", self.name),
        }
    }
}

fn remove_on_new_runtime(name: &str, address: &Address, state: State) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    // A timeout belongs to a runtime, so it is created inside it.
    let removed = runtime.block_on(async {
        tokio::time::timeout(
            REMOVAL_TIMEOUT,
            remove_when_it_is_there(name, address, state),
        )
        .await
    });
    removed.unwrap_or_else(|_elapsed| {
        Err(format!(
            "the engine did not answer within {} s",
            REMOVAL_TIMEOUT.as_secs()
        ))
    })
}

async fn remove_when_it_is_there(
    name: &str,
    address: &Address,
    state: State,
) -> Result<(), String> {
    // Connections belong to the runtime that created them.
    let docker = engine::connect_at(address)
        .await
        .map_err(|error| error.to_string())?;
    let end = Instant::now() + MAY_STILL_APPEAR;
    loop {
        let was_there = exists(&docker, name).await;
        remove(&docker, name)
            .await
            .map_err(|error| error.to_string())?;
        if was_there || state == State::Created || Instant::now() >= end {
            return Ok(());
        }
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
}

async fn exists(docker: &Docker, name: &str) -> bool {
    let asked = engine::inspect(docker, name);
    engine::ask(QUICK, asked).await.is_ok()
}
