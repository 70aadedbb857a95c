//! Bounds how much is asked of a provider at once.

use std::time::Duration;

use openlattice::Result;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use crate::{About, Answer, BoxFuture, Call, Layer};

/// Makes calls wait for their turn.
///
/// - At most so many calls run at once. Those that make a sandbox (`provision`, `restore`) have a bound of their own, since
///   they take long and must not keep a `destroy` waiting.
/// - Sandboxes are asked for at most so many times a second, evenly spaced. Services refuse more than a few a second.
///
/// Calls of a running command's session, a file's pieces and a watch's events go past the limits: a `wait` may last for hours, and
/// must not hold up the write that it waits for. So does `health`. Waiting is fair, in the order of asking. Dropping a waiting call gives its place up.
#[derive(Debug)]
pub struct LimitLayer {
    calls: Semaphore,
    makers: Semaphore,
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

impl Default for LimitLayer {
    /// 64 calls and 16 provisions at once, and no bound of provisions in a second.
    fn default() -> Self {
        Self {
            calls: Semaphore::new(64),
            makers: Semaphore::new(16),
            interval: Duration::ZERO,
            next: Mutex::new(None),
        }
    }
}

impl LimitLayer {
    /// Sets how many calls run at once; 0 counts as 1.
    #[must_use]
    pub fn with_calls(mut self, calls: usize) -> Self {
        self.calls = semaphore(calls);
        self
    }

    /// Sets how many sandboxes are being made at once; 0 counts as 1.
    #[must_use]
    pub fn with_provisions(mut self, provisions: usize) -> Self {
        self.makers = semaphore(provisions);
        self
    }

    /// Sets how many sandboxes are asked for in a second; below 1 is one in several seconds. What is not above 0 is no bound.
    #[must_use]
    pub fn with_provisions_per_second(mut self, rate: f64) -> Self {
        let interval = if rate > 0.0 { Duration::try_from_secs_f64(1.0 / rate) } else { Ok(Duration::ZERO) };
        self.interval = interval.unwrap_or(Duration::MAX);
        self
    }

    /// Waits for the next free moment and takes it. The lock hands out its turns in order; who is dropped before the moment
    /// takes none.
    async fn turn(&self) {
        if self.interval.is_zero() {
            return;
        }
        let mut next = self.next.lock().await;
        let now = Instant::now();
        let moment = next.map_or(now, |next| next.max(now));
        tokio::time::sleep_until(moment).await;
        // A rate so low that the moment cannot be told is one provision an age.
        *next = Some(moment.checked_add(self.interval).unwrap_or(moment + Duration::from_secs(1 << 32)));
    }
}

fn semaphore(permits: usize) -> Semaphore {
    Semaphore::new(permits.clamp(1, Semaphore::MAX_PERMITS))
}

/// Says whether a call makes a sandbox.
fn makes(call: Call) -> bool {
    matches!(call, Call::Provision | Call::Restore)
}

impl Layer for LimitLayer {
    async fn around<'a, T: Answer + 'a>(
        &'a self,
        about: About<'a>,
        mut work: impl FnMut() -> BoxFuture<'a, Result<T>> + Send + 'a,
    ) -> Result<T> {
        let making = makes(about.call);
        let permits = if making { &self.makers } else { &self.calls };
        let permit = permits.acquire().await.expect("nobody closes the semaphore");
        if making {
            self.turn().await;
        }
        let answer = work().await;
        drop(permit);
        answer
    }

    fn covers(&self, call: Call) -> bool {
        call != Call::Health && !call.is_of_session() && !call.is_of_stream()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use openlattice::{ComputeProvider, ExecSpec, ProvisionSpec, SandboxId};
    use tokio::task::JoinSet;

    use super::*;
    use crate::double::Double;

    fn over(double: &Arc<Double>, layer: LimitLayer) -> Arc<crate::Layered<LimitLayer>> {
        Arc::new(layer.over(Arc::clone(double) as Arc<dyn ComputeProvider>))
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_calls_than_allowed_run_at_once() {
        let double = Double::slow(Duration::from_secs(1));
        let provider = over(&double, LimitLayer::default().with_calls(3));
        let mut all = JoinSet::new();
        for _ in 0..20 {
            let provider = Arc::clone(&provider);
            all.spawn(async move { provider.inspect(&SandboxId::new("sb-1")).await.unwrap() });
        }
        all.join_all().await;
        assert_eq!((double.count(Call::Inspect), double.most_at_once()), (20, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn sandboxes_are_asked_for_at_the_given_rate() {
        let double = Double::slow(Duration::from_secs(60));
        let provider = over(&double, LimitLayer::default().with_provisions_per_second(4.0));
        let start = Instant::now();
        let mut all = JoinSet::new();
        for _ in 0..9 {
            let provider = Arc::clone(&provider);
            all.spawn(async move { provider.provision(ProvisionSpec::default()).await.unwrap() });
        }
        all.join_all().await;
        assert_eq!(start.elapsed().as_secs(), 2 + 60, "the ninth starts after eight intervals");
    }

    #[tokio::test(start_paused = true)]
    async fn provisions_and_waits_do_not_hold_up_the_rest() {
        let double = Double::hanging(Call::Provision);
        let provider = over(&double, LimitLayer::default().with_calls(1).with_provisions(1));
        let id = SandboxId::new("sb-1");
        let waiting = Arc::clone(&provider);
        let stuck = tokio::spawn(async move { waiting.provision(ProvisionSpec::default()).await });
        tokio::task::yield_now().await;
        let session = provider.exec(&id, ExecSpec::new(["cat"])).await.unwrap();
        let (status, written) = tokio::join!(session.wait(), session.write_stdin(0, "x".into()));
        status.unwrap();
        written.unwrap();
        provider.destroy(&id).await.unwrap();
        stuck.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn g9_a_dropped_call_gives_its_place_up() {
        let double = Double::hanging(Call::Destroy);
        let provider = over(&double, LimitLayer::default().with_calls(1));
        let id = SandboxId::new("sb-1");
        let short = Duration::from_secs(1);
        assert!(tokio::time::timeout(short, provider.destroy(&id)).await.is_err());
        provider.inspect(&id).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn g9_a_dropped_call_takes_no_moment_of_the_rate() {
        let double = Double::slow(Duration::ZERO);
        let provider = over(&double, LimitLayer::default().with_provisions_per_second(1.0));
        let start = Instant::now();
        provider.provision(ProvisionSpec::default()).await.unwrap();
        for _ in 0..20 {
            let short = Duration::from_millis(1);
            let waiting = provider.provision(ProvisionSpec::default());
            assert!(tokio::time::timeout(short, waiting).await.is_err());
        }
        provider.provision(ProvisionSpec::default()).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 1);
    }
}
