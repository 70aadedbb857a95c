//! Joining a tailnet in a real sandbox. The vendor's two programs are stood in for by shell scripts inside it, which write down what they
//! were given: what is tested is this side.
#![allow(clippy::unwrap_used, reason = "test code; only functions marked as tests are exempt by themselves")]

use std::sync::Arc;

use openlattice::{
    Bytes, Callbacks, ComputeProvider, ComputeProviderExt, ErrorKind, ExecSpec, Files, ListFilter,
    ProvisionSpec, SandboxId, SnapshotRef, SnapshotSpec, Subject, WriteOptions,
};
use openlattice_modal::{ModalConfig, ModalProvider};
use openlattice_modal_server::{Server, ServerConfig};
use tokio::sync::oneshot;

/// Takes the key from the file that it is told, checks that the daemon listens, and notes arguments, key and process list.
const TAILSCALE: &str = r#"#!/bin/sh
echo "$*" > /tmp/up.arguments
env > /tmp/up.environment
[ -e /var/run/tailscale/tailscaled.sock ] || { echo "no daemon" >&2; exit 7; }
for argument; do case "$argument" in --auth-key=file:*) cat "${argument#--auth-key=file:}" > /tmp/up.key;; esac; done
cat /proc/[0-9]*/cmdline | tr '\000' ' ' > /tmp/up.processes
grep -q good /tmp/up.key || { echo "invalid key: $(cat /tmp/up.key)" >&2; exit 1; }
"#;
/// Listens after a moment, as the real one does.
const DAEMON: &str = r#"#!/bin/sh
echo "$*" > /tmp/daemon.arguments
sleep 0.3
mkdir -p /var/run/tailscale
: > /var/run/tailscale/tailscaled.sock
exec sleep 1000
"#;
const BROKEN_DAEMON: &str = "#!/bin/sh\necho 'cannot listen' >&2\nexit 9\n";

struct World {
    provider: Arc<ModalProvider>,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
    _store: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let store = tempfile::tempdir().unwrap();
        let server = Server::bind(ServerConfig::new(store.path())).await.unwrap();
        let credentials = server.credentials().unwrap().clone();
        let config = ModalConfig::new(credentials.id.as_str(), credentials.secret.as_str());
        let config = config.with_server_url(format!("http://{}", server.local_addr()));
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(async move {
            server.serve(async { stopped.await.unwrap() }).await.unwrap();
        });
        Self { provider: Arc::new(config.build().unwrap()), stop, served, _store: store }
    }

    /// A snapshot with the two programs.
    async fn image(&self, daemon: &str) -> SnapshotRef {
        let provider = &self.provider;
        let made = provider.provision(ProvisionSpec::new("host")).await.unwrap();
        let files = provider.extensions().get::<dyn Files>().unwrap();
        for (name, text) in [("tailscale", TAILSCALE), ("tailscaled", daemon)] {
            let path = format!("/usr/local/bin/{name}");
            let data = Bytes::from(text.to_owned());
            files.write(&made.id, path.as_ref(), data, WriteOptions::default()).await.unwrap();
            self.run(&made.id, &["chmod", "755", &path]).await;
        }
        let snapshot = provider.snapshot(&made.id, SnapshotSpec::default()).await.unwrap();
        provider.destroy(&made.id).await.unwrap();
        snapshot
    }

    async fn run(&self, id: &SandboxId, argv: &[&str]) -> String {
        let spec = ExecSpec::new(argv.iter().copied());
        let result = self.provider.run(id, spec, Callbacks::none()).await.unwrap();
        assert!(result.is_success(), "{argv:?}: {}", result.stderr_text());
        result.stdout_text().into_owned()
    }

    async fn close(self) {
        self.stop.send(()).unwrap();
        self.served.await.unwrap();
    }
}

fn joining(key: &str) -> ProvisionSpec {
    let mut spec = ProvisionSpec::default().with_max_seconds(300);
    spec.network.tailscale_auth_key = Some(key.into());
    spec
}

#[tokio::test(flavor = "multi_thread")]
async fn m11_a_sandbox_joins_with_a_daemon_in_user_space_and_a_key_that_nobody_sees() {
    let world = World::start().await;
    let snapshot = world.image(DAEMON).await;
    let made = world.provider.restore(&snapshot, joining("tskey-good-hush")).await.unwrap();
    let told = world.run(&made.id, &["cat", "/tmp/daemon.arguments"]).await;
    assert_eq!(told, "--state=mem: --tun=userspace-networking\n");
    assert_eq!(world.run(&made.id, &["cat", "/tmp/up.key"]).await, "tskey-good-hush");
    for seen in ["/tmp/up.arguments", "/tmp/up.environment", "/tmp/up.processes"] {
        let text = world.run(&made.id, &["cat", seen]).await;
        assert!(!text.is_empty() && !text.contains("hush"), "{seen}: {text}");
    }
    world.provider.destroy(&made.id).await.unwrap();
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn m11_a_refused_key_or_daemon_fails_and_leaves_no_sandbox() {
    let world = World::start().await;
    let snapshot = world.image(DAEMON).await;
    let error = world.provider.restore(&snapshot, joining("tskey-bad-hush")).await.unwrap_err();
    assert_eq!((error.kind(), error.subject()), (ErrorKind::FailedPrecondition, Some(Subject::Tailnet)));
    assert!(error.message().contains("invalid key: <hidden>"), "{error}");
    assert!(!format!("{error:?}").contains("hush"));

    let snapshot = world.image(BROKEN_DAEMON).await;
    let error = world.provider.restore(&snapshot, joining("tskey-good-hush")).await.unwrap_err();
    assert_eq!(error.subject(), Some(Subject::Tailnet));
    assert!(
        error.message().contains("tailscaled ended with") && error.message().contains("cannot listen"),
        "{error}"
    );

    let error = world.provider.provision(joining("tskey-good-hush")).await.unwrap_err();
    assert_eq!(error.subject(), Some(Subject::Tailnet), "image host has neither program: {error}");
    assert!(world.provider.list(ListFilter::default()).await.unwrap().is_empty());
    world.close().await;
}
