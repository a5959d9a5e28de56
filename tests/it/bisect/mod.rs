//! `perfgate bisect` in real repositories of git, with the simulator as the server.

mod history;
mod seeded;
