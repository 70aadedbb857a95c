//! What must hold when the process that makes sandboxes over the wire is killed, in the middle of it or afterwards.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "test code; only functions marked as tests are exempt by themselves")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use openlattice::{
    Attachment, ComputeProvider, ComputeProviderExt, ExecId, ExecSpec, ListFilter, OutputStream,
    ProvisionSpec, SandboxId, SandboxState,
};
use openlattice_modal::{ModalConfig, ModalProvider};
use openlattice_modal_server::{Credentials, Server, ServerConfig};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Name the server to the child; without them the child has nothing to do.
const URL: &str = "OPENLATTICE_TEST_CRASH_URL";
const TOKEN_ID: &str = "OPENLATTICE_TEST_CRASH_TOKEN_ID";
const TOKEN_SECRET: &str = "OPENLATTICE_TEST_CRASH_TOKEN_SECRET";

/// A server of this process, which outlives the process that is killed.
struct Place {
    url: String,
    credentials: Credentials,
    provider: Arc<ModalProvider>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
    store: TempDir,
}

impl Place {
    async fn new() -> Self {
        let store = tempfile::tempdir().unwrap();
        let server = Server::bind(ServerConfig::new(store.path())).await.unwrap();
        let (url, credentials) = (server.url(), server.credentials().unwrap().clone());
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(async move {
            server.serve(async { stopped.await.unwrap_or_default() }).await.unwrap();
        });
        let provider = provider(&url, &credentials.id, &credentials.secret);
        Self { url, credentials, provider, stop, served, store }
    }

    /// Starts a test of this file as another process.
    fn child(&self, name: &str) -> Child {
        let mut command = Command::new(std::env::current_exe().expect("a test knows its own file"));
        command.args(["--exact", name, "--ignored", "--nocapture"]);
        command.env(URL, &self.url).env(TOKEN_ID, &self.credentials.id);
        command.env(TOKEN_SECRET, &self.credentials.secret);
        command.stdout(Stdio::piped()).spawn().expect("a test can start itself")
    }

    /// Gives the sandboxes with a tag that are alive.
    async fn tagged(&self, case: &str) -> Vec<SandboxId> {
        let tags = BTreeMap::from([("case".to_owned(), case.to_owned())]);
        let all = self.provider.list(ListFilter { tags, ..ListFilter::default() }).await.unwrap();
        all.into_iter().map(|info| info.id).collect()
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        self.served.await.unwrap();
        self.store.close().unwrap();
    }
}

fn provider(url: &str, id: &str, secret: &str) -> Arc<ModalProvider> {
    Arc::new(ModalConfig::new(id, secret).with_server_url(url).build().unwrap())
}

/// The provider of the child; nothing where this is not the child.
fn child_provider() -> Option<Arc<ModalProvider>> {
    let [url, id, secret] = [URL, TOKEN_ID, TOKEN_SECRET].map(|name| std::env::var(name).ok());
    Some(provider(&url?, &id?, &secret?))
}

fn detached() -> ProvisionSpec {
    ProvisionSpec::new("host").with_max_seconds(300).with_key("made-before-the-crash")
}

fn bound() -> ProvisionSpec {
    let mut spec = ProvisionSpec::new("host").with_max_seconds(300);
    spec.attachment = Attachment::Bound;
    spec
}

/// Its initial command notes that it runs, and runs until it is told to end.
fn slow() -> ProvisionSpec {
    let script = "echo ran >> /tmp/ran; until [ -e /tmp/go ]; do sleep 0.02; done";
    let spec = ProvisionSpec::new("host").with_max_seconds(300).with_command(["/bin/sh", "-c", script]);
    spec.with_key("killed-in-the-middle").with_tag("case", "slow")
}

/// Kills a process without a chance to clean up, and waits until it is gone.
fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
#[ignore = "the child of another test"]
async fn child_makes_sandboxes_and_waits() {
    let Some(provider) = child_provider() else { return };
    let bound = provider.provision(bound()).await.unwrap().id;
    let free = provider.provision(detached()).await.unwrap().id;
    let script = "echo early; until [ -e /tmp/go ]; do sleep 0.02; done; echo late; exit 3";
    let session = provider.exec(&free, ExecSpec::shell(script)).await.unwrap();
    println!("\nmade {bound} {free} {}", session.id());
    std::future::pending::<()>().await;
}

#[tokio::test]
#[ignore = "the child of another test"]
async fn child_is_killed_in_its_provision() {
    let Some(provider) = child_provider() else { return };
    provider.provision(slow()).await.unwrap();
    panic!("the initial command ended by itself");
}

/// Reads what the child made.
fn made(child: &mut Child) -> (SandboxId, SandboxId, ExecId) {
    let lines = BufReader::new(child.stdout.take().expect("it was piped")).lines();
    for line in lines.map_while(Result::ok) {
        if let Some(made) = line.strip_prefix("made ") {
            let words: Vec<_> = made.split(' ').collect();
            return (words[0].into(), words[1].into(), words[2].into());
        }
    }
    panic!("the child made nothing: {:?}", child.wait());
}

#[tokio::test(flavor = "multi_thread")]
async fn g5_g4_g2_a_killed_process_leaks_nothing_and_loses_nothing() {
    let place = Place::new().await;
    let provider = &place.provider;
    let mut child = place.child("child_makes_sandboxes_and_waits");
    let (bound, free, exec) = made(&mut child);
    assert_eq!(provider.inspect(&bound).await.unwrap().owner.unwrap().pid, child.id());
    assert!(provider.gc().await.unwrap().ended.is_empty(), "gc ended the sandbox of a live owner");

    kill(child);

    assert_eq!(provider.gc().await.unwrap().ended, std::slice::from_ref(&bound));
    assert_eq!(provider.inspect(&bound).await.unwrap().state, SandboxState::Terminated);
    assert_eq!(provider.inspect(&free).await.unwrap().state, SandboxState::Running);
    assert_eq!(provider.provision(detached()).await.unwrap().id, free, "the key gave another sandbox");

    let session = provider.attach(&free, &exec).await.unwrap();
    assert_eq!(session.poll().await.unwrap(), None);
    assert!(provider.node(free.clone()).run(ExecSpec::shell("echo > /tmp/go")).await.unwrap().is_success());
    let (mut reader, mut whole) = (session.output(OutputStream::Stdout, 0), Vec::new());
    while let Some(chunk) = reader.next_chunk().await.unwrap() {
        whole.extend_from_slice(&chunk.data);
    }
    assert_eq!(whole, b"early\nlate\n");
    assert_eq!(session.wait().await.unwrap().exit.code(), 3);
    provider.destroy(&free).await.unwrap();
    place.end().await;
}

/// Waits until the child's sandbox runs its initial command.
async fn in_the_middle(place: &Place) -> SandboxId {
    loop {
        if let [id] = &*place.tagged("slow").await {
            let seen = place.provider.node(id.clone()).run(ExecSpec::shell("[ -s /tmp/ran ]")).await.unwrap();
            if seen.is_success() {
                return id.clone();
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g4_a_process_killed_in_its_provision_is_taken_up_by_the_next_one() {
    let place = Place::new().await;
    let child = place.child("child_is_killed_in_its_provision");
    let id = in_the_middle(&place).await;
    kill(child);

    let node = place.provider.node(id.clone());
    let (again, go) =
        tokio::join!(place.provider.provision(slow()), node.run(ExecSpec::shell("echo > /tmp/go")));
    assert!(go.unwrap().is_success());
    assert_eq!(again.unwrap().id, id, "the key gave another sandbox");
    assert_eq!(place.tagged("slow").await, std::slice::from_ref(&id));
    let ran = node.run(ExecSpec::shell("cat /tmp/ran")).await.unwrap();
    assert_eq!(ran.stdout_text(), "ran\n", "how often the initial command ran");
    place.provider.destroy(&id).await.unwrap();
    place.end().await;
}

/// Makes a sandbox look as if another machine had made it, with a lease until then (in seconds since 1970).
async fn of_another_machine(provider: &ModalProvider, until: &str) -> SandboxId {
    let id = provider.provision(bound()).await.unwrap().id;
    let sandbox = provider.client().sandbox(id.as_str());
    let mut tags = sandbox.tags().await.unwrap();
    for (name, value) in [("openlattice_owner_host", "elsewhere"), ("openlattice_lease", until)] {
        assert!(tags.insert(name.to_owned(), value.to_owned()).is_some(), "a bound sandbox has no {name}");
    }
    sandbox.set_tags(&tags).await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn g5_another_machine_s_lease_decides_over_the_wire() {
    let place = Place::new().await;
    let provider = &place.provider;
    let expired = of_another_machine(provider, "1000").await;
    let held = of_another_machine(provider, "99999999999").await;
    assert_eq!(provider.gc().await.unwrap().ended, std::slice::from_ref(&expired));
    assert_eq!(provider.inspect(&expired).await.unwrap().state, SandboxState::Terminated);
    assert_eq!(provider.inspect(&held).await.unwrap().state, SandboxState::Running);
    provider.destroy(&held).await.unwrap();
    place.end().await;
}
