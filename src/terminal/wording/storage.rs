//! Messages of storage events.

use crate::event::StorageEvent;

pub(super) fn line(event: &StorageEvent) -> String {
    match event {
        StorageEvent::Waiting { address, action } => {
            format!("still waiting for `{address}` to {action}")
        }
        StorageEvent::CopiesNotKept { reason } => format!("warning: {reason}"),
        StorageEvent::PromotionAgain { file } => {
            format!(
                "another promotion changed `{file}` at the same time: reading and judging again"
            )
        }
    }
}
