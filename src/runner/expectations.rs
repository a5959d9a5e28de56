//! Checks `hardware` and `framework.vllm_version` against the real machine and server.

use crate::config::Plan;
use crate::event::{Events, RunEvent};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::record::format::ResultFile;

/// Reports every mismatch; refuses the run if `hardware.strict` is set.
pub(crate) fn check(plan: &Plan, result: &ResultFile, events: &Events) -> Result<(), Failure> {
    let found = mismatches(plan, result);
    if found.is_empty() {
        return Ok(());
    }
    if plan.expectations.strict {
        let message = format!(
            "mismatch with `hardware` or `framework`: {}",
            found.join("; ")
        );
        return Err(Failure::message(ExitStatus::NotComparable, message)
            .hint("correct `hardware` and `framework`, or set `hardware.strict: false`"));
    }
    for mismatch in found {
        events.emit(RunEvent::NotAsExpected { mismatch });
    }
    Ok(())
}

/// Every mismatch. Unknown values do not count as mismatches.
pub(crate) fn mismatches(plan: &Plan, result: &ResultFile) -> Vec<String> {
    let expected = plan.expectations.clone();
    let environment = result.environment.clone().unwrap_or_default();
    let server = result.server.clone().unwrap_or_default();
    let gpus = environment.gpus.as_deref();
    let gpu = gpus.map(|gpus| gpus.first().map_or("none", |gpu| &gpu.name).to_owned());
    let number = gpus.map(|gpus| gpus.len().to_string());
    let wanted_number = expected.num_gpus.map(|count| count.to_string());
    let equal: fn(&str, &str) -> bool = |wanted, found| wanted == found;
    let checks = [
        ("the number of GPUs", wanted_number, number, equal),
        ("the GPU", expected.gpu, gpu, is_same_gpu),
        ("the driver", expected.driver, environment.driver, equal),
        ("CUDA", expected.cuda, environment.cuda, equal),
        (
            "the vLLM version",
            expected.vllm_version,
            server.version,
            is_same_version,
        ),
    ];
    let mismatches = checks
        .into_iter()
        .filter_map(|(what, wanted, found, is_same)| {
            let (wanted, found) = (wanted?, found?);
            let differs = !is_same(&wanted, &found);
            differs.then(|| format!("{what} is `{found}`, expected `{wanted}`"))
        });
    mismatches.collect()
}

/// Words of the vendor or the product line, which do not identify the model.
const VENDOR_WORDS: [&str; 12] = [
    "AMD",
    "CORPORATION",
    "EDITION",
    "GEFORCE",
    "GENERATION",
    "GPU",
    "INSTINCT",
    "INTEL",
    "NVIDIA",
    "QUADRO",
    "RADEON",
    "TESLA",
];

/// Words after a model's number that make it another model.
const OTHER_MODEL: [&str; 13] = [
    "ADA",
    "D",
    "GRE",
    "LAPTOP",
    "MAX",
    "MAXQ",
    "MOBILE",
    "PRO",
    "SUPER",
    "TI",
    "WORKSTATION",
    "XT",
    "XTX",
];

/// A GPU's name, parsed into words.
#[derive(Debug, Default)]
struct GpuName {
    /// Sizes of memory, in GB.
    memory: Vec<String>,
    /// The form factor, `SXM4`, `PCIE`.
    form: Vec<String>,
    /// `HBM3`.
    memory_kind: Vec<String>,
    /// The other words.
    model: Vec<String>,
}

impl GpuName {
    fn parse(name: &str) -> Self {
        let upper = name.to_ascii_uppercase();
        // The profile of a MIG slice is not part of the GPU's model.
        let whole = upper.split(" MIG ").next().unwrap_or_default();
        let mut parsed = Self::default();
        let mut words = whole
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .peekable();
        while let Some(word) = words.next() {
            let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
            let size = word.strip_suffix("GB").or_else(|| word.strip_suffix("GIB"));
            let size = size.filter(|size| !size.is_empty());
            if is_number
                && words
                    .next_if(|next| matches!(*next, "GB" | "GIB"))
                    .is_some()
            {
                parsed.memory.push(word.to_owned());
            } else if let Some(size) = size.filter(|size| size.bytes().all(|b| b.is_ascii_digit()))
            {
                parsed.memory.push(size.to_owned());
            } else if ["SXM", "PCIE", "NVL", "OAM", "HGX", "DGX"]
                .iter()
                .any(|form| word.starts_with(form))
            {
                parsed.form.push(word.to_owned());
            } else if word.starts_with("HBM") || word.starts_with("GDDR") {
                parsed.memory_kind.push(word.to_owned());
            } else if !VENDOR_WORDS.contains(&word) {
                parsed.model.push(word.to_owned());
            }
        }
        parsed
    }

    fn has_model_of(&self, wanted: &Self) -> bool {
        if self.model.concat() == wanted.model.concat() {
            return true;
        }
        let more = self
            .model
            .iter()
            .filter(|word| !wanted.model.contains(word));
        wanted.model.iter().all(|word| self.model.contains(word))
            && !wanted.model.is_empty()
            && !more.into_iter().any(|word| {
                OTHER_MODEL.contains(&word.as_str()) || word.contains(|c: char| c.is_ascii_digit())
            })
    }
}

/// People write `H100-80GB SXM` and drivers report `NVIDIA H100 80GB HBM3`. The model must be equal, word by word; memory
/// size, memory type and form factor must be equal if both names have them.
fn is_same_gpu(wanted: &str, there: &str) -> bool {
    let (wanted, there) = (GpuName::parse(wanted), GpuName::parse(there));
    let same_word = |one: &str, other: &str| {
        let plain = |word: &str| {
            word.trim_end_matches(|c: char| c.is_ascii_digit())
                .to_owned()
        };
        // `SXM` matches every version.
        one == other || one == plain(other) || plain(one) == other
    };
    let agree = |wanted: &[String], there: &[String]| {
        let is_there = |word: &String| there.iter().any(|other| same_word(word, other));
        wanted.is_empty() || there.is_empty() || wanted.iter().all(is_there)
    };
    let same_size = |size: &String| there.memory.contains(size);
    there.has_model_of(&wanted)
        && (there.memory.is_empty() || wanted.memory.iter().all(same_size))
        && agree(&wanted.form, &there.form)
        && agree(&wanted.memory_kind, &there.memory_kind)
}

/// `0.32.0` and `0.32.0+cpu` are the same version.
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
    fn gpus_are_the_same_by_whole_words_and_numbers() {
        for (wanted, there) in [
            ("H100-80GB SXM", "NVIDIA H100 80GB HBM3"),
            ("H100", "NVIDIA H100 80GB HBM3"),
            ("H100 80 GB", "NVIDIA H100 80GB HBM3"),
            ("A100-80GB", "NVIDIA A100-SXM4-80GB"),
            ("a100 sxm", "NVIDIA A100-SXM4-80GB"),
            ("RTX 4090", "NVIDIA GeForce RTX 4090"),
            ("RTX4090", "NVIDIA GeForce RTX 4090"),
            ("4090", "NVIDIA GeForce RTX 4090"),
            ("NVIDIA L4", "NVIDIA L4"),
            ("T4", "Tesla T4"),
            ("MI300X", "AMD Instinct MI300X OAM"),
            ("RTX 6000 Ada", "NVIDIA RTX 6000 Ada Generation"),
            ("H100", "NVIDIA H100 80GB HBM3 MIG 3g.40gb"),
        ] {
            assert!(is_same_gpu(wanted, there), "{wanted} is {there}");
        }
        for (wanted, there) in [
            ("H100-80GB SXM", "NVIDIA A100-SXM4-80GB"),
            ("A100-40GB", "NVIDIA A100-SXM4-80GB"),
            ("H100 SXM5", "NVIDIA H100 PCIe"),
            ("H100 PCIe", "NVIDIA H100 NVL"),
            ("L40", "NVIDIA L40S"),
            ("L4", "NVIDIA L40"),
            ("RTX 4080", "NVIDIA GeForce RTX 4080 SUPER"),
            ("RTX 4090", "NVIDIA GeForce RTX 4090 Laptop GPU"),
            ("RTX 6000", "NVIDIA RTX 6000 Ada Generation"),
            ("H100", "none"),
        ] {
            assert!(!is_same_gpu(wanted, there), "{wanted} is not {there}");
        }
    }

    #[test]
    fn every_mismatch_is_reported_and_unknown_values_are_not() {
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
