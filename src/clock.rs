//! The wall clock, in one place, so that nothing pure can reach it.

use std::time::Duration;

use jiff::Timestamp;

/// Now, as RFC 3339 in UTC with whole seconds.
pub fn timestamp() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Seconds since the Unix epoch.
pub fn unix_time() -> Duration {
    Duration::try_from(Timestamp::now().as_duration()).unwrap_or_default()
}

/// How long ago a time was, as files have it (RFC 3339); `None` for what is no time or still to come.
pub fn age(timestamp: &str) -> Option<Duration> {
    let then: Timestamp = timestamp.parse().ok()?;
    Duration::try_from(Timestamp::now().duration_since(then)).ok()
}
