//! When a call is tried again, and after which pause (protocol section 2).

use std::time::Duration;

use tokio::time::sleep;
use tonic::Status;

use crate::error::{Error, Result, Retry};
use crate::headers::Attempts;
use crate::status;

/// The pause after a call that the server did not hold as asked.
const HOLD_PAUSE: Duration = Duration::from_secs(1);

/// The pauses of one kind of call: doubling from the first one up to a cap.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    pub(crate) retries: u32,
    pub(crate) first: Duration,
    pub(crate) cap: Duration,
}

/// Control plane calls: three retries after 0.1, 0.2 and 0.4 s.
pub(crate) const CONTROL_PLANE: Policy =
    Policy { retries: 3, first: Duration::from_millis(100), cap: Duration::from_secs(1) };

/// Command router calls: ten retries after 0.01 to 5.12 s, about ten seconds in all.
pub(crate) const ROUTER: Policy =
    Policy { retries: 10, first: Duration::from_millis(10), cap: Duration::from_secs(8) };

/// Streams of logs: nine more after 0.1 to 2 s, together long enough for a server that starts again.
const LOGS: Policy = Policy { retries: 9, first: Duration::from_millis(100), cap: Duration::from_secs(2) };

impl Policy {
    /// Gives the pause after a number of failures (from 1); nothing when the retries are used up.
    pub(crate) fn pause(&self, failures: u32) -> Option<Duration> {
        if failures > self.retries {
            return None;
        }
        let doubled = self.first.saturating_mul(1_u32.checked_shl(failures - 1).unwrap_or(u32::MAX));
        Some(doubled.min(self.cap))
    }
}

/// Decides about a failed try and counts it: the pause before the next one, or nothing to give up.
///
/// A pause that the server asks for does not use up a retry; `throttle_cap` bounds the sum of those.
pub(crate) fn next_pause(
    policy: &Policy,
    throttle_cap: Option<Duration>,
    attempts: &mut Attempts,
    status: &Status,
) -> Option<Duration> {
    if let Some(pause) = status::requested_pause(status) {
        let waited = attempts.throttled_for + pause;
        if throttle_cap.is_some_and(|cap| waited > cap) {
            return None;
        }
        attempts.throttled += 1;
        attempts.throttled_for = waited;
        return Some(pause);
    }
    if !status::is_transient(status.code()) {
        return None;
    }
    attempts.failed += 1;
    policy.pause(attempts.failed)
}

/// The pause before a call that the server was to hold is made again. One that was held needs none; a server that answers at
/// once would be asked as fast as the network can.
pub(crate) fn rest_after_hold(asked: Duration, took: Duration) -> Duration {
    if took >= asked / 2 { Duration::ZERO } else { HOLD_PAUSE }
}

/// A stream of logs that is opened again where it broke. A new one of these follows each that went well.
#[derive(Debug, Default)]
pub(crate) struct Reopening {
    failures: u32,
}

impl Reopening {
    /// Pauses after a stream that failed; gives the error back when trying again is of no use, or was often enough.
    pub(crate) async fn after(&mut self, error: Error) -> Result<()> {
        self.failures += 1;
        match LOGS.pause(self.failures).filter(|_| error.retry() == Retry::Safe) {
            Some(pause) => {
                sleep(pause).await;
                Ok(())
            }
            None => {
                *self = Self::default();
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_opened_again_nine_times_in_a_row() {
        let mut reopening = Reopening::default();
        let lost = || Error::unexpected("lost").with_retry(Retry::Safe);
        for _ in 0..9 {
            reopening.after(lost()).await.unwrap();
        }
        assert!(reopening.after(lost()).await.is_err());
        reopening.after(lost()).await.unwrap();
        assert!(reopening.after(Error::invalid("wrong")).await.is_err());
    }

    #[test]
    fn pauses_double_up_to_the_cap_and_end() {
        let control: Vec<_> =
            (1..=4).map(|n| CONTROL_PLANE.pause(n).map(|pause| pause.as_millis())).collect();
        assert_eq!(control, [Some(100), Some(200), Some(400), None]);
        assert_eq!(ROUTER.pause(10), Some(Duration::from_millis(5120)));
        assert_eq!(ROUTER.pause(11), None);
        let long = Policy { retries: 99, ..CONTROL_PLANE };
        assert_eq!(long.pause(60), Some(Duration::from_secs(1)));
    }

    #[test]
    fn only_transient_codes_are_tried_again() {
        let mut attempts = Attempts::default();
        assert!(next_pause(&CONTROL_PLANE, None, &mut attempts, &Status::not_found("")).is_none());
        assert!(next_pause(&CONTROL_PLANE, None, &mut attempts, &Status::resource_exhausted("")).is_none());
        assert_eq!(attempts.failed, 0);
        assert!(next_pause(&CONTROL_PLANE, None, &mut attempts, &Status::internal("")).is_some());
        assert_eq!(attempts.failed, 1);
    }
}
