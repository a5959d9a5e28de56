//! Messages of adapters' events.

use crate::event::{GitEvent, StorageEvent};

pub(super) fn git(event: &GitEvent) -> Vec<String> {
    match event {
        GitEvent::CommitUnknown { reason, hint } => {
            let warning = format!("warning: the result has no commit: {reason}");
            let hint = hint.iter().map(|hint| format!("hint: {hint}"));
            std::iter::once(warning).chain(hint).collect()
        }
        GitEvent::TreeLeft { path, reason } => {
            vec![format!(
                "warning: `{}` is not removed: {reason}",
                path.display()
            )]
        }
    }
}

pub(super) fn storage(event: &StorageEvent) -> String {
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
