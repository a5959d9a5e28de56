//! Containers that a killed run left behind.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::ListContainersOptionsBuilder;

use super::engine::{self, QUICK};
use super::owner::{Owner, OwnerState};
use super::remove;
use super::spec::{LABEL, LABEL_EXPIRES, LABEL_OWNER};

/// Removes our containers whose run has ended, or whose time is over if the run cannot be seen from here. A container
/// that cannot be removed does not block the start of a new one.
pub(super) async fn remove_abandoned(docker: &Docker, now: Duration) {
    let filters = HashMap::from([("label", vec![format!("{LABEL}=1")])]);
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&filters)
        .build();
    let containers = match engine::ask(QUICK, docker.list_containers(Some(options))).await {
        Ok(containers) => containers,
        Err(error) => {
            tracing::warn!("{}", error.when_asked_to("list containers"));
            return;
        }
    };
    let here = Owner::this_process();
    for container in containers {
        let labels = container.labels.unwrap_or_default();
        let Some(id) = container
            .id
            .filter(|_| is_abandoned(&labels, here.as_ref(), now))
        else {
            continue;
        };
        let name = container
            .names
            .and_then(|names| names.into_iter().next())
            .map_or_else(
                || id.clone(),
                |name| name.trim_start_matches('/').to_owned(),
            );
        match remove(docker, &id).await {
            Ok(()) => {
                tracing::info!("removed the container `{name}`, which a killed run left behind");
            }
            Err(error) => tracing::warn!(
                "a killed run left the container `{name}` behind, and it cannot be removed: {error}"
            ),
        }
    }
}

/// Whether the run of the container with these labels has ended.
fn is_abandoned(labels: &HashMap<String, String>, here: Option<&Owner>, now: Duration) -> bool {
    let owner = labels
        .get(LABEL_OWNER)
        .and_then(|label| Owner::parse(label));
    let state = match (owner, here) {
        (Some(owner), Some(here)) => owner.state(here),
        _ => OwnerState::Unknown,
    };
    match state {
        OwnerState::Lives => false,
        OwnerState::Gone => true,
        OwnerState::Unknown => labels
            .get(LABEL_EXPIRES)
            .is_some_and(|expires| has_passed(expires, now)),
    }
}

/// Whether the unix time of a label is past. A label that is not a number is not ours.
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
        assert!(!has_passed("100", now));
        assert!(!has_passed("soon", now));
    }

    #[test]
    fn a_container_is_kept_while_its_owner_lives() {
        let here = Owner::this_process().unwrap();
        let now = Duration::from_secs(100);
        let abandoned = |owner: &str, expires: &str| {
            let labels = HashMap::from([
                (LABEL_OWNER.to_owned(), owner.to_owned()),
                (LABEL_EXPIRES.to_owned(), expires.to_owned()),
            ]);
            is_abandoned(&labels, Some(&here), now)
        };
        // Independent of the clock, the container of a living run stays.
        assert!(!abandoned(&here.label(), "1"));
        let label = here.label();
        let (rest, _started) = label.rsplit_once(' ').unwrap();
        assert!(abandoned(&format!("{rest} 1"), "1000"));
        assert!(abandoned("other 1 2 3", "99"));
        assert!(!abandoned("other 1 2 3", "1000"));
        assert!(!abandoned("not a label of ours", "1000"));
    }
}
