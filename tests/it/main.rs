//! The integration tests: the real binary, as people run it.

// `cfg(test)` tells clippy that helpers are tests too.
#[cfg(test)]
mod action;
#[cfg(test)]
mod analysis;
#[cfg(test)]
mod baseline;
#[cfg(test)]
mod baseline_reasons;
#[cfg(test)]
mod baseline_ref;
#[cfg(test)]
#[cfg(feature = "s3")]
mod baseline_store;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod bisect;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod budget;
#[cfg(test)]
mod calibration;
#[cfg(test)]
mod charts;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod compare;
#[cfg(test)]
mod contradictions;
#[cfg(test)]
mod dataset;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod evidence;
#[cfg(test)]
mod evidence_key;
#[cfg(test)]
mod extras;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod git_causes;
#[cfg(test)]
mod github;
#[cfg(test)]
mod gpus;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod init;
#[cfg(test)]
mod launch;
mod layering;
#[cfg(test)]
mod load;
#[cfg(test)]
mod mlperf;
#[cfg(test)]
mod outputs;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod price;
#[cfg(test)]
mod prompts;
#[cfg(test)]
mod question;
#[cfg(test)]
mod report;
#[cfg(test)]
mod repository;
#[cfg(test)]
mod support;
#[cfg(test)]
mod sweep;
#[cfg(test)]
mod sweep_compare;
#[cfg(test)]
mod vllm;
#[cfg(test)]
mod words;
