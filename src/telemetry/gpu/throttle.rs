//! Why a GPU's clocks are not at their maximum.
//!
//! Source of the bits: NVML, `nvmlClocksEventReasons` (until driver 535 `nvmlClocksThrottleReasons`).

/// A set of reasons at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttles(pub u64);

/// A reason that perfgate distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Throttle {
    /// No load.
    Idle,
    /// The clocks were set by a user.
    ClocksSetting,
    /// The power limit: normal under load.
    PowerCap,
    /// The hardware at least halved the clocks: heat, power brake or supply. One of the next ones, if the driver knows which.
    HardwareSlowdown,
    /// The slowest of a group of GPUs limits the others.
    SyncBoost,
    /// The driver lowered the clocks because of heat.
    SoftwareThermal,
    /// The hardware lowered the clocks because of heat.
    HardwareThermal,
    /// The power supply signalled the hardware to slow down.
    PowerBrake,
    /// Requirements of a display.
    DisplayClocks,
}

impl Throttle {
    /// All of them.
    pub const ALL: [Self; 9] = [
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

    /// NVML's bit.
    pub const fn bit(self) -> u64 {
        match self {
            Self::Idle => 0x1,
            Self::ClocksSetting => 0x2,
            Self::PowerCap => 0x4,
            Self::HardwareSlowdown => 0x8,
            Self::SyncBoost => 0x10,
            Self::SoftwareThermal => 0x20,
            Self::HardwareThermal => 0x40,
            Self::PowerBrake => 0x80,
            Self::DisplayClocks => 0x100,
        }
    }

    /// Name in a result.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::ClocksSetting => "clocks_setting",
            Self::PowerCap => "power_cap",
            Self::HardwareSlowdown => "hardware_slowdown",
            Self::SyncBoost => "sync_boost",
            Self::SoftwareThermal => "software_thermal",
            Self::HardwareThermal => "hardware_thermal",
            Self::PowerBrake => "power_brake",
            Self::DisplayClocks => "display_clocks",
        }
    }

    /// Name in messages, if the reason voids a repeat.
    pub const fn void_reason(self) -> Option<&'static str> {
        match self {
            Self::HardwareThermal => Some("hardware thermal"),
            Self::SoftwareThermal => Some("software thermal"),
            Self::PowerBrake => Some("power brake"),
            Self::HardwareSlowdown => Some("hardware slowdown"),
            Self::Idle
            | Self::ClocksSetting
            | Self::PowerCap
            | Self::SyncBoost
            | Self::DisplayClocks => None,
        }
    }
}

impl Throttles {
    /// Whether a reason is among them.
    pub fn has(self, reason: Throttle) -> bool {
        self.0 & reason.bit() != 0
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
    fn every_reason_has_its_own_bit_and_name() {
        for (index, reason) in Throttle::ALL.into_iter().enumerate() {
            assert_eq!(reason.bit(), 1 << index);
            let others = Throttle::ALL
                .iter()
                .filter(|other| other.id() == reason.id());
            assert_eq!(others.count(), 1);
        }
    }

    #[test]
    fn the_set_of_nvidia_smi_is_read() {
        let set = Throttles::parse("0x0000000000000048").unwrap();
        assert!(set.has(Throttle::HardwareThermal) && set.has(Throttle::HardwareSlowdown));
        assert!(!set.has(Throttle::PowerCap));
        assert_eq!(Throttles::parse("[N/A]"), None);
        assert_eq!(Throttles::parse("4"), None);
    }
}
