//! Prepares one node, keeps it as a snapshot, and starts many nodes from that.
//!
//! ```sh
//! cargo run -p openlattice-examples --bin fan-out -- --nodes 8
//! ```
//!
//! The first line is the reference of the snapshot, which another program can restore from; then one line per node, in order.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "answers and complaints of a program")]

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use openlattice::{ComputeProvider, ComputeProviderExt, ExecSpec, Node, Result, SnapshotRef};
use openlattice_examples::{Arguments, explain, open, spec};
use serde_json::{Value, json};

/// How many nodes are started and used at the same time.
const AT_ONCE: usize = 4;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fan-out: {}", explain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> std::result::Result<(), Box<dyn Error>> {
    let mut arguments = Arguments::of_process();
    let nodes: usize = arguments.value("--nodes", 8)?;
    let provider = open(&mut arguments).await?;
    arguments.end()?;

    let snapshot = prepared(&provider).await?;
    println!("{}", serde_json::to_string(&snapshot)?);
    let work = (0..nodes).map(|number| share(&provider, &snapshot, number));
    let mut lines = stream::iter(work).buffered(AT_ONCE);
    let mut failed = None;
    // All of them are waited for, so that none is left behind by the failure of another.
    while let Some(line) = lines.next().await {
        match line {
            Ok(line) => println!("{line}"),
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// Does what takes long once, and keeps the result.
async fn prepared(provider: &Arc<dyn ComputeProvider>) -> Result<SnapshotRef> {
    let node = provider.provision_node(spec(provider.as_ref())).await?;
    let snapshot = async {
        let script =
            "mkdir -p /work && seq 1 100000 > /work/numbers && sha256sum < /work/numbers > /work/sum";
        succeed(&node, ExecSpec::shell(script)).await?;
        node.snapshot().await
    };
    let snapshot = snapshot.await;
    node.destroy().await?;
    snapshot
}

/// Does one node's share: it finds what was prepared, and nothing of its siblings.
async fn share(provider: &Arc<dyn ComputeProvider>, from: &SnapshotRef, number: usize) -> Result<Value> {
    // A restore takes a spec too: this variable is what makes the nodes differ.
    let spec = spec(provider.as_ref()).with_env("NODE", number.to_string());
    let node = provider.restore_node(from, spec).await?;
    let line = async {
        let script = "sha256sum < /work/numbers | cmp - /work/sum && test ! -e /work/share \
                      && echo \"share $NODE\" | tee /work/share";
        let stdout = succeed(&node, ExecSpec::shell(script)).await?;
        Ok(json!({"node": number, "id": node.id(), "stdout": stdout}))
    };
    let line = line.await;
    node.destroy().await?;
    line
}

/// Runs a command that has to succeed, and returns its output.
async fn succeed(node: &Node, command: ExecSpec) -> Result<String> {
    let result = node.run(command.with_timeout(Duration::from_secs(120))).await?;
    if result.is_success() {
        return Ok(result.stdout_text().into_owned());
    }
    let message = format!("a command failed ({:?}): {}", result.status.reason, result.stderr_text());
    let error = openlattice::Error::new(openlattice::ErrorKind::FailedPrecondition, "run", message);
    Err(error.with_output(result))
}
