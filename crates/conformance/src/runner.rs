//! Runs the behaviours as the tests of a binary.

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use openlattice::Result;
use tokio::runtime::{Builder, Runtime};

use crate::behaviour::{self, Behaviour};
use crate::candidate::Candidate;
use crate::case::Case;
use crate::judge::{Judgement, judgement};
use crate::verdict::Failure;

/// Judges a provider: the whole `main` of a test binary without a harness.
///
/// Builds the candidate once, on a multi-threaded tokio runtime with timers and input and output enabled, runs every behaviour that the
/// command line chooses, and drops the candidate. Returns failure where a behaviour does not hold or the candidate cannot be built.
pub fn run<F, Fut>(candidate: F) -> ExitCode
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<Candidate>>,
{
    let arguments = Arguments::from_args();
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => Arc::new(runtime),
        Err(error) => return broken(&format!("cannot start a runtime: {error}")),
    };
    if arguments.list {
        return libtest_mimic::run(&arguments, names()).exit_code();
    }
    let candidate = match runtime.block_on(candidate()) {
        Ok(candidate) => Arc::new(candidate),
        Err(error) => return broken(&format!("cannot build the candidate: {}", Failure::from(error).0)),
    };
    let trials = behaviour::all().into_iter().map(|one| trial(&runtime, &candidate, one)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    // Dropped inside the runtime, since what it holds may need one to shut down.
    runtime.block_on(async move { drop(candidate) });
    conclusion.exit_code()
}

/// Says why nothing could be judged.
#[expect(clippy::print_stderr, reason = "this is the main function of a test binary")]
fn broken(reason: &str) -> ExitCode {
    eprintln!("{reason}");
    ExitCode::FAILURE
}

/// Returns the behaviours as tests that are listed and never run.
fn names() -> Vec<Trial> {
    behaviour::all().into_iter().map(|one| Trial::test(one.name, || Ok(()))).collect()
}

/// Makes a test of a behaviour.
fn trial(runtime: &Arc<Runtime>, candidate: &Arc<Candidate>, one: Behaviour) -> Trial {
    let (runtime, candidate) = (Arc::clone(runtime), Arc::clone(candidate));
    Trial::ignorable_test(one.name, move || match runtime.block_on(judgement(Case::new(candidate), one)) {
        Judgement::Holds => Ok(Completion::Completed),
        Judgement::Skipped(reason) => Ok(Completion::ignored_with(reason)),
        Judgement::Differs(reason) => Ok(Completion::ignored_with(format!("difference: {reason}"))),
        Judgement::Broken(reason) | Judgement::Hangs(reason) => Err(Failed::from(reason)),
    })
}
