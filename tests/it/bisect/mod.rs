//! `perfgate bisect` in real repositories of git, with the simulator as the server.

mod codes;
mod history;
mod interrupt;
mod levels;
mod search;
mod seeded;
mod vllm;
