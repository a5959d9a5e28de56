//! GPUs: the source of their state, and their samples during a load.
//!
//! The driver's library goes first ([`nvml`]), then its program ([`nvidia_smi`]), then AMD's ([`amd_smi`]). [`survey`] samples
//! once and returns which of them answered and why the others did not.

mod account;
pub mod amd_smi;
#[cfg(test)]
pub(super) mod fixture;
pub mod nvidia_smi;
pub mod nvml;
mod process_owner;
mod program;
pub mod reading;
pub mod summary;
pub mod throttle;
pub mod validity;
pub(super) mod watch;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

pub(super) use account::{Account, Moment};
use amd_smi::AmdSmi;
use nvidia_smi::NvidiaSmi;
use reading::Reading;

/// Why there are no GPU figures on a machine without a GPU.
pub const NO_GPU: &str = "no GPU was found";

/// Start of the reason if there are GPUs, but none of the selected ones.
const NONE_SELECTED: &str = "none of the GPUs is";

/// A sample of all GPUs takes milliseconds, or with programs a second. After this time the driver hangs.
pub(super) const HUNG: Duration = Duration::from_secs(12);

/// How the GPUs of this machine are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// NVML under a name other than [`nvml::LIBRARY`], or at a path.
    pub nvml_library: Option<OsString>,
    /// A replacement for `nvidia-smi`, by name or path.
    pub nvidia_smi: PathBuf,
    /// A replacement for `amd-smi`.
    pub amd_smi: PathBuf,
    /// Only these NVIDIA GPUs, by index or UUID, or slices of them; empty for all.
    pub devices: Vec<String>,
    /// Only these AMD GPUs, by index or serial number; empty for all.
    pub amd_devices: Vec<String>,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            nvml_library: None,
            nvidia_smi: "nvidia-smi".into(),
            amd_smi: "amd-smi".into(),
            devices: Vec::new(),
            amd_devices: Vec::new(),
        }
    }
}

/// Source of the GPU figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceName {
    /// The driver's library.
    Nvml,
    /// The driver's program.
    NvidiaSmi,
    /// AMD's program.
    AmdSmi,
    /// The simulated server itself.
    Simulator,
}

impl SourceName {
    /// Its name for people and in a result.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nvml => "NVML",
            Self::NvidiaSmi => "nvidia-smi",
            Self::AmdSmi => "amd-smi",
            Self::Simulator => "simulator",
        }
    }
}

/// An open source.
enum Session {
    Nvml(nvml::Session),
    NvidiaSmi(NvidiaSmi),
    AmdSmi(AmdSmi),
}

/// Opens a source.
type Open<'a> = &'a dyn Fn() -> Result<Session, String>;

/// A source that did not answer, and why.
pub type Passed = (SourceName, String);

impl Session {
    /// The first source that answers, with its first sample and the sources before it.
    fn open(search: &Search) -> (Option<Self>, Survey) {
        let nvml = || nvml::Session::open(search.nvml_library.as_ref()).map(Self::Nvml);
        let nvidia_smi = || Ok(Self::NvidiaSmi(NvidiaSmi::new(search.nvidia_smi.clone())));
        let amd_smi = || Ok(Self::AmdSmi(AmdSmi::new(search.amd_smi.clone())));
        let sources: [(SourceName, Open<'_>); 3] = [
            (SourceName::Nvml, &nvml),
            (SourceName::NvidiaSmi, &nvidia_smi),
            (SourceName::AmdSmi, &amd_smi),
        ];
        let mut survey = Survey::default();
        for (name, open) in sources {
            let opened = open().and_then(|mut session| {
                survey.gpus = session.look(true, search)?;
                Ok(session)
            });
            match opened {
                Ok(session) => {
                    survey.source = Some(name);
                    return (Some(session), survey);
                }
                Err(reason) => survey.passed.push((name, reason)),
            }
        }
        (None, survey)
    }

    /// The selected GPUs; `whole`: including figures that are not read every time.
    fn look(&mut self, whole: bool, search: &Search) -> Result<Vec<Reading>, String> {
        let devices = match self {
            Self::Nvml(_) | Self::NvidiaSmi(_) => &search.devices,
            Self::AmdSmi(_) => &search.amd_devices,
        };
        let readings = match self {
            Self::Nvml(session) => session.look(whole)?,
            Self::NvidiaSmi(session) => session.look()?,
            Self::AmdSmi(session) => session.look()?,
        };
        let readings: Vec<Reading> = readings
            .into_iter()
            .flat_map(|reading| reading.chosen(devices))
            .collect();
        if readings.is_empty() {
            return Err(format!("{NONE_SELECTED} `{}`", devices.join("`, `")));
        }
        Ok(readings)
    }
}

/// Why there is no GPU, from the reasons of the sources: an error is more useful than a missing source.
fn reason_of(passed: &[Passed]) -> String {
    let driver_error = passed.iter().find(|passed| !is_absent(passed));
    driver_error.map_or_else(|| NO_GPU.to_owned(), |(_, reason)| reason.clone())
}

fn is_absent((source, reason): &Passed) -> bool {
    reason == NO_GPU || (*source == SourceName::Nvml && reason.starts_with("cannot load "))
}

/// The GPUs of this machine at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survey {
    /// Facts and state of each GPU; empty if none was found.
    pub gpus: Vec<Reading>,
    /// The source; `None` without one.
    pub source: Option<SourceName>,
    /// Sources that were tried before and did not answer, and why.
    pub passed: Vec<Passed>,
}

impl Survey {
    /// Why it has no GPUs; `None` if it has some.
    pub fn reason(&self) -> Option<String> {
        self.gpus.is_empty().then(|| reason_of(&self.passed))
    }

    /// The error of an installed NVIDIA driver; `None` if there is a GPU or no driver, or if only the selected GPUs are
    /// missing.
    pub fn driver_error(&self) -> Option<&str> {
        let complains = |passed: &&Passed| {
            let (source, reason) = passed;
            matches!(source, SourceName::Nvml | SourceName::NvidiaSmi)
                && !is_absent(passed)
                && !reason.starts_with(NONE_SELECTED)
        };
        let passed = self.passed.iter().filter(|_| self.gpus.is_empty());
        let mut complaints = passed.filter(complains);
        complaints.next().map(|(_, reason)| reason.as_str())
    }
}

/// Samples the GPUs once, for `perfgate doctor` and before a server starts. A driver that hangs is given up after some
/// seconds, with that as the reason.
pub async fn survey(search: &Search) -> Survey {
    let search = search.clone();
    let (send, receive) = tokio::sync::oneshot::channel();
    // A plain thread, not one of the runtime: the runtime would wait for it at its end, and so for a hung driver.
    std::thread::spawn(move || {
        let (_session, survey) = Session::open(&search);
        // The receiver is gone after a timeout.
        let _late = send.send(survey);
    });
    match tokio::time::timeout(HUNG, receive).await {
        Ok(Ok(survey)) => survey,
        Ok(Err(_)) | Err(_) => Survey {
            passed: vec![(SourceName::Nvml, hung())],
            ..Survey::default()
        },
    }
}

fn hung() -> String {
    format!("the GPU driver did not answer within {} s", HUNG.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(nvidia_smi: &str) -> Search {
        Search {
            nvml_library: Some("libno-such-ml.so.9".into()),
            nvidia_smi: nvidia_smi.into(),
            amd_smi: "no-such-amd-smi".into(),
            ..Search::default()
        }
    }

    #[tokio::test]
    async fn a_survey_has_its_source_and_why_the_others_did_not_answer() {
        let folder = tempfile::tempdir().unwrap();
        let program = fixture::nvidia_smi(folder.path(), &["NVIDIA L4, 23034, 1000, 40"]);
        let found = survey(&search(program.to_str().unwrap())).await;
        assert_eq!(found.source, Some(SourceName::NvidiaSmi));
        assert_eq!(found.gpus[0].facts.name, "NVIDIA L4");
        assert_eq!(
            found.passed,
            [(
                SourceName::Nvml,
                "cannot load libno-such-ml.so.9".to_owned()
            )]
        );
        let none = survey(&search("no-such-smi")).await;
        assert_eq!(none.passed.len(), 3);
        assert_eq!(none.reason().as_deref(), Some(NO_GPU));
    }

    #[tokio::test]
    async fn a_driver_error_goes_before_a_missing_gpu() {
        let folder = tempfile::tempdir().unwrap();
        let program = fixture::program(folder.path(), "echo 'Failed to initialize NVML'; exit 12");
        let found = survey(&search(program.to_str().unwrap())).await;
        assert_eq!(
            found.reason().as_deref(),
            Some("nvidia-smi failed (exit status: 12): Failed to initialize NVML")
        );
    }

    #[tokio::test]
    async fn only_the_selected_gpus_are_sampled() {
        let folder = tempfile::tempdir().unwrap();
        let lines = ["NVIDIA L4, 23034, 1000, 40", "NVIDIA L4, 23034, 2000, 60"];
        let program = fixture::nvidia_smi(folder.path(), &lines);
        let only = |device: &str| Search {
            devices: vec![device.to_owned()],
            ..search(program.to_str().unwrap())
        };
        for device in ["1", "GPU-1"] {
            let found = survey(&only(device)).await;
            assert_eq!(found.gpus.len(), 1);
            assert_eq!(found.gpus[0].facts.index, Some(1));
        }
        let none = survey(&only("7")).await;
        assert_eq!(none.reason().as_deref(), Some("none of the GPUs is `7`"));
    }
}
