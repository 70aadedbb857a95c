//! Points in time as the store keeps them: nanoseconds since 1970, signed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds of `time`; what is out of range is cut to it.
pub(crate) fn to_ns(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// The time of `ns`; negative ones are 1970.
pub(crate) fn from_ns(ns: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(u64::try_from(ns).unwrap_or(0))
}

/// Milliseconds of a duration, as SQLite and the agent take them.
pub(crate) fn to_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The duration of stored milliseconds.
pub(crate) fn from_ms(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// Now, in nanoseconds.
pub(crate) fn now_ns() -> i64 {
    to_ns(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_the_store() {
        let now = SystemTime::now();
        assert_eq!(from_ns(to_ns(now)), now);
        assert_eq!(from_ns(-5), UNIX_EPOCH);
        assert_eq!(from_ms(to_ms(Duration::from_millis(1234))), Duration::from_millis(1234));
        assert_eq!(to_ms(Duration::MAX), i64::MAX);
    }
}
