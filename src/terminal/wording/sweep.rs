//! Messages of sweep events.

use crate::event::SweepEvent;

pub(super) fn lines(event: &SweepEvent) -> Vec<String> {
    match event {
        SweepEvent::Load { load, words } => vec![format!("{load}: {words}")],
        SweepEvent::Ended(sentence) => vec![sentence.clone()],
        SweepEvent::Valid {
            load,
            valid,
            reasons,
        } => {
            let result = if *valid { "VALID" } else { "INVALID" };
            let reasons = reasons.iter().map(|reason| format!("  {reason}"));
            std::iter::once(format!("{load}: {result}"))
                .chain(reasons)
                .collect()
        }
        SweepEvent::NoRateHelps => {
            vec!["another rate would not change that: the search ends here".to_owned()]
        }
    }
}
