//! A caller's id for a command: the same request attaches, also in another process's instance; another one is refused.

use openlattice::{ComputeProvider, ErrorKind, ExecSpec, ProvisionSpec, Subject};
use openlattice_local::LocalProvider;

#[tokio::test(flavor = "multi_thread")]
async fn another_command_under_a_known_id_is_refused() {
    let store = tempfile::tempdir().unwrap();
    let provider = match LocalProvider::open(store.path()).await {
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => {
            println!("skipped: {error}");
            return;
        }
        provider => provider.unwrap(),
    };
    let peer = LocalProvider::open(store.path()).await.unwrap();
    let id = provider.provision(ProvisionSpec::new("host")).await.unwrap().id;
    let spec = ExecSpec::new(["sleep", "600"]).with_exec_id("chosen");
    provider.exec(&id, spec.clone()).await.unwrap();
    assert_eq!(peer.exec(&id, spec.clone()).await.unwrap().poll().await.unwrap(), None);
    let error = peer.exec(&id, spec.with_env("A", "1")).await.unwrap_err();
    assert_eq!((error.kind(), error.subject()), (ErrorKind::AlreadyExists, Some(Subject::Exec)));
    provider.destroy(&id).await.unwrap();
    provider.gc().await.unwrap();
}
