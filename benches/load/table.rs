//! perfgate's side, and the table.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use perfgate::config::{Endpoint, ExtraBody, LoadPoint, Sampling};
use perfgate::load::{Client, LoadResult, LoadTest, RequestTemplate, StopConditions};
use perfgate::measure::RequestOutcome;
use perfgate::workload::{Prompt, Request};
use rustix::time::{ClockId, clock_gettime};
use tokio_util::sync::CancellationToken;

use crate::server::{CLIENT_CPU, Pace, Server, pin};
use crate::truth::{Errors, Said, Truth, quantile};

/// One measurement of one client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub tokens: u64,
    pub wall: f64,
    pub cpu: f64,
    pub resident_mb: f64,
    pub said: Vec<Said>,
    pub errors: Errors,
}

impl Row {
    pub(crate) fn judge(&mut self, truth: &Truth) {
        self.errors = Errors::of(&self.said, truth);
    }
}

/// CPU seconds of this process.
pub(crate) fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Takes the mark of the highest resident memory back to what is resident now.
pub(crate) fn forget_resident() {
    std::fs::write("/proc/self/clear_refs", "5").expect("a process may forget its own mark");
}

/// Resident memory of this process at its highest since [`forget_resident`], in MB.
pub(crate) fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kilobytes.unwrap_or(f64::NAN) / 1024.0
}

/// Requests whose prompt is their number, by which the server names them in its record.
pub(crate) fn drive(server: &Server, requests: usize, tokens: u32, load: LoadPoint) -> LoadResult {
    let template = RequestTemplate {
        endpoint: Endpoint::Completions,
        model: "m".to_owned(),
        sampling: Sampling::default(),
        extra_body: ExtraBody::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let drive = LoadTest {
            client: Client::find(&format!("{}/v1/completions", server.url()), None)
                .await
                .expect("an address"),
            template,
            requests: (0..requests)
                .map(|index| Request {
                    index,
                    prompt: Prompt::TokenIds(vec![u32::try_from(index).expect("a small number")]),
                    output_tokens: tokens,
                    due: None,
                    follows: None,
                })
                .collect(),
            load,
            ramp_up: Duration::ZERO,
            timeout: Duration::from_mins(2),
            duration: None,
            seed: 1,
            stop_conditions: StopConditions::default(),
        };
        drive
            .run(Arc::new(AtomicUsize::new(0)), &CancellationToken::new())
            .await
            .expect("a pass")
    })
}

pub(crate) fn perfgate(server: &Server, streams: usize, requests: usize, pace: Pace) -> Row {
    pin(CLIENT_CPU);
    forget_resident();
    let cpu = cpu_seconds();
    let driven = drive(
        server,
        requests,
        pace.tokens(),
        LoadPoint::Concurrency(streams),
    );
    let cpu = cpu_seconds() - cpu;
    let said = driven.traces.iter().map(|trace| {
        assert_eq!(trace.outcome, RequestOutcome::Ok);
        Said {
            index: u32::try_from(trace.index).expect("a small number"),
            ttft: trace.ttft().expect("a first token"),
            tpot: trace.tpot().expect("two tokens"),
            gaps: trace.itl().collect(),
        }
    });
    Row {
        tokens: driven
            .traces
            .iter()
            .filter_map(|trace| trace.output_tokens)
            .sum(),
        said: said.collect(),
        // From the first request to the last answer, as for the raw reader; the CPU's time is all of it.
        wall: driven.wall_time.as_secs_f64(),
        cpu,
        resident_mb: resident_mb(),
        errors: Errors::default(),
    }
}

pub(crate) fn print_head() {
    println!(
        "| client | streams | tokens/s | CPU-s per million | TTFT error p50 / p99 | TPOT error p50 / p99 | ITL p99 error | memory MB |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
}

/// The median of each figure over the rounds.
pub(crate) fn print_row(name: &str, streams: usize, rows: &[Row]) {
    let median = |figure: &dyn Fn(&Row) -> f64| {
        let values: Vec<f64> = rows.iter().map(figure).collect();
        quantile(&values, 0.5)
    };
    let of = |share: f64, pick: fn(&Errors) -> &Vec<f64>| {
        median(&|row| quantile(pick(&row.errors), share))
    };
    println!(
        "| {name} | {streams} | {:.0} k | {:.2} | {:.3} / {:.3} | {:.4} / {:.4} | {:.3} | {:.0} |",
        median(&|row| row.tokens as f64 / row.wall / 1e3),
        median(&|row| row.cpu / row.tokens as f64 * 1e6),
        of(0.5, |errors| &errors.ttft),
        of(0.99, |errors| &errors.ttft),
        of(0.5, |errors| &errors.tpot),
        of(0.99, |errors| &errors.tpot),
        median(&|row| row.errors.itl_p99),
        median(&|row| row.resident_mb),
    );
}
