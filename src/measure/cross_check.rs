//! Compares the client's figures with the server's own counters, and derives other facts from these counters.
//!
//! Based on counts and on figures that both sides have, never on whether a result is good.

use super::covariates::Concerns;
use crate::record::telemetry::ServerCounts;
use crate::stats::number;

/// The server's own `/metrics` of the measured time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerFigures {
    /// Differences of counters, means from differences of histogram sums, which are exact, unlike quantiles between bucket
    /// bounds, and peaks of the samples in between.
    pub counts: ServerCounts,
    /// Whether the process was restarted.
    pub restarted: bool,
    /// Whether the answers came from several servers behind one address, so that no count belongs to the load.
    pub several_servers: bool,
}

/// The client's figures of the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClientFigures {
    /// Requests sent.
    pub requests: usize,
    /// Whether every answer was complete; the server also counts the tokens of incomplete ones.
    pub all_whole: bool,
    /// Tokens received.
    pub output_tokens: u64,
    /// Most requests in flight: up to so many of the warm-up may be counted late.
    pub in_flight: usize,
    /// Mean TTFT from when a request was sent, seconds.
    pub ttft: Option<f64>,
    /// Mean TPOT, seconds.
    pub tpot: Option<f64>,
    /// Mean time from when a request was due to its last byte, seconds.
    pub e2e: Option<f64>,
}

/// If the server counts more requests and tokens than ours by this share, they come from another client.
const FOREIGN_SHARE: f64 = 0.05;

/// A figure of ours that is lower than the server's by more than this share contradicts it. There is no absolute minimum,
/// because scales differ between figures.
const BELOW: f64 = 0.10;

/// Share of TTFT outside the server's own measurement (network, HTTP front end, client) that causes a warning, if it is at
/// least [`LEAST_OUTSIDE`].
const OUTSIDE: f64 = 0.25;

/// Seconds; loopback and vLLM's front end take a few milliseconds.
const LEAST_OUTSIDE: f64 = 0.010;

impl ServerFigures {
    /// What voids the repeat, and warnings.
    pub fn check(&self, ours: &ClientFigures) -> Concerns {
        let mut concerns = Concerns::default();
        if self.restarted {
            concerns.make_void("the server was restarted during the repeat");
            return concerns;
        }
        if self.several_servers {
            concerns.warn("several servers", "several servers (replicas) share this address, so two answers of /metrics may come from different ones: the server's own figures are left out");
            return concerns;
        }
        self.foreign_load(ours, &mut concerns);
        self.latencies(ours, &mut concerns);
        if let Some(preempted) = self.counts.preemptions.filter(|count| *count > 0.0) {
            concerns.warn("pre-emptions", format!(
                "the server pre-empted {preempted:.0} of {} requests: its KV cache is too small for this load, and the latencies of these requests have a jump",
                ours.requests
            ));
        }
        concerns
    }

    /// Load of other clients.
    fn foreign_load(&self, ours: &ClientFigures, concerns: &mut Concerns) {
        let (Some(requests), Some(tokens)) = (self.counts.requests, self.counts.output_tokens)
        else {
            return;
        };
        let sent = number(ours.requests as u64);
        let more_requests = requests - sent;
        let more_tokens = tokens - number(ours.output_tokens);
        let allowed = number(ours.in_flight as u64).max(FOREIGN_SHARE * sent);
        if ours.all_whole
            && more_requests > allowed
            && more_tokens > FOREIGN_SHARE * number(ours.output_tokens)
        {
            concerns.make_void(format!(
                "the server answered {requests:.0} requests in the measured time, but perfgate sent {}: another client uses the server",
                ours.requests
            ));
        }
    }

    fn latencies(&self, ours: &ClientFigures, concerns: &mut Concerns) {
        if !ours.all_whole {
            return;
        }
        for (name, here, there) in [
            ("TTFT", ours.ttft, self.counts.ttft_mean),
            ("TPOT", ours.tpot, self.counts.tpot_mean),
            ("E2E", ours.e2e, self.counts.e2e_mean),
        ] {
            if let (Some(here), Some(there)) = (here, there)
                && here < there * (1.0 - BELOW)
            {
                concerns.warn("contradiction", format!(
                    "the mean {name} is {:.1} ms at the client and {:.1} ms by the server's counters: one of them is wrong",
                    here * 1e3,
                    there * 1e3
                ));
            }
        }
        if let (Some(here), Some(there)) = (ours.ttft, self.counts.ttft_mean)
            && here - there > (OUTSIDE * there).max(LEAST_OUTSIDE)
        {
            concerns.warn("outside of the server", format!(
                "{:.1} ms of the mean TTFT of {:.1} ms are outside the server's own measurement: network, its HTTP front end, or this machine",
                (here - there) * 1e3,
                here * 1e3
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> ClientFigures {
        ClientFigures {
            requests: 100,
            all_whole: true,
            output_tokens: 3200,
            in_flight: 4,
            ttft: Some(0.032),
            tpot: Some(0.010),
            e2e: Some(0.342),
        }
    }

    fn theirs() -> ServerCounts {
        ServerCounts {
            requests: Some(100.0),
            output_tokens: Some(3200.0),
            ttft_mean: Some(0.030),
            tpot_mean: Some(0.010),
            e2e_mean: Some(0.341),
            preemptions: Some(0.0),
            ..ServerCounts::default()
        }
    }

    fn figures(counts: &ServerCounts) -> ServerFigures {
        ServerFigures {
            counts: counts.clone(),
            ..ServerFigures::default()
        }
    }

    fn messages(figures: &ServerFigures, ours: &ClientFigures) -> String {
        let concerns = figures.check(ours);
        let void = concerns.void.map(|reason| format!("void: {reason}"));
        let messages = concerns.warnings.into_iter().map(|warning| warning.message);
        let all: Vec<String> = void.into_iter().chain(messages).collect();
        all.join("\n")
    }

    #[test]
    fn figures_that_agree_give_no_message() {
        assert_eq!(messages(&figures(&theirs()), &ours()), "");
        assert_eq!(messages(&ServerFigures::default(), &ours()), "");
    }

    #[test]
    fn another_client_voids_the_repeat_and_late_counts_of_the_warm_up_do_not() {
        let late = ServerCounts {
            requests: Some(104.0),
            output_tokens: Some(3328.0),
            ..theirs()
        };
        assert_eq!(messages(&figures(&late), &ours()), "");
        let stranger = ServerCounts {
            requests: Some(130.0),
            output_tokens: Some(4100.0),
            ..theirs()
        };
        insta::assert_snapshot!(messages(&figures(&stranger), &ours()), @"void: the server answered 130 requests in the measured time, but perfgate sent 100: another client uses the server");
        // The server also counted our failed requests.
        let failed = ClientFigures {
            all_whole: false,
            output_tokens: 2000,
            ..ours()
        };
        assert_eq!(messages(&figures(&stranger), &failed), "");
    }

    #[test]
    fn a_restart_voids_the_repeat_before_other_reasons() {
        let restarted = ServerFigures {
            restarted: true,
            counts: ServerCounts {
                requests: Some(900.0),
                ..theirs()
            },
            ..ServerFigures::default()
        };
        insta::assert_snapshot!(messages(&restarted, &ours()), @"void: the server was restarted during the repeat");
    }

    #[test]
    fn several_servers_are_a_warning() {
        let several = ServerFigures {
            several_servers: true,
            ..ServerFigures::default()
        };
        insta::assert_snapshot!(messages(&several, &ours()), @"several servers (replicas) share this address, so two answers of /metrics may come from different ones: the server's own figures are left out");
    }

    #[test]
    fn contradictions_pre_emptions_and_time_outside_the_server_are_reported() {
        let other = ServerCounts {
            ttft_mean: Some(0.100),
            preemptions: Some(3.0),
            ..theirs()
        };
        insta::assert_snapshot!(messages(&figures(&other), &ours()), @"
        the mean TTFT is 32.0 ms at the client and 100.0 ms by the server's counters: one of them is wrong
        the server pre-empted 3 of 100 requests: its KV cache is too small for this load, and the latencies of these requests have a jump
        ");
        let half = ClientFigures {
            tpot: Some(0.005),
            ..ours()
        };
        insta::assert_snapshot!(messages(&figures(&theirs()), &half), @"the mean TPOT is 5.0 ms at the client and 10.0 ms by the server's counters: one of them is wrong");
        let far = ClientFigures {
            ttft: Some(0.050),
            ..ours()
        };
        insta::assert_snapshot!(messages(&figures(&theirs()), &far), @"20.0 ms of the mean TTFT of 50.0 ms are outside the server's own measurement: network, its HTTP front end, or this machine");
    }
}
