//! Bounds how long a call may take.

use std::collections::BTreeMap;
use std::time::Duration;

use openlattice::{Error, ErrorKind, Result, Retry};

use crate::{About, Answer, BoxFuture, Call, Layer, Repeat};

/// Ends a call at its deadline with [`ErrorKind::Timeout`].
///
/// The call is ended by dropping its future, after which, as the contract promises, the system is as if it had ended or had never
/// begun: a provision leaves no sandbox. The error is safe to retry where the call can be done twice.
///
/// This bounds *calls*. A command's time is bounded by its own `timeout_ms`, and a time-out of that is a result. Waiting for a command's end
/// or its output, for a change of files, and writing a file from a stream have no deadline unless one is set.
#[derive(Clone, Debug)]
pub struct TimeoutLayer {
    deadlines: BTreeMap<Call, Duration>,
}

/// For calls that only ask or tell.
const QUICK: Duration = Duration::from_secs(60);
/// For calls that make a sandbox or move much data; pulling an image takes minutes.
const SLOW: Duration = Duration::from_secs(15 * 60);

/// Returns the deadline that a call has unless another one is set.
fn default_for(call: Call) -> Option<Duration> {
    match call {
        Call::Health => Some(Duration::from_secs(10)),
        Call::Provision | Call::Restore | Call::Snapshot | Call::Restart | Call::Gc => Some(SLOW),
        Call::ReadFile | Call::WriteFile => Some(SLOW),
        Call::Wait | Call::ReadOutput | Call::NextFileEvent | Call::StreamFile => None,
        _ => Some(QUICK),
    }
}

impl Default for TimeoutLayer {
    /// `health` has 10 s, what makes a sandbox or moves much data 15 min, what waits for a command, its output, a file's change or a
    /// caller's stream none, the rest 60 s.
    fn default() -> Self {
        let deadlines = Call::ALL.iter().filter_map(|call| Some((*call, default_for(*call)?))).collect();
        Self { deadlines }
    }
}

impl TimeoutLayer {
    /// Sets no deadline at all.
    #[must_use]
    pub fn none() -> Self {
        Self { deadlines: BTreeMap::new() }
    }

    /// Sets the deadline of a call.
    #[must_use]
    pub fn with_deadline(mut self, call: Call, deadline: Duration) -> Self {
        self.deadlines.insert(call, deadline);
        self
    }

    /// Takes the deadline of a call away.
    #[must_use]
    pub fn without_deadline(mut self, call: Call) -> Self {
        self.deadlines.remove(&call);
        self
    }
}

/// Builds the error of a call that took too long.
fn too_long(about: &About<'_>, deadline: Duration) -> Error {
    let message = format!("no answer within {deadline:?}");
    let retry = match about.repeat {
        Repeat::Idempotent => Retry::Safe { after: None },
        Repeat::UnlessDropped | Repeat::Once => Retry::Never,
    };
    let error = Error::new(ErrorKind::Timeout, about.call.as_str(), message).with_retry(retry);
    match about.sandbox {
        Some(sandbox) => error.with_context("sandbox", sandbox),
        None => error,
    }
}

impl Layer for TimeoutLayer {
    async fn around<'a, T: Answer + 'a>(
        &'a self,
        about: About<'a>,
        mut work: impl FnMut() -> BoxFuture<'a, Result<T>> + Send + 'a,
    ) -> Result<T> {
        let Some(deadline) = self.deadlines.get(&about.call) else { return work().await };
        match tokio::time::timeout(*deadline, work()).await {
            Ok(result) => result,
            Err(_) => Err(too_long(&about, *deadline)),
        }
    }

    fn covers(&self, call: Call) -> bool {
        self.deadlines.contains_key(&call)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use openlattice::{ComputeProvider, ExecSpec, OnDrop, ProvisionSpec, SandboxId};
    use tokio::time::Instant;

    use super::*;
    use crate::double::Double;

    fn over(double: &Arc<Double>, layer: TimeoutLayer) -> crate::Layered<TimeoutLayer> {
        layer.over(Arc::clone(double) as Arc<dyn ComputeProvider>)
    }

    #[tokio::test(start_paused = true)]
    async fn g9_a_call_that_hangs_is_dropped_at_its_deadline() {
        let double = Double::hanging(Call::Provision);
        let layer = TimeoutLayer::default().with_deadline(Call::Provision, Duration::from_secs(7));
        let start = Instant::now();
        let error = over(&double, layer).provision(ProvisionSpec::default()).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Never));
        assert_eq!(start.elapsed().as_secs(), 7);
        assert_eq!(double.dropped_calls(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_error_is_safe_to_retry_where_the_call_can_be_done_twice() {
        let double = Double::hanging(Call::Exec);
        let provider = over(&double, TimeoutLayer::default());
        for (on_drop, retry) in [(OnDrop::Detach, Retry::Safe { after: None }), (OnDrop::Kill, Retry::Never)]
        {
            let spec = ExecSpec::new(["true"]).with_exec_id("e").with_on_drop(on_drop);
            assert_eq!(provider.exec(&SandboxId::new("sb-1"), spec).await.unwrap_err().retry(), retry);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn m26_a_health_check_that_hangs_is_unhealthy() {
        let double = Double::hanging(Call::Health);
        let health = over(&double, TimeoutLayer::default()).health().await;
        assert!(!health.healthy);
        assert_eq!(health.message.as_deref(), Some("unreachable: no answer within 10s"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_a_deadline_waits() {
        let double = Double::hanging(Call::Wait);
        let provider = over(&double, TimeoutLayer::default());
        let session = provider.exec(&SandboxId::new("sb-1"), ExecSpec::new(["sleep"])).await.unwrap();
        let day = Duration::from_secs(24 * 60 * 60);
        assert!(tokio::time::timeout(day, session.wait()).await.is_err());
    }
}
