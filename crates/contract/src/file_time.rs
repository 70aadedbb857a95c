//! When a file last changed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A time as file systems keep it: whole seconds since 1970, negative before, and nanoseconds after them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileTime {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds after them, less than a billion.
    pub nanos: u32,
}

impl FileTime {
    /// The time of so many nanoseconds since 1970; what is out of range is cut to it.
    pub fn from_unix_nanos(nanos: i128) -> Self {
        let seconds = nanos.div_euclid(1_000_000_000);
        let rest = nanos.rem_euclid(1_000_000_000);
        let clamped = i64::try_from(seconds).unwrap_or(if seconds < 0 { i64::MIN } else { i64::MAX });
        Self { seconds: clamped, nanos: u32::try_from(rest).unwrap_or_default() }
    }

    /// Nanoseconds since 1970.
    pub fn unix_nanos(self) -> i128 {
        i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos)
    }
}

impl From<SystemTime> for FileTime {
    fn from(time: SystemTime) -> Self {
        let nanos = |duration: Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
        Self::from_unix_nanos(match time.duration_since(UNIX_EPOCH) {
            Ok(after) => nanos(after),
            Err(before) => -nanos(before.duration()),
        })
    }
}

impl From<FileTime> for SystemTime {
    /// The same time; 1970 where the system's clock does not reach it.
    fn from(time: FileTime) -> Self {
        let seconds = Duration::from_secs(time.seconds.unsigned_abs());
        let base =
            if time.seconds < 0 { UNIX_EPOCH.checked_sub(seconds) } else { UNIX_EPOCH.checked_add(seconds) };
        base.and_then(|base| base.checked_add(Duration::from_nanos(time.nanos.into()))).unwrap_or(UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_and_nanoseconds_come_back() {
        for (seconds, nanos) in [(0, 0), (981_173_106, 123_456_789), (-1, 999_999_999), (-86_400, 0)] {
            let time = FileTime { seconds, nanos };
            assert_eq!(FileTime::from(SystemTime::from(time)), time);
            assert_eq!(FileTime::from_unix_nanos(time.unix_nanos()), time);
        }
    }
}
