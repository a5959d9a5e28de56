//! Open loop: do the gaps between requests have the rate and the spread that were asked for?

use perfgate::config::LoadPoint;

use crate::server::{CLIENT_CPU, Pace, Server, pin};
use crate::table::drive;
use crate::truth::quantile;

const RATE: f64 = 200.0;
const REQUESTS: usize = 4_000;

pub(crate) fn run() {
    println!(
        "\nOpen loop, {RATE} requests/s, {REQUESTS} requests; gaps as the server saw the requests come in\n"
    );
    println!(
        "| arrivals | rate reached | variation of gaps (asked for) | planned to sent p50 / p99 / max, ms | sent to arrived p50 / p99, ms |"
    );
    println!("| --- | --- | --- | --- | --- |");
    for (name, burstiness, asked) in [
        ("Poisson", 1.0, 1.0),
        ("constant", f64::INFINITY, 0.0),
        ("gamma, burstiness 4", 4.0, 0.5),
    ] {
        let pace = Pace::Lognormal {
            first: std::time::Duration::from_millis(20),
            gap: std::time::Duration::from_micros(200),
        };
        let server = Server::start(pace);
        pin(CLIENT_CPU);
        let load = LoadPoint::Rate {
            per_second: RATE,
            burstiness,
        };
        let driven = drive(&server, REQUESTS, pace.tokens(), load);
        let truth = server.stop();
        let mut arrived: Vec<f64> = truth
            .values()
            .map(|answered| answered.arrived as f64 / 1e9)
            .collect();
        arrived.sort_by(f64::total_cmp);
        let gaps: Vec<f64> = arrived.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        let late: Vec<f64> = driven
            .traces
            .iter()
            .map(|trace| (trace.sent - trace.due) * 1e3)
            .collect();
        // The two clocks have one distance; the smallest difference is taken for it.
        let distance: Vec<f64> = driven
            .traces
            .iter()
            .map(|trace| {
                truth[&u32::try_from(trace.index).expect("small")].arrived as f64 / 1e9 - trace.sent
            })
            .collect();
        let least = quantile(&distance, 0.0);
        let way: Vec<f64> = distance
            .iter()
            .map(|distance| (distance - least) * 1e3)
            .collect();
        println!(
            "| {name} | {:.1} | {:.3} ({asked}) | {:.3} / {:.3} / {:.3} | {:.3} / {:.3} |",
            1.0 / mean,
            variance.sqrt() / mean,
            quantile(&late, 0.5),
            quantile(&late, 0.99),
            quantile(&late, 1.0),
            quantile(&way, 0.5),
            quantile(&way, 0.99),
        );
    }
}
