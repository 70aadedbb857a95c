//! Points in time as ISO 8601 text.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::{Error, ErrorKind};

/// Names a point in time, to the millisecond; text form is ISO 8601 in UTC (`2026-01-02T03:04:05.678Z`).
///
/// It lies in the years 0 to 9999, which the text form can name: what is outside becomes the nearest time inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The first and the last millisecond of the years 0 to 9999.
const RANGE: (i64, i64) = (-62_167_219_200_000, 253_402_300_799_999);

impl Timestamp {
    /// Returns the present time of the machine's clock.
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// Builds one from milliseconds since the Unix epoch.
    pub fn from_unix_millis(millis: i64) -> Self {
        Self(millis.clamp(RANGE.0, RANGE.1))
    }

    /// Returns the milliseconds since the Unix epoch.
    pub fn unix_millis(self) -> i64 {
        self.0
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let millis = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |millis| -millis),
        };
        Self::from_unix_millis(millis)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0) * 1_000_000;
        let time = OffsetDateTime::from_unix_timestamp_nanos(nanos).map_err(|_| fmt::Error)?;
        let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
        let (hour, minute, second, milli) = (time.hour(), time.minute(), time.second(), time.millisecond());
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|source| {
            Error::new(ErrorKind::InvalidArgument, "parse timestamp", format!("{text:?} is not ISO 8601"))
                .with_hint("write it like 2026-01-02T03:04:05Z")
                .with_source(source)
        })?;
        let millis = time.unix_timestamp_nanos().div_euclid(1_000_000);
        Ok(Self::from_unix_millis(i64::try_from(millis).unwrap_or(i64::MAX)))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_milliseconds_and_comes_back() {
        let time = Timestamp::from_unix_millis(1_767_323_045_678);
        assert_eq!(time.to_string(), "2026-01-02T03:04:05.678Z");
        assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        assert_eq!("2026-01-02T04:04:05.678+01:00".parse::<Timestamp>().unwrap(), time);
    }

    #[test]
    fn g3_a_time_that_no_text_can_name_is_the_nearest_one_that_it_can() {
        let text = |millis| serde_json::to_string(&Timestamp::from_unix_millis(millis)).unwrap();
        assert_eq!(text(i64::MAX), r#""9999-12-31T23:59:59.999Z""#);
        assert_eq!(text(i64::MIN), r#""0000-01-01T00:00:00.000Z""#);
        let before = std::time::Duration::from_secs(1 << 40);
        for time in UNIX_EPOCH.checked_add(before).into_iter().chain(UNIX_EPOCH.checked_sub(before)) {
            Timestamp::from(time).to_string().parse::<Timestamp>().unwrap();
        }
        let early: Timestamp = "0000-01-01T00:00:00+23:00".parse().unwrap();
        assert_eq!(early.to_string(), "0000-01-01T00:00:00.000Z");
    }

    #[test]
    fn other_text_is_refused() {
        assert_eq!("yesterday".parse::<Timestamp>().unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}
