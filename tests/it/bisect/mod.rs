//! `perfgate bisect` in real repositories of git, with the simulator as the server.

mod codes;
mod containers;
mod history;
mod interrupt;
mod levels;
mod search;
mod seeded;
mod vllm;

/// A variable that says how much of a long test is run.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name)?.into_string().ok()
}
