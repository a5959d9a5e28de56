//! perfgate starts a fresh vLLM, puts a reproducible streaming load on it, compares what it measured with a stored
//! baseline and says whether a merge makes serving slower.
//!
//! Data flows one way: [`config`] reads what to do, [`launch`] starts the server, [`load`] sends what [`workload`]
//! drew, [`telemetry`] watches, [`measure`] turns traces into a repeat, [`record`] keeps it, [`compare`] and [`stats`]
//! make numbers of two runs, [`policy`] judges them, [`render`] shows the judgement, [`terminal`] writes it, [`publish`] hands it to GitHub,
//! and [`exit`] says it in a number. [`app`] has one file per command and is the only module that knows all the others.
//! `docs/concepts/architecture.md` has the directions of dependency; a test holds them.

pub mod app;
pub mod baseline;
pub mod bisect;
pub mod cli;
pub mod clock;
pub mod code;
pub mod compare;
pub mod config;
mod doctor;
mod environment;
pub mod event;
pub mod exit;
pub mod failure;
pub mod files;
mod git;
pub mod history;
pub mod http;
mod inputs;
mod interrupt;
pub mod json;
pub mod launch;
pub mod limits;
pub mod load;
pub mod measure;
pub mod metric;
pub mod mlperf;
pub mod policy;
pub mod priority;
pub mod process_table;
pub mod publish;
pub mod record;
pub mod render;
pub mod report;
mod runner;
pub mod secret;
mod selftest;
pub mod simulate;
pub mod starter;
pub mod stats;
pub mod sweep;
pub mod telemetry;
pub mod terminal;
pub mod text;
pub mod trial;
pub mod workload;
