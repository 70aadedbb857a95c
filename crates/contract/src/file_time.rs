//! When a file last changed.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A time as file systems keep it: whole seconds since 1970, negative before, and nanoseconds after them.
///
/// As text, and in JSON, it is an ISO 8601 time with nanoseconds, such as `2001-02-03T04:05:06.123456789Z`; one beyond the years 0 to
/// 9999 is shown as their first or last second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileTime {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds after them, less than a billion.
    pub nanos: u32,
}

/// The first and the last second of the years 0 to 9999.
const RANGE: (i64, i64) = (-62_167_219_200, 253_402_300_799);

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

impl fmt::Display for FileTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.seconds.clamp(RANGE.0, RANGE.1);
        let time = OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| fmt::Error)?;
        let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
        let (hour, minute, second) = (time.hour(), time.minute(), time.second());
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:09}Z", self.nanos)
    }
}

impl Serialize for FileTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FileTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = OffsetDateTime::parse(&text, &Rfc3339)
            .map_err(|_| D::Error::custom(format_args!("{text:?} is not ISO 8601")))?;
        Ok(Self::from_unix_nanos(time.unix_timestamp_nanos()))
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
            let json = serde_json::to_string(&time).unwrap();
            assert_eq!(serde_json::from_str::<FileTime>(&json).unwrap(), time, "{json}");
        }
    }

    #[test]
    fn a_time_is_shown_as_text_and_cut_to_the_calendar() {
        let shown = |seconds, nanos| FileTime { seconds, nanos }.to_string();
        assert_eq!(shown(981_173_106, 123_456_789), "2001-02-03T04:05:06.123456789Z");
        assert_eq!(shown(i64::MAX, 5), "9999-12-31T23:59:59.000000005Z");
        assert_eq!(shown(i64::MIN, 0), "0000-01-01T00:00:00.000000000Z");
        assert!(serde_json::from_str::<FileTime>("\"soon\"").is_err());
    }
}
