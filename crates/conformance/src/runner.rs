//! Runs the behaviours as the tests of a binary.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;

use futures_util::FutureExt as _;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use openlattice::Result;
use tokio::runtime::{Builder, Runtime};

use crate::behaviour::{self, Behaviour};
use crate::candidate::Candidate;
use crate::case::Case;
use crate::verdict::{Failure, Verdict};

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
    Trial::ignorable_test(one.name, move || match runtime.block_on(judge(Case::new(candidate), one)) {
        Ok(Verdict::Passed) => Ok(Completion::Completed),
        Ok(Verdict::Skipped(reason)) => Ok(Completion::ignored_with(reason)),
        Err(Failure(reason)) => Err(Failed::from(reason)),
    })
}

/// Runs a behaviour within its deadline, and removes what it made, however it ended.
async fn judge(case: Case, one: Behaviour) -> Result<Verdict, Failure> {
    let deadline = case.settings().deadline;
    let test = AssertUnwindSafe((one.run)(case.clone())).catch_unwind();
    let outcome = match tokio::time::timeout(deadline, test).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(Failure("the test panicked".to_owned())),
        Err(_) => Err(Failure(format!("not finished after {deadline:?}"))),
    };
    let clean = match tokio::time::timeout(deadline, case.clean_up()).await {
        Ok(clean) => clean,
        Err(_) => Err(Failure(format!("not cleaned up after {deadline:?}"))),
    };
    match (outcome, clean) {
        (Ok(verdict), Ok(())) => Ok(verdict),
        (Ok(_), Err(left)) => Err(left),
        (Err(failure), Ok(())) => Err(failure),
        (Err(failure), Err(left)) => Err(Failure(format!("{}\nand on cleaning up: {}", failure.0, left.0))),
    }
}
