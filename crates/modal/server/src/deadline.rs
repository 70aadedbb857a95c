//! The caller's deadline: header `grpc-timeout`.

use http::HeaderMap;
use std::time::Duration;
use tokio::time::Instant;
use tonic::Status;

/// When the caller stops waiting; carried in a request's extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(pub(crate) Instant);

impl Deadline {
    /// Reads the header; absent, malformed or centuries away is none.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get("grpc-timeout")?.to_str().ok()?;
        Instant::now().checked_add(parse(text)?).map(Self)
    }

    /// The deadline of a request, if it has one.
    pub(crate) fn of<T>(request: &tonic::Request<T>) -> Option<Self> {
        request.extensions().get().copied()
    }

    /// `wanted`, or less when the caller would be gone before an answer after it arrives.
    pub(crate) fn shorten(this: Option<Self>, wanted: Duration) -> Duration {
        let Some(Self(at)) = this else { return wanted };
        let left = at.saturating_duration_since(Instant::now());
        wanted.min(left.saturating_sub(left / 20))
    }

    /// Waits for the deadline; for ever when there is none.
    pub(crate) async fn passed(this: Option<Self>) {
        match this {
            Some(Self(at)) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// What a call that ran into it answers.
    pub(crate) fn status() -> Status {
        Status::deadline_exceeded("the call's deadline has passed")
    }
}

/// At most eight digits and a unit, as the gRPC wire specification says.
fn parse(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let digits = text.strip_suffix(unit)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        'H' => Duration::from_secs(count * 3600),
        'M' => Duration::from_secs(count * 60),
        'S' => Duration::from_secs(count),
        'm' => Duration::from_millis(count),
        'u' => Duration::from_micros(count),
        'n' => Duration::from_nanos(count),
        _ => return None,
    })
}

/// A timeout in seconds as a message carries it: negative and odd values are 0, huge ones a day.
pub(crate) fn seconds(value: f32) -> Duration {
    const DAY: f32 = 86_400.0;
    if value.is_nan() || value <= 0.0 { Duration::ZERO } else { Duration::from_secs_f32(value.min(DAY)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        assert_eq!(parse("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(parse("2M"), Some(Duration::from_secs(120)));
        assert_eq!(parse("59999m"), Some(Duration::from_millis(59_999)));
        assert_eq!(parse("5u"), Some(Duration::from_micros(5)));
        for odd in ["", "S", "-1S", "+1S", "123456789S", "1X", "1é"] {
            assert_eq!(parse(odd), None, "{odd:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_comes_before_the_caller_is_gone() {
        let wanted = Duration::from_secs(10);
        let deadline = |seconds| Some(Deadline(Instant::now() + Duration::from_secs(seconds)));
        assert_eq!(Deadline::shorten(None, wanted), wanted);
        assert_eq!(Deadline::shorten(deadline(15), wanted), wanted);
        assert_eq!(Deadline::shorten(deadline(5), wanted), Duration::from_millis(4750));
        assert_eq!(Deadline::shorten(deadline(0), wanted), Duration::ZERO);
    }

    #[test]
    fn odd_seconds_do_not_panic() {
        assert_eq!(seconds(f32::NAN), Duration::ZERO);
        assert_eq!(seconds(-1.0), Duration::ZERO);
        assert_eq!(seconds(f32::INFINITY), Duration::from_secs(86_400));
        assert_eq!(seconds(0.5), Duration::from_millis(500));
    }
}
