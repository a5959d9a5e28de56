//! The file of an event of GitHub Actions.
#![no_main]

use libfuzzer_sys::fuzz_target;
use perfgate::publish::change::of_event;
use perfgate::publish::event::{Repository, occasion};
use perfgate::publish::payload::Event;

fuzz_target!(|bytes: &[u8]| {
    let Some(ours) = Repository::parse("acme/llm") else {
        return;
    };
    let Ok(content) = Event::parse(bytes) else {
        return;
    };
    let _change = of_event(&content);
    for event in ["pull_request", "merge_group", "workflow_run", "push", "issue_comment"] {
        let _result = occasion(event, &content, &ours, None);
    }
});
