//! All layers at once, with faults below them, over any provider.
//!
//! Answers of calls that can be repeated are lost now and then, so the suite also passes only because they are repeated rightly.

#![expect(clippy::print_stderr, reason = "this is the main function of a test binary")]

use std::future::Future;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openlattice::{ComputeProvider, Error, ErrorKind, Result, Retry};
use openlattice_conformance::Candidate;
use openlattice_layers::{
    Call, Fault, FaultLayer, Layer as _, Layered, LimitLayer, Moment, RetryLayer, TimeoutLayer, TraceLayer,
};

fn lost() -> Error {
    Error::new(ErrorKind::Unavailable, "test", "the connection broke").with_retry(Retry::Safe { after: None })
}

/// Says that there were too many calls: nothing was done.
fn refused() -> Error {
    Error::new(ErrorKind::ResourceExhausted, "test", "too many calls").with_retry(Retry::Safe { after: None })
}

/// Fails a tenth of the calls that can be repeated whatever they are given, half of them after the work was done, and
/// refuses a tenth of those that can only be repeated when nothing was done.
fn faults() -> FaultLayer {
    let calls = [
        Call::Inspect,
        Call::List,
        Call::Attach,
        Call::Destroy,
        Call::ReadOutput,
        Call::WriteStdin,
        Call::CloseStdin,
        Call::StdinStatus,
        Call::Wait,
        Call::Poll,
        Call::ReadFile,
        Call::WriteFile,
        Call::OpenFile,
        Call::WatchFiles,
        Call::SetMode,
        Call::SetModified,
        Call::ListFiles,
        Call::StatFile,
        Call::GetTags,
        Call::SetTags,
        Call::ListVolumes,
        Call::PortUrl,
        Call::ListPorts,
        Call::SetPolicy,
    ];
    let mut layer = FaultLayer::seeded(1);
    for call in calls {
        for moment in [Moment::Before, Moment::After] {
            layer = layer.with_fault(Fault::new(lost).of(call).with_chance(0.05).at(moment));
        }
    }
    for call in [Call::Provision, Call::Restore, Call::Exec] {
        layer = layer.with_fault(Fault::new(refused).of(call).with_chance(0.1).at(Moment::Before));
    }
    layer
}

/// The fault layers of a run, for a count at its end.
pub(crate) type Faulty = Arc<Mutex<Vec<Arc<Layered<FaultLayer>>>>>;

/// Puts every layer over a provider.
pub(crate) fn layered(provider: Arc<dyn ComputeProvider>, made: &Faulty) -> Arc<dyn ComputeProvider> {
    let provider = Arc::new(faults().over(provider));
    made.lock().expect("nobody panics while holding it").push(Arc::clone(&provider));
    let provider = Arc::new(LimitLayer::default().with_provisions_per_second(1000.0).over(provider));
    let provider = Arc::new(TimeoutLayer::default().over(provider));
    let retry = RetryLayer::default()
        .with_attempts(10)
        .with_pauses(Duration::from_millis(1), Duration::from_millis(20));
    let provider = Arc::new(retry.over(provider));
    Arc::new(TraceLayer.over(provider))
}

/// Runs the suite; a run into which no fault was injected has failed.
pub(crate) fn run<F: Future<Output = Result<Candidate>>>(candidate: impl FnOnce(Faulty) -> F) -> ExitCode {
    let made = Faulty::default();
    let code = openlattice_conformance::run(async || candidate(Arc::clone(&made)).await);
    let made = made.lock().expect("nobody panics while holding it");
    let injected: u64 = made.iter().map(|provider| provider.layer().injected()).sum();
    eprintln!("{injected} faults injected");
    // A run of a few chosen tests may meet none.
    let chosen = std::env::args().len() > 1;
    if injected == 0 && !chosen { ExitCode::FAILURE } else { code }
}
