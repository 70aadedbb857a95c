//! Images of registries.

use crate::support::{Store, names};
use openlattice_engine::{ErrorKind, ImageInfo, PullSpec, RegistryCredentials, SandboxSpec};
use openlattice_images::testing::{
    host_programs,
    registry::{Access, PASSWORD, Registry, USERNAME},
};
use std::sync::Arc;
use tokio::sync::Notify;

/// A store, and a registry with an image of the machine's own programs.
async fn scene(test: &str, access: Access) -> Option<(Store, Registry, String)> {
    let store = Store::open().await?;
    let Some(registry) = Registry::start(test, access) else {
        store.close().await;
        return None;
    };
    let reference = registry.push("team/tiny", "1", &host_programs().unwrap()).unwrap();
    Some((store, registry, reference))
}

async fn runs(store: &Store, reference: &str) {
    let mut spec = SandboxSpec::default();
    spec.image = reference.to_owned();
    let id = store.engine.create(spec).await.unwrap().id;
    assert_eq!(store.sh(&id, "cat /etc/imported; echo $IMPORTED").await.ok(), "imported\nyes\n");
}

#[tokio::test]
async fn m05_a_pulled_image_runs_and_is_kept_under_its_reference() {
    let Some((store, registry, reference)) = scene("m05_a_pulled_image_runs", Access::Open).await else {
        return;
    };
    let pulled = store.engine.pull_image(PullSpec::new(&*reference)).await.unwrap();
    assert_eq!(pulled.names, [&*reference]);
    runs(&store, &reference).await;
    // The same bytes again are the same image; other bytes move the name.
    assert_eq!(store.engine.pull_image(PullSpec::new(&*reference)).await.unwrap().id, pulled.id);
    let mut layers = host_programs().unwrap();
    layers.push(openlattice_images::testing::LayerBuilder::default().file("etc/more", 0o644, b"").finish());
    registry.push("team/tiny", "1", &layers).unwrap();
    assert_eq!(store.engine.ensure_image(PullSpec::new(&*reference)).await.unwrap().id, pulled.id);
    let moved = store.engine.pull_image(PullSpec::new(&*reference)).await.unwrap();
    assert_ne!(moved.id, pulled.id);
    assert_eq!(store.engine.image(&reference).await.unwrap().id, moved.id);
    assert!(store.engine.image(pulled.id.as_str()).await.unwrap().expires_at.is_some());
    // What is in the store needs no registry any more.
    drop(registry);
    assert_eq!(store.again().await.ensure_image(PullSpec::new(&*reference)).await.unwrap().id, moved.id);
    assert_eq!(
        store.engine.pull_image(PullSpec::new(reference)).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    store.close().await;
}

#[tokio::test]
async fn m05_many_that_want_one_image_share_one_pull() {
    let Some((store, _registry, reference)) = scene("m05_many_that_want_one_image", Access::Open).await
    else {
        return;
    };
    let starts = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let one = || {
        let starts = Arc::clone(&starts);
        let mut spec = PullSpec::new(&*reference);
        spec.progress = Some(Arc::new(move |done, _| {
            starts.fetch_add(u32::from(done == 0), std::sync::atomic::Ordering::SeqCst);
        }));
        store.engine.ensure_image(spec)
    };
    let (a, b, c) = tokio::join!(one(), one(), one());
    let id = |info: Result<ImageInfo, _>| info.unwrap().id;
    let id_of_all = id(a);
    assert_eq!([id(b), id(c)], [id_of_all.clone(), id_of_all]);
    assert_eq!(starts.load(std::sync::atomic::Ordering::SeqCst), 1);
    store.close().await;
}

#[tokio::test]
async fn m05_credentials_reach_the_registry() {
    let Some((store, _registry, reference)) = scene("m05_credentials_reach", Access::Credentials).await
    else {
        return;
    };
    let mut spec = PullSpec::new(&*reference);
    assert_eq!(store.engine.ensure_image(spec.clone()).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    let credentials =
        |password: &str| RegistryCredentials { username: USERNAME.into(), password: password.into() };
    spec.credentials = Some(credentials("hunter2"));
    let error = store.engine.ensure_image(spec.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(!format!("{error:?} {spec:?}").contains("hunter2"));
    assert_eq!(names(&store.path().join("layers")), Vec::<String>::new());
    spec.credentials = Some(credentials(PASSWORD));
    store.engine.ensure_image(spec).await.unwrap();
    runs(&store, &reference).await;
    store.close().await;
}

#[tokio::test]
async fn m05_a_dropped_pull_leaves_nothing() {
    let Some((store, _registry, reference)) = scene("m05_a_dropped_pull", Access::Open).await else { return };
    let came = Arc::new(Notify::new());
    let mut spec = PullSpec::new(&*reference);
    let tell = Arc::clone(&came);
    spec.progress = Some(Arc::new(move |done, _| {
        if done > 0 {
            tell.notify_one();
        }
    }));
    tokio::select! {
        biased;
        () = came.notified() => {}
        pulled = store.engine.pull_image(spec) => panic!("it ended: {pulled:?}"),
    }
    while !names(&store.path().join("layers")).is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(store.engine.image(&reference).await.unwrap_err().kind(), ErrorKind::NotFound);
    store.close().await;
}

#[tokio::test]
async fn m05_the_stores_own_names_never_lead_to_a_registry() {
    let Some(store) = Store::open().await else { return };
    assert_eq!(store.engine.ensure_image(PullSpec::new("host")).await.unwrap().names, ["host"]);
    for own in ["host", "im-00000000000000000000000000000000"] {
        assert_eq!(
            store.engine.pull_image(PullSpec::new(own)).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }
    assert_eq!(
        store.engine.ensure_image(PullSpec::new("A b")).await.unwrap_err().kind(),
        ErrorKind::InvalidArgument
    );
    store.close().await;
}
