//! Dockerfiles and compose files of a repository that `perfgate init` looks at.
#![no_main]

use libfuzzer_sys::fuzz_target;
use perfgate::starter::{compose, hints, ignoring};

fuzz_target!(|text: &str| {
    hints::base_of_dockerfile(text);
    compose::vllm_of_compose(text);
    hints::model_of_command(text);
    ignoring(text);
});
