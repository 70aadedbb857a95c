//! Every operation is dropped at every point where it waits: nothing is left of it, and its node still works.
#![allow(clippy::unwrap_used, reason = "test code; only functions marked as tests are exempt by themselves")]

#[path = "../../../modal/tests/faults/awaits.rs"]
mod awaits;
#[path = "../../../modal/tests/faults/operation.rs"]
mod operation;

use std::io::Write;

use openlattice_local::LocalProvider;

#[tokio::test(flavor = "multi_thread")]
async fn g9_dropped_at_every_await() {
    let store = tempfile::tempdir().unwrap();
    let provider = LocalProvider::open(store.path()).await.unwrap();
    let polled = awaits::of_every_operation(&provider).await.unwrap();
    // Past the harness, which keeps what a passing test prints.
    writeln!(std::io::stderr().lock(), "local: {}", awaits::enough(&polled).unwrap()).unwrap();
}
