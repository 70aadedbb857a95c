//! What must hold when the process that made a sandbox is killed: its bound sandboxes are found, and the others live on.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use openlattice::{
    Attachment, ComputeProvider, ExecId, ExecSpec, OutputStream, ProvisionSpec, SandboxId, SandboxState,
};
use openlattice_local::LocalProvider;

/// Names the store to the child; without it the child has nothing to do.
const STORE: &str = "OPENLATTICE_TEST_CRASH_STORE";

fn detached() -> ProvisionSpec {
    ProvisionSpec::new("host").with_max_seconds(300).with_key("made-before-the-crash")
}

fn bound_and_keyed() -> ProvisionSpec {
    let spec = ProvisionSpec::new("host").with_max_seconds(300).with_key("bound-before-the-crash");
    ProvisionSpec { attachment: Attachment::Bound, ..spec }
}

/// The process that is killed: makes two sandboxes, starts a command, says so, and waits for its end.
#[tokio::test]
#[ignore = "the child of another test"]
async fn child_makes_sandboxes_and_waits() {
    let Some(store) = std::env::var_os(STORE) else { return };
    let provider = LocalProvider::open(store).await.unwrap();
    let mut spec = ProvisionSpec::new("host").with_max_seconds(300);
    spec.attachment = Attachment::Bound;
    let bound = provider.provision(spec).await.unwrap().id;
    let keyed = provider.provision(bound_and_keyed()).await.unwrap().id;
    let free = provider.provision(detached()).await.unwrap().id;
    let script = "echo early; until [ -e /tmp/go ]; do sleep 0.05; done; echo late; exit 3";
    let session = provider.exec(&free, ExecSpec::shell(script)).await.unwrap();
    println!("\nmade {bound} {free} {} {keyed}", session.id());
    std::future::pending::<()>().await;
}

/// Starts the child and reads what it made.
fn start(store: &Path) -> (Child, SandboxId, SandboxId, ExecId, SandboxId) {
    let mut child = Command::new(std::env::current_exe().expect("a test knows its own file"))
        .args(["--exact", "child_makes_sandboxes_and_waits", "--ignored", "--nocapture"])
        .env(STORE, store)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a test can start itself");
    let lines = BufReader::new(child.stdout.take().expect("it was piped")).lines();
    for line in lines.map_while(Result::ok) {
        if let Some(made) = line.strip_prefix("made ") {
            let words: Vec<_> = made.split(' ').collect();
            return (child, words[0].into(), words[1].into(), words[2].into(), words[3].into());
        }
    }
    panic!("the child made nothing: {:?}", child.wait());
}

#[tokio::test]
async fn g5_g4_g2_a_killed_process_leaks_nothing_and_loses_nothing() {
    let store = tempfile::tempdir().unwrap();
    let (mut child, bound, free, exec, keyed) = start(store.path());
    let provider = LocalProvider::open(store.path()).await.unwrap();
    assert_eq!(provider.inspect(&bound).await.unwrap().owner.unwrap().pid, child.id());
    assert!(provider.gc().await.unwrap().ended.is_empty(), "gc ended the sandbox of a live owner");

    child.kill().unwrap();
    child.wait().unwrap();

    // Whoever repeats the key of a bound one has it from now on: `gc` must leave it alone.
    let taken = provider.provision(bound_and_keyed()).await.unwrap();
    assert_eq!((&taken.id, taken.owner.as_ref().unwrap().pid), (&keyed, std::process::id()));
    assert_eq!(provider.gc().await.unwrap().ended, std::slice::from_ref(&bound));
    assert_eq!(provider.inspect(&keyed).await.unwrap().state, SandboxState::Running);
    provider.destroy(&keyed).await.unwrap();
    assert_eq!(provider.inspect(&bound).await.unwrap().state, SandboxState::Terminated);
    assert_eq!(provider.inspect(&free).await.unwrap().state, SandboxState::Running);
    assert_eq!(provider.provision(detached()).await.unwrap().id, free, "the key gave another sandbox");

    let session = provider.attach(&free, &exec).await.unwrap();
    assert_eq!(session.poll().await.unwrap(), None);
    let go = provider.exec(&free, ExecSpec::shell("echo > /tmp/go")).await.unwrap();
    assert!(go.wait().await.unwrap().is_success());
    let (mut reader, mut whole) = (session.output(OutputStream::Stdout, 0), Vec::new());
    while let Some(chunk) = reader.next_chunk().await.unwrap() {
        whole.extend_from_slice(&chunk.data);
    }
    assert_eq!(whole, b"early\nlate\n");
    assert_eq!(session.wait().await.unwrap().exit.code(), 3);
    provider.destroy(&free).await.unwrap();
}
