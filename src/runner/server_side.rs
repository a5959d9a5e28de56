//! The real side: launches, loads and observes a server.

use std::path::PathBuf;
use std::time::Duration;

use super::measurement::Measurement;
use super::repeat_context::RepeatContext;
use super::run_in_progress::Measured;
use super::side::{Awaited, OneRepeat, Side};
use super::{early_end, gpus};
use crate::config::LoadPoint;
use crate::event::{Progress, RunEvent};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::launch::{self, Launch, LaunchError, Target};
use crate::load::{Client, LoadError};

/// Maximum time between the broken connections of a dying server and its visible end.
const END_IS_SEEN: Duration = Duration::from_secs(1);

/// A server of the plan; dropping removes it.
#[derive(Default)]
pub(crate) struct ServerSide {
    target: Option<Target>,
}

impl Side for ServerSide {
    fn wait<'s>(&'s mut self, repeat: &'s OneRepeat<'s>) -> Awaited<'s, ()> {
        Box::pin(async move {
            let events = repeat.context.command.events;
            let _waiting = events.progress(Progress::WaitBegins, Progress::WaitEnds);
            gpus::wait_until_free(repeat).await
        })
    }

    fn start<'s>(&'s mut self, repeat: &'s OneRepeat<'s>) -> Awaited<'s, ()> {
        Box::pin(async move {
            self.target = Some(launch(repeat).await?);
            Ok(())
        })
    }

    fn load<'s>(&'s mut self, repeat: &'s OneRepeat<'s>, load: LoadPoint) -> Awaited<'s, Measured> {
        Box::pin(async move {
            let Some(target) = &self.target else {
                return Err(Failure::message(ExitStatus::Bug, "no server was started"));
            };
            let measured = measure(repeat, target, load).await;
            measured.map_err(|failure| explain(failure, target.death()))
        })
    }

    fn stop<'s>(&'s mut self, context: &'s RepeatContext<'s>) -> Awaited<'s, ()> {
        Box::pin(async move {
            if let Some(target) = self.target.take() {
                stop(context, target).await?;
            }
            Ok(())
        })
    }
}

async fn launch(repeat: &OneRepeat<'_>) -> Result<Target, Failure> {
    let context = repeat.context;
    let events = context.command.events;
    let log = context.log_file(repeat.number);
    let own_program = own_program().map_err(LaunchError::OwnProgram)?;
    let api_key = context.api_key();
    let launch = Launch {
        plan: context.server,
        model: &context.plan.model,
        served_model_name: &context.plan.served_model_name,
        engine_args: &context.plan.engine_args,
        run_id: &repeat.run.id,
        ordinal: context.ordinal(repeat.number),
        log_file: log.as_deref(),
        api_key: api_key.as_deref(),
        headers: &context.plan.headers,
        environment: context.command.environment,
        stop_grace: launch::STOP_GRACE,
        own_program: &own_program,
    };
    let told = |phase: launch::Phase| {
        context.emit(RunEvent::Starting {
            repeat: repeat.label(),
            phase,
        });
    };
    let cancel = context.command.interrupt.token();
    let _waiting = events.progress(Progress::WaitBegins, Progress::WaitEnds);
    // Boxed, because the future of a start is large.
    Ok(Box::pin(launch::start(&launch, &told, &cancel)).await?)
}

/// Measures one load point, unless the server ends first.
async fn measure(
    repeat: &OneRepeat<'_>,
    target: &Target,
    load: LoadPoint,
) -> Result<Measured, Failure> {
    let context = repeat.context;
    let url = format!("{}{}", target.base_url(), repeat.run.template.path());
    let client = Client::find(&url, context.api_key().as_deref())
        .await?
        .with_headers(context.plan.headers.clone());
    let cancel = context.command.interrupt.token();
    let ended = target.ended();
    let measurement = Measurement {
        at: repeat,
        client: &client,
        target,
        load,
    };
    let measured = tokio::select! {
        biased;
        measured = measurement.run(&cancel) => measured,
        // Dropping the other branch closes every connection.
        () = ended.cancelled() => Err(ended_during(repeat.number, load)),
        // Watch the server during all waits, because a hung server also does not answer metric requests.
        () = cancel.cancelled() => Err(LoadError::Cancelled.into()),
    }?;
    // Connections of a dying server break shortly before its end is visible.
    if early_end::check_requests(context.plan, &load.name(), &measured.repeat).is_err()
        && tokio::time::timeout(END_IS_SEEN, ended.cancelled())
            .await
            .is_ok()
    {
        return Err(ended_during(repeat.number, load));
    }
    Ok(measured)
}

/// Stops the server, with a message if the user interrupted and waits.
async fn stop(context: &RepeatContext<'_>, target: Target) -> Result<(), LaunchError> {
    let stopping = target.stop_in(context.command.interrupt.hurry());
    tokio::pin!(stopping);
    let token = context.command.interrupt.token();
    tokio::select! {
        biased;
        stopped = &mut stopping => return stopped,
        () = token.cancelled() => {}
    }
    context.emit(RunEvent::StoppingAfterInterruption);
    stopping.await
}

pub(super) fn ended_during(repeat: u32, load: LoadPoint) -> Failure {
    let message = format!(
        "the server ended during repeat {} of {}",
        repeat + 1,
        load.name()
    );
    Failure::message(ExitStatus::TargetFailed, message)
}

/// Prefers the server's last output as explanation over a failed request.
fn explain(failure: Failure, death: Option<LaunchError>) -> Failure {
    match death {
        Some(death) if failure.status == ExitStatus::TargetFailed => {
            Failure::from(death).context(failure.error.to_string())
        }
        Some(_) | None => failure,
    }
}

/// The running program, even if its file was replaced meanwhile.
pub(crate) fn own_program() -> std::io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    Ok(if program.exists() {
        program
    } else {
        PathBuf::from("/proc/self/exe")
    })
}
