//! What removes a container when nobody is left to stop it: after an error, a panic, a dropped future.

use std::time::{Duration, Instant};

use bollard::Docker;

use super::address::Address;
use super::engine::{self, QUICK};
use super::remove;

/// Creating a container takes the engine up to seconds; one that nobody waits for may appear within this time.
const MAY_STILL_APPEAR: Duration = Duration::from_secs(5);

/// An engine that hangs must not keep perfgate from ending.
const AT_MOST: Duration = Duration::from_mins(1);

/// Between two tries.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// Removes the container of that name when dropped, unless disarmed.
#[derive(Debug)]
pub(super) struct Removal {
    name: String,
    address: Address,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The engine was asked to create it and has not answered.
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

    /// The engine said that the container exists.
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
        // A thread of its own: the runtime that dropped us may be shutting down, and one must not block in another.
        let removed =
            std::thread::spawn(move || remove_on_new_runtime(&name, &address, state)).join();
        match removed {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => {
                tracing::error!("could not remove the container `{}`: {reason}", self.name);
            }
            Err(_panic) => tracing::error!("could not remove the container `{}`", self.name),
        }
    }
}

fn remove_on_new_runtime(name: &str, address: &Address, state: State) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    // A time-out belongs to a runtime, so it is made in it.
    let removed = runtime.block_on(async {
        tokio::time::timeout(AT_MOST, remove_when_it_is_there(name, address, state)).await
    });
    removed.unwrap_or_else(|_elapsed| {
        Err(format!(
            "the engine did not answer within {} s",
            AT_MOST.as_secs()
        ))
    })
}

async fn remove_when_it_is_there(
    name: &str,
    address: &Address,
    state: State,
) -> Result<(), String> {
    // Connections belong to the runtime that made them.
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
        tokio::time::sleep(TRY_AGAIN).await;
    }
}

async fn exists(docker: &Docker, name: &str) -> bool {
    let asked = engine::inspect(docker, name);
    matches!(engine::timely(QUICK, asked).await, Ok(Ok(_)))
}
