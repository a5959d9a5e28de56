//! Why a GPU's clocks are not at their maximum.
//!
//! Source of the bits: NVML, `nvmlClocksEventReasons` (until driver 535 `nvmlClocksThrottleReasons`).

use serde::Serialize;

/// A set of reasons at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttles(pub u64);

/// A reason that perfgate distinguishes, with NVML's bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u64)]
pub enum Throttle {
    /// No load.
    Idle = 0x1,
    /// The clocks were set by a user.
    ClocksSetting = 0x2,
    /// The power limit: normal under load.
    PowerCap = 0x4,
    /// The hardware at least halved the clocks: heat, power brake or supply. One of the next ones, if the driver knows which.
    HardwareSlowdown = 0x8,
    /// The slowest of a group of GPUs limits the others.
    SyncBoost = 0x10,
    /// The driver lowered the clocks because of heat.
    SoftwareThermal = 0x20,
    /// The hardware lowered the clocks because of heat.
    HardwareThermal = 0x40,
    /// The power supply signalled the hardware to slow down.
    PowerBrake = 0x80,
    /// Requirements of a display.
    DisplayClocks = 0x100,
}

impl Throttle {
    const ALL: [Self; 9] = [
        Self::Idle,
        Self::ClocksSetting,
        Self::PowerCap,
        Self::HardwareSlowdown,
        Self::SyncBoost,
        Self::SoftwareThermal,
        Self::HardwareThermal,
        Self::PowerBrake,
        Self::DisplayClocks,
    ];
}

impl Throttles {
    /// Those that perfgate distinguishes.
    pub(super) fn reasons(self) -> impl Iterator<Item = Throttle> {
        let all = Throttle::ALL.into_iter();
        all.filter(move |reason| self.0 & *reason as u64 != 0)
    }

    /// `0x0000000000000004`, as `nvidia-smi` writes it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("0x")?;
        u64::from_str_radix(digits, 16).ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_found_by_its_bit_and_has_its_name() {
        for (index, reason) in Throttle::ALL.into_iter().enumerate() {
            assert_eq!(
                Throttles(1 << index).reasons().collect::<Vec<_>>(),
                [reason]
            );
        }
        let names = serde_json::to_string(&Throttle::ALL).unwrap();
        assert_eq!(
            names,
            r#"["idle","clocks_setting","power_cap","hardware_slowdown","sync_boost","software_thermal","hardware_thermal","power_brake","display_clocks"]"#
        );
    }

    #[test]
    fn the_set_of_nvidia_smi_is_read() {
        let set = Throttles::parse("0x0000000000000048").unwrap();
        let reasons: Vec<Throttle> = set.reasons().collect();
        assert_eq!(
            reasons,
            [Throttle::HardwareSlowdown, Throttle::HardwareThermal]
        );
        assert_eq!(Throttles::parse("[N/A]"), None);
        assert_eq!(Throttles::parse("4"), None);
    }
}
