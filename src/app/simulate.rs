//! `perfgate simulate`: serve until interrupted.

use rand::SeedableRng as _;
use rand::rand_core::Rng as _;
use rand_pcg::Pcg64Mcg;

use crate::app::output::print;
use crate::cli::simulate::SimulateArgs;
use crate::clock;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::priority::{self, Urgency};
use crate::runner::runtime;
use crate::simulate::{Costs, Options, Server};
use crate::terminal::Output;

pub(super) fn run(args: &SimulateArgs) -> Result<ExitStatus, Failure> {
    let runtime = runtime(|| {
        priority::raise(Urgency::Server);
    })?;
    runtime.block_on(serve(args))
}

async fn serve(args: &SimulateArgs) -> Result<ExitStatus, Failure> {
    let interrupt = Interrupt::listen()?;
    let surroundings = |error| Failure::new(ExitStatus::EnvironmentFailed, error);
    let server = Server::bind(args.port, options(args))
        .await
        .map_err(surroundings)?;
    // One line of data, from which scripts read the address.
    print(Output::Text, &format!("listening on {}", server.url()))?;
    let served = server
        .serve(interrupt.token())
        .await
        .map_err(surroundings)?;
    let lateness = served.lateness;
    tracing::info!(
        steps = lateness.steps,
        "tokens left the engine {:.2} ms (median), {:.2} ms (P99), {:.2} ms (at most) after their schedule",
        lateness.p50 * 1e3,
        lateness.p99 * 1e3,
        lateness.max * 1e3,
    );
    Ok(if served.died {
        ExitStatus::TargetFailed
    } else {
        ExitStatus::Pass
    })
}

fn options(args: &SimulateArgs) -> Options {
    Options {
        model: args.model.clone(),
        max_model_len: args.max_model_len,
        max_num_seqs: args.max_num_seqs,
        kv_cache_tokens: args.kv_cache_tokens,
        has_gpu: args.gpus > 0,
        gpu_memory: args.gpu_memory,
        memory_growth: args.memory_growth,
        costs: Costs {
            step_base: args.step_base.as_secs_f64(),
            step_per_running: args.step_per_running.as_secs_f64(),
            prefill_per_token: args.prefill_per_token.as_secs_f64(),
        },
        slowdown: args.slowdown,
        decode_slowdown: args.decode_slowdown,
        prefill_slowdown: args.prefill_slowdown,
        noise: args.noise,
        step_noise: args.step_noise,
        seed: args.seed.unwrap_or_else(own_seed),
        start: args.start,
        startup: args.startup,
        fail_rate: args.fail_rate,
        fail_mid_stream_rate: args.fail_mid_stream_rate,
        truncate_rate: args.truncate_rate,
        die_after: args.die_after,
    }
}

/// A different seed at every start.
fn own_seed() -> u64 {
    let nanoseconds = clock::unix_time().as_nanos();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low bits are the ones that differ"
    )]
    let mixed = (nanoseconds as u64) ^ (u64::from(std::process::id()) << 32);
    Pcg64Mcg::seed_from_u64(mixed).next_u64()
}
