//! Pulls an image: progress, detection of a stuck pull, and meaning of its failures. The sums are pure.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::super::unavailable::PullFailure;
use super::super::{LaunchError, Phase};
use super::engine;
use crate::text::count::count;

/// Between two progress lines: a pull takes minutes, and its log stays readable.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(3);

/// The registry counts as unreachable after this time without a byte or an event of another layer.
const STUCK_AFTER: Duration = Duration::from_mins(5);

/// One layer of the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Layer {
    downloaded: u64,
    size: u64,
    unpacked: u64,
    is_done: bool,
}

/// All layers of one image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Layers(HashMap<String, Layer>);

impl Layers {
    /// Takes an event of one layer; returns whether anything progressed.
    fn take(&mut self, event: &CreateImageInfo) -> bool {
        let (Some(id), Some(status)) = (&event.id, &event.status) else {
            return true;
        };
        // The first event has the tag as its id.
        if status.starts_with("Pulling from") {
            return true;
        }
        let layer = self.0.entry(id.clone()).or_default();
        let before = *layer;
        let bytes = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
        let detail = event.progress_detail.as_ref();
        let current = detail.and_then(|detail| bytes(detail.current)).unwrap_or(0);
        let total = detail.and_then(|detail| bytes(detail.total)).unwrap_or(0);
        match status.as_str() {
            "Downloading" => {
                layer.downloaded = current;
                layer.size = total.max(layer.size);
            }
            "Download complete" | "Verifying Checksum" => layer.downloaded = layer.size,
            "Extracting" => {
                layer.downloaded = layer.size;
                layer.unpacked = current;
            }
            "Pull complete" | "Already exists" => {
                layer.downloaded = layer.size;
                layer.is_done = true;
            }
            _ => {}
        }
        *layer != before
    }

    /// `3.2 of 8.1 GiB, 12 of 20 layers`. The size of a layer is known only when its download begins, so the total grows.
    fn in_words(&self) -> Option<String> {
        let layers = self.0.values();
        let sum = |of: fn(&Layer) -> u64| layers.clone().map(of).sum::<u64>();
        let (downloaded, size) = (sum(|layer| layer.downloaded), sum(|layer| layer.size));
        let done = layers.clone().filter(|layer| layer.is_done).count();
        let layers = format!("{done} of {}", count(self.0.len(), "layer"));
        if self.0.is_empty() {
            return None;
        }
        if size == 0 {
            return Some(layers);
        }
        let (unit, divisor) = if size >= 1 << 30 {
            ("GiB", 1_073_741_824.0)
        } else {
            ("MiB", 1_048_576.0)
        };
        #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
        let scaled = |bytes: u64| bytes as f64 / divisor;
        Some(format!(
            "{:.1} of {:.1} {unit}, {layers}",
            scaled(downloaded),
            scaled(size)
        ))
    }
}

/// Pulls the image, and reports progress from time to time.
pub(super) async fn pull(
    docker: &Docker,
    reference: &str,
    login: Option<DockerCredentials>,
    progress: &(dyn Fn(Phase) + Sync),
) -> Result<(), LaunchError> {
    let say = |how_far: Option<String>| {
        progress(Phase::Pulling {
            image: reference.to_owned(),
            how_far,
        });
    };
    say(None);
    let options = CreateImageOptionsBuilder::default()
        .from_image(&with_tag(reference))
        .build();
    let mut events = docker.create_image(Some(options), None, login);
    let mut layers = Layers::default();
    let mut moved = Instant::now();
    let mut last_report = moved;
    loop {
        let event = match tokio::time::timeout_at(moved + STUCK_AFTER, events.next()).await {
            Ok(Some(event)) => event,
            Ok(None) => return Ok(()),
            Err(_elapsed) => {
                return Err(LaunchError::ImageUnavailable {
                    image: reference.to_owned(),
                    failure: PullFailure::Stuck,
                    reason: format!("no data for {} s", STUCK_AFTER.as_secs()),
                });
            }
        };
        let event = event.map_err(|error| failed(reference, engine::in_words(&error)))?;
        if let Some(message) = event
            .error_detail
            .as_ref()
            .and_then(|detail| detail.message.clone())
        {
            return Err(failed(reference, message));
        }
        if layers.take(&event) {
            moved = Instant::now();
        }
        if last_report.elapsed() >= PROGRESS_INTERVAL {
            last_report = Instant::now();
            say(layers.in_words());
        }
    }
}

fn failed(image: &str, reason: String) -> LaunchError {
    LaunchError::ImageUnavailable {
        image: image.to_owned(),
        failure: PullFailure::from_reason(&reason),
        reason,
    }
}

/// Without a tag some engines pull all tags.
fn with_tag(reference: &str) -> String {
    let name = reference.rsplit('/').next().unwrap_or(reference);
    if name.contains([':', '@']) {
        reference.to_owned()
    } else {
        format!("{reference}:latest")
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    fn event(id: &str, status: &str, current: i64, total: i64) -> CreateImageInfo {
        CreateImageInfo {
            id: Some(id.to_owned()),
            status: Some(status.to_owned()),
            progress_detail: Some(ProgressDetail {
                current: Some(current),
                total: Some(total),
            }),
            ..CreateImageInfo::default()
        }
    }

    #[test]
    fn bytes_of_all_layers_are_summed() {
        let mut layers = Layers::default();
        assert!(layers.take(&event("v0.32.0", "Pulling from vllm/vllm-openai", 0, 0)));
        assert_eq!(layers.in_words(), None);
        layers.take(&event("a", "Pulling fs layer", 0, 0));
        layers.take(&event("b", "Already exists", 0, 0));
        insta::assert_snapshot!(layers.in_words().unwrap(), @"1 of 2 layers");
        assert!(layers.take(&event("a", "Downloading", 3 << 29, 8 << 30)));
        layers.take(&event("c", "Downloading", 1 << 29, 1 << 30));
        insta::assert_snapshot!(layers.in_words().unwrap(), @"2.0 of 9.0 GiB, 1 of 3 layers");
        layers.take(&event("c", "Download complete", 0, 0));
        layers.take(&event("c", "Extracting", 1 << 20, 1 << 30));
        layers.take(&event("c", "Pull complete", 0, 0));
        insta::assert_snapshot!(layers.in_words().unwrap(), @"2.5 of 9.0 GiB, 2 of 3 layers");
    }

    #[test]
    fn a_repeated_state_is_not_progress_and_unpacking_is() {
        let mut layers = Layers::default();
        layers.take(&event("a", "Downloading", 10, 100));
        assert!(!layers.take(&event("a", "Downloading", 10, 100)));
        assert!(layers.take(&event("a", "Extracting", 5, 100)));
        assert!(layers.take(&event("a", "Extracting", 6, 100)));
    }

    #[test]
    fn an_invalid_size_is_ignored() {
        let mut layers = Layers::default();
        layers.take(&event("a", "Downloading", -5, -1));
        insta::assert_snapshot!(layers.in_words().unwrap(), @"0 of 1 layer");
    }

    #[test]
    fn a_reference_without_a_tag_gets_one() {
        assert_eq!(with_tag("host:5000/vllm"), "host:5000/vllm:latest");
        assert_eq!(with_tag("vllm/vllm-openai:v1"), "vllm/vllm-openai:v1");
        assert_eq!(with_tag("vllm@sha256:ab"), "vllm@sha256:ab");
    }
}
