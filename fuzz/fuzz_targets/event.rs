//! The file of an event of GitHub Actions.
#![no_main]

use libfuzzer_sys::fuzz_target;
use perfgate::publish::change::of_event_text;
use perfgate::publish::event::{Repository, occasion};

fuzz_target!(|bytes: &[u8]| {
    let Some(ours) = Repository::parse("acme/llm") else {
        return;
    };
    let _change = of_event_text(bytes);
    for event in ["pull_request", "merge_group", "workflow_run", "push", "issue_comment"] {
        let _result = occasion(event, bytes, &ours, None);
    }
});
