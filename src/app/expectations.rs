//! What `hardware` and `framework.vllm_version` expect, against what is really there.

use super::Failure;
use super::progress::Progress;
use crate::config::Plan;
use crate::exit::ExitStatus;
use crate::record::format::ResultFile;

/// Names every mismatch; refuses the run where `hardware.strict` is set. What is not known is not a mismatch.
pub(super) fn check(plan: &Plan, result: &ResultFile, progress: &Progress) -> Result<(), Failure> {
    let found = mismatches(plan, result);
    if found.is_empty() {
        return Ok(());
    }
    if plan.expectations.strict {
        let message = format!("this is not what was expected: {}", found.join("; "));
        return Err(Failure::message(ExitStatus::NotComparable, message)
            .hint("correct `hardware` and `framework`, or set `hardware.strict: false`"));
    }
    for mismatch in found {
        progress.note_once(&format!("warning: not as expected: {mismatch}"));
    }
    Ok(())
}

fn mismatches(plan: &Plan, result: &ResultFile) -> Vec<String> {
    let expected = &plan.expectations;
    let environment = result.environment.as_ref();
    let gpus = environment.and_then(|environment| environment.gpus.as_deref());
    let mut found = Vec::new();
    let mut compare =
        |what: &str, wanted: Option<&str>, there: Option<&str>, same: fn(&str, &str) -> bool| {
            if let (Some(wanted), Some(there)) = (wanted, there)
                && !same(wanted, there)
            {
                found.push(format!("{what} is `{there}`, expected `{wanted}`"));
            }
        };
    let count = gpus.map(|gpus| gpus.len().to_string());
    let wanted = expected.num_gpus.map(|count| count.to_string());
    compare(
        "the number of GPUs",
        wanted.as_deref(),
        count.as_deref(),
        |a, b| a == b,
    );
    let name = gpus.map(|gpus| gpus.first().map_or("none", |gpu| gpu.name.as_str()));
    compare("the GPU", expected.gpu.as_deref(), name, is_same_gpu);
    let driver = environment.and_then(|environment| environment.driver.as_deref());
    compare("the driver", expected.driver.as_deref(), driver, |a, b| {
        a == b
    });
    let cuda = environment.and_then(|environment| environment.cuda.as_deref());
    compare("CUDA", expected.cuda.as_deref(), cuda, |a, b| a == b);
    let version = result
        .server
        .as_ref()
        .and_then(|server| server.version.as_deref());
    compare(
        "the vLLM version",
        expected.vllm_version.as_deref(),
        version,
        is_same_version,
    );
    found
}

/// `H100-80GB SXM` is written by people and `NVIDIA H100 80GB HBM3` by drivers: the model number decides.
fn is_same_gpu(wanted: &str, there: &str) -> bool {
    let model = |name: &str| {
        let words: Vec<String> = name
            .split(|c: char| !c.is_ascii_alphanumeric())
            .map(str::to_ascii_uppercase)
            .collect();
        words.into_iter().find(|word| {
            word.starts_with(|c: char| c.is_ascii_alphabetic())
                && word.chars().any(|c| c.is_ascii_digit())
                && !word.ends_with("GB")
        })
    };
    match (model(wanted), model(there)) {
        (Some(wanted), Some(there)) => wanted == there,
        _ => wanted.eq_ignore_ascii_case(there),
    }
}

/// `0.32.0` and `0.32.0+cpu` are one version.
fn is_same_version(wanted: &str, there: &str) -> bool {
    let plain = |version: &str| {
        version
            .trim_start_matches('v')
            .split('+')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    plain(wanted) == plain(there)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::format::{Environment, Gpu, Server};

    #[test]
    fn the_model_number_decides_which_gpu_it_is() {
        assert!(is_same_gpu("H100-80GB SXM", "NVIDIA H100 80GB HBM3"));
        assert!(!is_same_gpu("H100-80GB SXM", "NVIDIA A100-SXM4-80GB"));
        assert!(!is_same_gpu("H100", "none"));
    }

    #[test]
    fn every_mismatch_is_named_and_the_unknown_is_none() {
        let plan = crate::config::read_plan(
            "p",
            "model: m\nhardware: {gpu: H100, num_gpus: 8, driver: \"535\", cuda: \"12.3\"}\nframework: {vllm_version: 0.6.4}",
        )
        .unwrap();
        let result = ResultFile {
            environment: Some(Environment {
                gpus: Some(vec![Gpu {
                    name: "NVIDIA L4".to_owned(),
                    ..Gpu::default()
                }]),
                driver: Some("550".to_owned()),
                ..Environment::default()
            }),
            server: Some(Server {
                version: Some("0.32.0+cpu".to_owned()),
                ..Server::default()
            }),
            ..ResultFile::default()
        };
        insta::assert_snapshot!(mismatches(&plan, &result).join("\n"), @"
        the number of GPUs is `1`, expected `8`
        the GPU is `NVIDIA L4`, expected `H100`
        the driver is `550`, expected `535`
        the vLLM version is `0.32.0+cpu`, expected `0.6.4`
        ");
    }
}
