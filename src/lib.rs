//! perfgate starts a fresh vLLM, puts a reproducible streaming load on it, compares the measurement with a stored
//! baseline and decides whether a merge makes serving slower.
//!
//! Data flows one way: [`config`] reads the configuration, [`launch`] starts the server, [`load`] sends the requests that
//! [`workload`] generates, [`telemetry`] samples, [`measure`] turns traces into a repeat, [`record`] stores it, [`compare`] and
//! [`stats`] compare two runs, [`policy`] judges them, [`render`] shows the judgement, [`terminal`] prints it, [`publish`] sends it to
//! GitHub, and [`exit`] is its exit code. [`app`] has one file per command and is the only module that uses all others.
//! `docs/concepts/architecture.md` lists the directions of dependency; a test checks them.

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
mod forecast;
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
