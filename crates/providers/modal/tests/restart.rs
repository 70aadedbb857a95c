//! A server that goes away and comes back: the provider's sessions go on, and nothing of the output is lost.
#![allow(clippy::unwrap_used, reason = "test code; only functions marked as tests are exempt by themselves")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use openlattice::{
    ComputeProvider, ComputeProviderExt, ExecSession, ExecSpec, ExecStatus, OutputReader, OutputStream,
    ProvisionSpec,
};
use openlattice_modal::{ModalConfig, ModalProvider};
use openlattice_modal_server::{Credentials, Server, ServerConfig};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A server that runs until it is told to stop.
struct Running {
    address: SocketAddr,
    credentials: Credentials,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

async fn start(store: &Path, listen: SocketAddr) -> Running {
    let mut config = ServerConfig::new(store);
    config.listen = listen;
    let server = Server::bind(config).await.unwrap();
    let (address, credentials) = (server.local_addr(), server.credentials().unwrap().clone());
    let (stop, stopped) = oneshot::channel();
    let served = tokio::spawn(async move {
        server.serve(async { stopped.await.unwrap() }).await.unwrap();
    });
    Running { address, credentials, stop, served }
}

async fn stop(server: Running) {
    server.stop.send(()).unwrap();
    server.served.await.unwrap();
}

fn provider(server: &Running) -> Arc<ModalProvider> {
    let config = ModalConfig::new(server.credentials.id.as_str(), server.credentials.secret.as_str());
    Arc::new(config.with_server_url(format!("http://{}", server.address)).build().unwrap())
}

async fn until_text(reader: &mut dyn OutputReader, read: &mut Vec<u8>, text: &str) {
    while !String::from_utf8_lossy(read).contains(text) {
        read.extend(reader.next_chunk().await.unwrap().unwrap().data);
    }
}

async fn rest(reader: &mut dyn OutputReader, read: &mut Vec<u8>) {
    while let Some(chunk) = reader.next_chunk().await.unwrap() {
        assert_eq!(chunk.offset, read.len() as u64, "no loss, no repetition");
        read.extend(chunk.data);
    }
}

const SCRIPT: &str = "echo one; until [ -e /tmp/two ]; do sleep 0.02; done; echo two; \
                      until [ -e /tmp/go ]; do sleep 0.02; done; echo three; exit 5";

async fn touch(provider: &ModalProvider, session: &dyn ExecSession, path: &str) {
    let spec = ExecSpec::new(["mkdir", path]);
    let result = provider.run(session.sandbox_id(), spec, openlattice::Callbacks::none()).await.unwrap();
    assert!(result.is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_a_session_outlives_its_server() {
    let store = tempfile::tempdir().unwrap();
    let first = start(store.path(), SocketAddr::from(([127, 0, 0, 1], 0))).await;
    let provider = provider(&first);
    let made = provider.provision(ProvisionSpec::new("host")).await.unwrap();
    let session = provider.exec(&made.id, ExecSpec::shell(SCRIPT)).await.unwrap();
    let (mut reader, mut read) = (session.output(OutputStream::Stdout, 0), Vec::new());
    until_text(&mut *reader, &mut read, "one\n").await;
    let waiting = tokio::spawn({
        let (provider, id, exec) = (Arc::clone(&provider), made.id.clone(), session.id().clone());
        async move { provider.attach(&id, &exec).await.unwrap().wait().await.unwrap() }
    });
    touch(&provider, &*session, "/tmp/two").await;
    let address = first.address;
    stop(first).await;
    let second = start(store.path(), address).await;
    until_text(&mut *reader, &mut read, "two\n").await;
    touch(&provider, &*session, "/tmp/go").await;
    rest(&mut *reader, &mut read).await;
    assert_eq!(String::from_utf8(read).unwrap(), "one\ntwo\nthree\n");
    assert_eq!(session.wait().await.unwrap(), ExecStatus::exited(5));
    assert_eq!(
        waiting.await.unwrap(),
        ExecStatus::exited(5),
        "a wait that was held when the server went away"
    );
    provider.destroy(&made.id).await.unwrap();
    stop(second).await;
}
