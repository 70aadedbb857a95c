//! A program outside the workspace: makes a node, runs commands in it, ends it.
//!
//! Takes the store's folder as its argument, prints what it saw, and fails where anything is not as it must be.

use std::error::Error;
use std::sync::Arc;

use openlattice::{ComputeProvider, ComputeProviderExt, ExecSpec, ProvisionSpec, SandboxState, Stdin};
use openlattice_local::LocalProvider;

#[tokio::main(flavor = "multi_thread", worker_threads = 4)]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = std::env::args().nth(1).ok_or("give the store's folder")?;
    let provider: Arc<dyn ComputeProvider> = Arc::new(LocalProvider::open(store).await?);
    let node = provider.provision_node(ProvisionSpec::new("host").with_max_seconds(300)).await?;
    println!("made {}", node.id());

    // From several tasks on several threads at once.
    let tasks = (0..8).map(|number| {
        let node = node.clone();
        tokio::spawn(async move {
            let spec = ExecSpec::new(["cat"]).with_stdin(Stdin::Bytes(format!("task {number}").into()));
            node.run(spec).await.map(|result| (number, result))
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        let (number, result) = task.await??;
        assert!(result.is_success(), "{:?}", result.status);
        assert_eq!(result.stdout_text(), format!("task {number}"));
    }

    let result = node.run(ExecSpec::shell("echo out; echo err >&2; exit 7")).await?;
    println!("{} {:?} {:?}", result.exit_code(), result.stdout_text(), result.stderr_text());
    assert_eq!((result.exit_code(), result.stdout_text().as_ref()), (7, "out\n"));

    node.destroy().await?;
    let state = node.inspect().await?.state;
    assert_eq!(state, SandboxState::Terminated);
    println!("{}", state.as_str());
    Ok(())
}
