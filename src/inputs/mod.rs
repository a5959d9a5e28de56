//! Resolves arguments and files to the input of commands: plan, policy, base, accepted runs.

pub(crate) mod accepted;
pub(crate) mod base_commit;
pub(crate) mod base_ref;
pub(crate) mod beginning;
pub(crate) mod build_identity;
pub(crate) mod compared;
pub(crate) mod comparison;
pub(crate) mod criteria;
pub(crate) mod dataset;
pub(crate) mod extras;
pub(crate) mod feasible;
pub(crate) mod justification;
pub(crate) mod links;
pub(crate) mod main_branch;
pub(crate) mod mlperf_course;
pub(crate) mod outputs;
pub(crate) mod plan;
pub(crate) mod policy;
pub(crate) mod question;
pub(crate) mod result_file;
pub(crate) mod storage;
pub(crate) mod sweep_course;
