//! The file of an event of GitHub Actions.
#![no_main]

use libfuzzer_sys::fuzz_target;
use perfgate::publish::event::{Repository, base, occasion};

fuzz_target!(|bytes: &[u8]| {
    let Some(ours) = Repository::parse("acme/llm") else {
        return;
    };
    let _base = base(bytes);
    for event in ["pull_request", "merge_group", "workflow_run", "push", "issue_comment"] {
        let _result = occasion(event, bytes, &ours, None);
    }
});
