//! GPUs as `nvidia-smi` sees them.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::server::GpuReading;
use crate::record::format::Gpu;

/// Why there are no GPU figures on a machine without one.
pub(super) const NO_GPU: &str = "no GPU was found";

/// With a hung driver `nvidia-smi` hangs too.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Fields asked for, in the order in which [`parse_line`] takes them.
const QUERY: &str = "--query-gpu=name,memory.total,memory.used,utilization.gpu,driver_version";

/// `nvidia-smi` counts memory in MiB.
const MEBIBYTE: f64 = 1_048_576.0;

/// Where the state of the GPUs comes from, unless the server itself tells it (as the simulator does).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GpuSource {
    /// Nowhere: the server runs on another machine.
    #[default]
    None,
    /// A program that answers as `nvidia-smi` does.
    NvidiaSmi {
        /// The program, by name or path.
        program: PathBuf,
        /// Only these GPUs, by index or UUID; empty for all.
        devices: Vec<String>,
    },
}

impl GpuSource {
    /// `nvidia-smi` from the `PATH`, all GPUs.
    pub fn local() -> Self {
        Self::NvidiaSmi {
            program: "nvidia-smi".into(),
            devices: Vec::new(),
        }
    }

    /// The GPUs now, or why there is no saying.
    pub async fn read(&self) -> Result<Vec<GpuReading>, String> {
        let Self::NvidiaSmi { program, devices } = self else {
            return Err(NO_GPU.to_owned());
        };
        let mut command = Command::new(program);
        command
            .args([QUERY, "--format=csv,noheader,nounits"])
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if !devices.is_empty() {
            command.arg(format!("--id={}", devices.join(",")));
        }
        let output = match tokio::time::timeout(TIMEOUT, command.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) if error.kind() == ErrorKind::NotFound => return Err(NO_GPU.to_owned()),
            Ok(Err(error)) => return Err(format!("nvidia-smi: {error}")),
            Err(_elapsed) => {
                return Err(format!(
                    "nvidia-smi did not answer within {} s",
                    TIMEOUT.as_secs()
                ));
            }
        };
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            // It prints its errors to stdout.
            let said = text.lines().next().unwrap_or_default();
            return Err(format!("nvidia-smi failed ({}): {said}", output.status));
        }
        parse(&text)
    }
}

fn parse(text: &str) -> Result<Vec<GpuReading>, String> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let gpus = lines.map(parse_line).collect::<Result<Vec<_>, _>>()?;
    if gpus.is_empty() {
        return Err(NO_GPU.to_owned());
    }
    Ok(gpus)
}

fn parse_line(line: &str) -> Result<GpuReading, String> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let [name, total, used, utilization, driver] = fields[..] else {
        return Err(format!("nvidia-smi answered `{line}`"));
    };
    // `[N/A]` and the like: the driver does not know, which is not 0.
    let number = |field: &str| field.parse::<f64>().ok().filter(|value| value.is_finite());
    Ok(GpuReading {
        name: name.to_owned(),
        memory: number(total).map(|value| value * MEBIBYTE),
        memory_used: number(used).map(|value| value * MEBIBYTE),
        utilization: number(utilization).map(|percent| percent / 100.0),
        driver: Some(driver.to_owned()).filter(|driver| !driver.starts_with('[')),
    })
}

/// What of a reading goes into the result.
pub(super) fn described(readings: &[GpuReading]) -> Vec<Gpu> {
    readings
        .iter()
        .map(|reading| Gpu {
            name: reading.name.clone(),
            memory_bytes: reading.memory.and_then(whole),
        })
        .collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be a size in bytes that a double holds exactly"
)]
fn whole(bytes: f64) -> Option<u64> {
    (0.0..9e15).contains(&bytes).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_becomes_readings_in_base_units() {
        let gpus = parse("NVIDIA H100 80GB HBM3, 81559, 73000, 97, 535.129.03\n").unwrap();
        assert_eq!(gpus[0].memory_used, Some(73_000.0 * MEBIBYTE));
        assert_eq!(gpus[0].utilization, Some(0.97));
        assert_eq!(gpus[0].driver.as_deref(), Some("535.129.03"));
        assert_eq!(described(&gpus)[0].memory_bytes, Some(81_559 << 20));
    }

    #[test]
    fn what_the_driver_does_not_know_is_not_zero() {
        let gpus = parse("NVIDIA GH200, [N/A], [Not Supported], [N/A], [N/A]").unwrap();
        assert_eq!(gpus[0].memory, None);
        assert_eq!(gpus[0].memory_used, None);
        assert_eq!(gpus[0].utilization, None);
        assert_eq!(gpus[0].driver, None);
    }

    #[test]
    fn an_answer_of_another_form_is_refused() {
        assert_eq!(parse("\n").unwrap_err(), NO_GPU);
        assert_eq!(
            parse("No devices were found").unwrap_err(),
            "nvidia-smi answered `No devices were found`"
        );
    }
}
