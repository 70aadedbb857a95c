//! Runs tests in parallel, each in a node of its own, with a bounded number of nodes at once.
//!
//! ```sh
//! cargo run -p openlattice-examples --bin parallel-tests -- --at-once 4
//! printf 'true\ntest -e /nowhere\n' | cargo run -p openlattice-examples --bin parallel-tests -- --stdin
//! ```
//!
//! A test is a line of shell. Without `--stdin` there are 20 that come with the program. Each answer is a JSON line, in the order
//! in which tests end; the last line counts them. The exit code is 1 when a test failed or could not be run.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "answers and complaints of a program")]

use std::error::Error;
use std::io::Read;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use openlattice::{ComputeProvider, ComputeProviderExt, ExecResult, ExecSpec};
use openlattice_examples::{Arguments, explain, open, spec};
use openlattice_layers::{Layer, LimitLayer};
use serde_json::json;

const BUILT_IN: usize = 20;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("parallel-tests: {}", explain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// Runs all tests and returns how many did not pass.
async fn run() -> Result<usize, Box<dyn Error>> {
    let mut arguments = Arguments::of_process();
    let at_once: usize = arguments.value("--at-once", 4)?;
    let tests = if arguments.flag("--stdin") { read_tests()? } else { built_in() };
    let provider = paced(open(&mut arguments).await?);
    arguments.end()?;

    let count = tests.len();
    let mut passed = 0;
    let running = tests.into_iter().map(|test| judge(&provider, test));
    let mut ended = stream::iter(running).buffer_unordered(at_once.max(1));
    while let Some((test, outcome)) = ended.next().await {
        passed += usize::from(report(&test, outcome));
    }
    println!("{}", json!({"tests": count, "passed": passed, "failed": count - passed}));
    Ok(count - passed)
}

/// Modal takes a few new sandboxes a second and refuses more; this machine takes what it can.
fn paced(provider: Arc<dyn ComputeProvider>) -> Arc<dyn ComputeProvider> {
    if provider.name() != "modal" {
        return provider;
    }
    Arc::new(LimitLayer::default().with_provisions_per_second(4.0).over(provider))
}

/// Each of them would see what another one left behind, were they not apart.
fn built_in() -> Vec<String> {
    (0..BUILT_IN)
        .map(|number| format!("test ! -e /tmp/mark && echo {number} > /tmp/mark && cat /tmp/mark"))
        .collect()
}

fn read_tests() -> Result<Vec<String>, Box<dyn Error>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
}

/// Runs one test; its node ends with it.
async fn judge(
    provider: &Arc<dyn ComputeProvider>,
    test: String,
) -> (String, openlattice::Result<ExecResult>) {
    let outcome = async {
        let node = provider.provision_node(spec(provider.as_ref())).await?;
        let result = node.run(ExecSpec::shell(&test).with_timeout(Duration::from_secs(60))).await;
        node.destroy().await?;
        result
    };
    let outcome = outcome.await;
    (test, outcome)
}

/// Prints how a test ended and says whether it passed.
fn report(test: &str, outcome: openlattice::Result<ExecResult>) -> bool {
    match outcome {
        Ok(result) => {
            println!("{}", json!({"test": test, "passed": result.is_success(), "result": result}));
            result.is_success()
        }
        // Not the test's fault: no exit code is invented for it.
        Err(error) => {
            println!("{}", json!({"test": test, "passed": false, "error": explain(&error)}));
            false
        }
    }
}
