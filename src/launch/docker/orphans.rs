//! Containers that a killed run left behind.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::ListContainersOptionsBuilder;

use super::spec::{LABEL, LABEL_EXPIRES};
use super::{engine, remove};

/// Removes containers of ours whose time is over. That one cannot be removed does not keep a new one from starting.
pub(super) async fn remove_expired(docker: &Docker, now: Duration) {
    let filters = HashMap::from([("label", vec![format!("{LABEL}=1")])]);
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&filters)
        .build();
    let containers = match docker.list_containers(Some(options)).await {
        Ok(containers) => containers,
        Err(error) => {
            tracing::warn!("cannot list containers: {}", engine::in_words(&error));
            return;
        }
    };
    for container in containers {
        let labels = container.labels.unwrap_or_default();
        let is_expired = labels
            .get(LABEL_EXPIRES)
            .is_some_and(|expires| has_passed(expires, now));
        let Some(id) = container.id.filter(|_| is_expired) else {
            continue;
        };
        match remove(docker, &id).await {
            Ok(()) => tracing::info!("removed container {id}, which an earlier run left behind"),
            Err(error) => tracing::warn!(
                "cannot remove container {id}, which an earlier run left behind: {}",
                engine::in_words(&error)
            ),
        }
    }
}

/// Whether that unix time, as a label gives it, is past. A label that is no number is not ours.
fn has_passed(expires: &str, now: Duration) -> bool {
    expires
        .parse::<u64>()
        .is_ok_and(|expires| expires < now.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_time_in_the_past_has_passed() {
        let now = Duration::from_secs(100);
        assert!(has_passed("99", now));
        assert!(!has_passed("101", now));
        assert!(!has_passed("soon", now));
    }
}
