//! Messages of git events.

use crate::event::GitEvent;

pub(super) fn lines(event: &GitEvent) -> Vec<String> {
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
