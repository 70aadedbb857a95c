//! Makes chosen calls fail.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use openlattice::{Error, Result};

use crate::{About, Answer, BoxFuture, Call, Layer};

/// Says on which side of the provider's work a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moment {
    /// Before it: the provider sees nothing of the call.
    Before,
    /// After it: the provider has done the work, and its answer is lost.
    After,
}

/// Says which of the calls that match fail.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Choice {
    Every,
    Nth(u64),
    Chance(f64),
}

/// Describes a failure: which calls, when, and with which error.
#[derive(Clone)]
pub struct Fault {
    call: Option<Call>,
    choice: Choice,
    moment: Moment,
    error: Arc<dyn Fn() -> Error + Send + Sync>,
}

impl Fault {
    /// Describes a failure of every call with the error that the function makes, before the provider is asked.
    pub fn new(error: impl Fn() -> Error + Send + Sync + 'static) -> Self {
        Self { call: None, choice: Choice::Every, moment: Moment::Before, error: Arc::new(error) }
    }

    /// Restricts it to one kind of call.
    #[must_use]
    pub fn of(mut self, call: Call) -> Self {
        self.call = Some(call);
        self
    }

    /// Restricts it to the nth call that matches, counted from 1.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.choice = Choice::Nth(nth);
        self
    }

    /// Has each call that matches fail with this probability, from 0 to 1.
    #[must_use]
    pub fn with_chance(mut self, chance: f64) -> Self {
        self.choice = Choice::Chance(chance);
        self
    }

    /// Sets the moment.
    #[must_use]
    pub fn at(mut self, moment: Moment) -> Self {
        self.moment = moment;
        self
    }

    fn matches(&self, call: Call) -> bool {
        self.call.is_none_or(|only| only == call)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault")
            .field("call", &self.call)
            .field("choice", &self.choice)
            .field("moment", &self.moment)
            .finish_non_exhaustive()
    }
}

/// Makes calls fail as its [`Fault`]s say; for tests only.
///
/// The first fault that applies wins. With the same seed and the same order of calls, the same calls fail. A lost
/// answer is dropped: the session of a command that was asked to be killed on dropping kills it.
///
/// ```
/// use openlattice::{Error, ErrorKind, Retry};
/// use openlattice_layers::{Call, Fault, FaultLayer, Moment};
///
/// let lost = || Error::new(ErrorKind::Unavailable, "provision", "the answer was lost");
/// let layer = FaultLayer::seeded(7)
///     .with_fault(Fault::new(lost).of(Call::Provision).nth(1).at(Moment::After))
///     .with_fault(Fault::new(lost).of(Call::ReadOutput).with_chance(0.1));
/// assert_eq!(layer.injected(), 0);
/// ```
#[derive(Debug)]
pub struct FaultLayer {
    faults: Vec<Fault>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    random: fastrand::Rng,
    /// How many calls matched each fault.
    matched: Vec<u64>,
    injected: u64,
}

impl FaultLayer {
    /// Starts without faults; the seed decides where a chance strikes.
    pub fn seeded(seed: u64) -> Self {
        let state = State { random: fastrand::Rng::with_seed(seed), matched: Vec::new(), injected: 0 };
        Self { faults: Vec::new(), state: Mutex::new(state) }
    }

    /// Adds a fault.
    #[must_use]
    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self.state.get_mut().unwrap_or_else(PoisonError::into_inner).matched.push(0);
        self
    }

    /// Counts the failures so far.
    pub fn injected(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).injected
    }

    /// Returns the fault that strikes a call, if one does.
    fn strike(&self, call: Call) -> Option<&Fault> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut struck = None;
        for (index, fault) in self.faults.iter().enumerate().filter(|(_, fault)| fault.matches(call)) {
            state.matched[index] += 1;
            let strikes = match fault.choice {
                Choice::Every => true,
                Choice::Nth(nth) => state.matched[index] == nth,
                Choice::Chance(chance) => state.random.f64() < chance,
            };
            if strikes && struck.is_none() {
                struck = Some(fault);
            }
        }
        state.injected += u64::from(struck.is_some());
        struck
    }
}

impl Layer for FaultLayer {
    async fn around<'a, T: Answer + 'a>(
        &'a self,
        about: About<'a>,
        mut work: impl FnMut() -> BoxFuture<'a, Result<T>> + Send + 'a,
    ) -> Result<T> {
        let Some(fault) = self.strike(about.call) else { return work().await };
        if fault.moment == Moment::After {
            drop(work().await?);
        }
        Err((fault.error)())
    }

    fn covers(&self, call: Call) -> bool {
        self.faults.iter().any(|fault| fault.matches(call))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use openlattice::{
        ComputeProvider, ComputeProviderExt, ErrorKind, ExecSpec, ProvisionSpec, Retry, SandboxId,
    };

    use super::*;
    use crate::RetryLayer;
    use crate::double::{Double, TEXT};

    fn gone() -> Error {
        Error::new(ErrorKind::Unavailable, "test", "gone").with_retry(Retry::Safe { after: None })
    }

    fn over(double: &Arc<Double>, layer: FaultLayer) -> crate::Layered<FaultLayer> {
        layer.over(Arc::clone(double) as Arc<dyn ComputeProvider>)
    }

    fn id() -> SandboxId {
        SandboxId::new("sb-1")
    }

    #[tokio::test]
    async fn the_nth_call_fails_and_no_other() {
        let double = Double::new();
        let layer = FaultLayer::seeded(0).with_fault(Fault::new(gone).of(Call::Inspect).nth(2));
        let provider = over(&double, layer);
        let mut outcomes = Vec::new();
        for _ in 0..3 {
            outcomes.push(provider.inspect(&id()).await.is_ok());
        }
        assert_eq!(outcomes, [true, false, true]);
        assert_eq!((double.count(Call::Inspect), provider.layer().injected()), (2, 1));
        provider.destroy(&id()).await.unwrap();
    }

    #[tokio::test]
    async fn a_lost_answer_is_lost_after_the_work() {
        let double = Double::new();
        let fault = Fault::new(gone).of(Call::Provision).nth(1).at(Moment::After);
        let provider = over(&double, FaultLayer::seeded(0).with_fault(fault));
        provider.provision(ProvisionSpec::default()).await.unwrap_err();
        assert_eq!(double.count(Call::Provision), 1);
    }

    #[tokio::test]
    async fn the_seed_decides_where_a_chance_strikes() {
        let mut runs = Vec::new();
        for seed in [1, 1, 2] {
            let layer = FaultLayer::seeded(seed).with_fault(Fault::new(gone).with_chance(0.5));
            let provider = over(&Double::new(), layer);
            let mut outcomes = Vec::new();
            for _ in 0..64 {
                outcomes.push(provider.inspect(&id()).await.is_ok());
            }
            assert!(outcomes.contains(&true) && outcomes.contains(&false));
            runs.push(outcomes);
        }
        assert_eq!(runs[0], runs[1]);
        assert_ne!(runs[0], runs[2]);
    }

    #[tokio::test(start_paused = true)]
    async fn g2_g3_a_retry_over_faults_gives_the_whole_result() {
        for seed in 0..50 {
            let double = Double::new();
            let mut layer = FaultLayer::seeded(seed);
            for moment in [Moment::Before, Moment::After] {
                for call in [Call::Wait, Call::Destroy, Call::Provision] {
                    layer = layer.with_fault(Fault::new(gone).of(call).with_chance(0.3).at(moment));
                }
            }
            layer = layer.with_fault(Fault::new(gone).of(Call::ReadOutput).with_chance(0.3));
            let faulty = Arc::new(over(&double, layer));
            let retry = RetryLayer::default().with_attempts(40).with_pauses(Duration::ZERO, Duration::ZERO);
            let provider = Arc::new(retry.over(faulty));
            let node = provider.provision_node(ProvisionSpec::default().with_key("k")).await.unwrap();
            let result = node.run(ExecSpec::new(["true"])).await.unwrap();
            assert_eq!((result.exit_code(), &*result.stdout), (7, TEXT), "seed {seed}");
            node.destroy().await.unwrap();
        }
    }
}
